// What CUDA and the launchers answer, as statuses that name the op. Included by CUDA sources alone.
#ifndef TIERSCOPE_REAL_CUDA_ERROR_H_
#define TIERSCOPE_REAL_CUDA_ERROR_H_

#include <cuda_runtime.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "kernels/kernel_status.h"

namespace tierscope {

// ResourceExhausted: no memory; the context survives that. FailedPrecondition: no driver, no
// device, or one without what the kernels need. Internal: all else; after an error of a kernel the
// context is lost, and the message says so.
absl::Status FromCuda(cudaError_t error, absl::string_view op);
absl::Status FromLauncher(const KernelStatus& status, absl::string_view op);

// `said` (which op, and the library's own words) with what to do about it.
absl::Status OutOfDeviceMemory(absl::string_view said);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CUDA_ERROR_H_
