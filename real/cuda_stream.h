// One stream of the CUDA backend: its order of uploads and ops, its marks, its sequences as graphs,
// and what becomes of an error. One owner, the stream's thread.
#ifndef TIERSCOPE_REAL_CUDA_STREAM_H_
#define TIERSCOPE_REAL_CUDA_STREAM_H_

#include <cuda_runtime.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "real/cuda_error.h"
#include "real/cuda_marks.h"
#include "real/cuda_memory.h"
#include "real/cuda_uploads.h"

namespace tierscope {

// The first error of the device, which every later call of either stream answers with. Any thread.
class CudaFailure {
 public:
  absl::Status status() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return status_;
  }
  void Note(const absl::Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (status_.ok()) status_ = status;
  }

 private:
  mutable std::mutex mutex_;
  absl::Status status_;
};

class CudaStream {
 public:
  // `memory` and `failure` outlive the stream.
  static absl::StatusOr<std::unique_ptr<CudaStream>> Make(int priority, int64_t staging_bytes,
                                                          CudaMemory* memory, CudaFailure* failure);
  ~CudaStream();

  cudaStream_t get() const { return stream_; }
  CudaUploads& uploads() { return *uploads_; }
  CudaMarks& marks() { return *marks_; }
  bool capturing() const { return capturing_; }

  // Before an op: nothing has failed, and what the host wrote is on its way.
  absl::Status Ready();
  // An op's status, remembered where it is the device's.
  absl::Status Keep(absl::Status status);
  absl::Status Keep(cudaError_t error, const char* op) { return Keep(FromCuda(error, op)); }
  // Launches a kernel; a refusal of its parameters is no failure of the device.
  template <typename Launch>
  absl::Status Run(const char* op, Launch launch) {
    if (absl::Status ready = Ready(); !ready.ok()) return ready;
    const KernelStatus said = launch(stream_);
    absl::Status status = FromLauncher(said, op);
    if (said.code == KernelCode::kCudaError) return Keep(std::move(status));
    broken_ |= !status.ok();
    return status;
  }

  absl::Status Upload(uint8_t* target, const uint8_t* source, int64_t bytes);
  absl::Status Synchronize();
  int64_t Mark();

  // As Backend's; `keep` false: nothing is captured and nothing played.
  absl::StatusOr<bool> BeginSequence(int64_t key, bool keep);
  absl::Status EndSequence();
  int64_t graph_count() const { return static_cast<int64_t>(sequences_.size()); }

 private:
  struct DestroyGraph {
    void operator()(cudaGraphExec_t graph) const { static_cast<void>(cudaGraphExecDestroy(graph)); }
  };
  struct Sequence {
    std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, DestroyGraph> graph;
    std::vector<int64_t> marks;
  };

  explicit CudaStream(CudaFailure* failure) : failure_(failure) {}
  absl::Status EndCapture();

  CudaFailure* failure_;
  cudaStream_t stream_ = nullptr;
  std::unique_ptr<CudaMarks> marks_;
  std::unique_ptr<CudaUploads> uploads_;
  absl::Status noted_;  // of a Mark, told by the next op
  std::map<int64_t, Sequence> sequences_;
  const Sequence* playing_ = nullptr;
  bool capturing_ = false;
  bool broken_ = false;  // an op failed since the capture began
  int64_t sequence_key_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CUDA_STREAM_H_
