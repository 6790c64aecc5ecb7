#include "absl/status/status.h"

#include "real/cuda_backend.h"

namespace tierscope {

absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(const CudaBackendOptions&) {
  return absl::UnimplementedError(
      "--backend=cuda: this tierscope was built without CUDA; configure with -DTIERSCOPE_CUDA=ON "
      "where nvcc of CUDA 12.8 or above is, or run with --backend=cpu");
}

}  // namespace tierscope
