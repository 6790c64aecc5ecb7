#include "real/cuda_uploads.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "real/cuda_error.h"
#include "sim/base/check.h"
#include "sim/base/status_macros.h"

namespace tierscope {

constexpr int64_t kAlignment = 64;

absl::StatusOr<uint8_t*> CudaUploads::Reserve(int64_t bytes) {
  TIERSCOPE_CHECK(bytes > 0 && bytes <= bytes_max());
  if (used_ + bytes > staging_bytes_) {
    TIERSCOPE_RETURN_IF_ERROR(Flush());
    TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaStreamSynchronize(stream_), "waiting for staging"));
    used_ = 0;
  }
  uint8_t* memory = staging_ + used_;
  used_ = (used_ + bytes + kAlignment - 1) / kAlignment * kAlignment;
  return memory;
}

absl::Status CudaUploads::Add(void* target, const void* source, int64_t bytes) {
  TIERSCOPE_ASSIGN_OR_RETURN(uint8_t * staged, Reserve(bytes));
  std::memcpy(staged, source, static_cast<size_t>(bytes));
  pending_.targets.push_back(target);
  pending_.sources.push_back(staged);
  pending_.sizes.push_back(static_cast<size_t>(bytes));
  return absl::OkStatus();
}

// Copies of one batch run in any order.
bool CudaUploads::Overlap() {
  order_.resize(pending_.sizes.size());
  std::iota(order_.begin(), order_.end(), 0);
  const auto begin = [&](int32_t i) {
    return reinterpret_cast<uintptr_t>(pending_.targets[static_cast<size_t>(i)]);
  };
  std::sort(order_.begin(), order_.end(),
            [&](int32_t a, int32_t b) { return begin(a) < begin(b); });
  for (size_t i = 1; i < order_.size(); ++i) {
    const int32_t before = order_[i - 1];
    if (begin(before) + pending_.sizes[static_cast<size_t>(before)] > begin(order_[i])) return true;
  }
  return false;
}

absl::Status CudaUploads::SubmitOneByOne() {
  for (size_t i = 0; i < pending_.sizes.size(); ++i) {
    single_.targets = {pending_.targets[i]};
    single_.sources = {pending_.sources[i]};
    single_.sizes = {pending_.sizes[i]};
    TIERSCOPE_RETURN_IF_ERROR(FromLauncher(SubmitPageCopies(single_, stream_), "upload"));
  }
  return absl::OkStatus();
}

absl::Status CudaUploads::Flush() {
  if (empty()) return absl::OkStatus();
  absl::Status status =
      Overlap() ? SubmitOneByOne() : FromLauncher(SubmitPageCopies(pending_, stream_), "upload");
  pending_.targets.clear();
  pending_.sources.clear();
  pending_.sizes.clear();
  return status;
}

}  // namespace tierscope
