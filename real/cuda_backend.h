// The backend on an NVIDIA GPU, device 0 of the process (CUDA_VISIBLE_DEVICES chooses it): the
// launchers of kernels/, products by cuBLAS, two streams of which the side-band's has the lower
// priority, the cold pool in pinned memory. Written against CUDA 12.8 and above; runs on the SIMT
// machine of the tests, and has not been measured on a GPU yet.
//
// Sequences are CUDA graphs: the first of a key is captured and instantiated, the others are one
// launch. Marks within are event nodes.
//
// Once an op fails on the device every later call answers the same status: what was computed since
// is not to be trusted, and no result comes of it.
#ifndef TIERSCOPE_REAL_CUDA_BACKEND_H_
#define TIERSCOPE_REAL_CUDA_BACKEND_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

#include "real/backend.h"

namespace tierscope {

struct CudaBackendOptions {
  // Most bytes of pinned memory; pages that are pinned are taken from everything else on the host.
  int64_t pinned_bytes_max = int64_t{96} << 30;
  // Pinned staging of uploads, of each stream.
  int64_t staging_bytes = int64_t{64} << 20;
  // Scratch of cuBLAS, of each stream; 32 MiB is what it asks for on Hopper.
  int64_t products_workspace_bytes = int64_t{32} << 20;
  int32_t gather_blocks = 8;  // thread blocks of a recall by gather kernel (kernels/gather.h)
  bool graphs = true;         // false: every op is launched on its own
};

// Errors: Unimplemented in a build without CUDA; FailedPrecondition without driver or device, or
// with one older than compute capability 8.0; Unavailable without cuBLAS; ResourceExhausted. Each
// says what to do.
absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(const CudaBackendOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CUDA_BACKEND_H_
