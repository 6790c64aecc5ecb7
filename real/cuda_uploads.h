// Writes of the host into device memory, gathered in pinned staging and sent as one batched copy
// before the next op of the stream: a step writes thousands of entries of some hundred bytes, and a
// call for each would cost more than the step. One owner, the stream's thread.
#ifndef TIERSCOPE_REAL_CUDA_UPLOADS_H_
#define TIERSCOPE_REAL_CUDA_UPLOADS_H_

#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/page_copy.h"

namespace tierscope {

class CudaUploads {
 public:
  // `staging`: pinned. Both outlive the uploads.
  CudaUploads(cudaStream_t stream, uint8_t* staging, int64_t staging_bytes)
      : stream_(stream), staging_(staging), staging_bytes_(staging_bytes) {}

  int64_t bytes_max() const { return staging_bytes_ / 2; }

  // The source may be used again at once. Precondition: 0 < bytes <= bytes_max().
  absl::Status Add(void* target, const void* source, int64_t bytes);
  // Pinned memory that stays until the stream is next idle, to be filled by the caller.
  absl::StatusOr<uint8_t*> Reserve(int64_t bytes);
  // Submits what was added. Writes of one place keep their order.
  absl::Status Flush();
  bool empty() const { return pending_.sizes.empty(); }
  // The stream is idle: staging is free again. Precondition: nothing is pending.
  void Idle() { used_ = 0; }

 private:
  bool Overlap();
  absl::Status SubmitOneByOne();

  cudaStream_t stream_;
  uint8_t* staging_;
  int64_t staging_bytes_;
  int64_t used_ = 0;
  PageCopyBatch pending_;
  PageCopyBatch single_;
  std::vector<int32_t> order_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CUDA_UPLOADS_H_
