#include "real/cuda_stream.h"

#include <algorithm>

#include "sim/base/status_macros.h"

namespace tierscope {

absl::StatusOr<std::unique_ptr<CudaStream>> CudaStream::Make(int priority, int64_t staging_bytes,
                                                             CudaMemory* memory,
                                                             CudaFailure* failure) {
  std::unique_ptr<CudaStream> stream(new CudaStream(failure));
  TIERSCOPE_RETURN_IF_ERROR(FromCuda(
      cudaStreamCreateWithPriority(&stream->stream_, cudaStreamNonBlocking, priority), "stream"));
  TIERSCOPE_ASSIGN_OR_RETURN(stream->marks_, CudaMarks::Make(stream->stream_));
  TIERSCOPE_ASSIGN_OR_RETURN(uint8_t * staging,
                             memory->Allocate("staging", Arena::kHost, staging_bytes));
  stream->uploads_ = std::make_unique<CudaUploads>(stream->stream_, staging, staging_bytes);
  return stream;
}

CudaStream::~CudaStream() {
  if (stream_ == nullptr) return;
  static_cast<void>(cudaStreamSynchronize(stream_));
  sequences_.clear();
  marks_.reset();
  static_cast<void>(cudaStreamDestroy(stream_));
}

absl::Status CudaStream::Keep(absl::Status status) {
  if (status.ok()) return status;
  broken_ = true;
  failure_->Note(status);
  return status;
}

absl::Status CudaStream::Ready() {
  TIERSCOPE_RETURN_IF_ERROR(failure_->status());
  if (capturing_) return absl::OkStatus();
  TIERSCOPE_RETURN_IF_ERROR(Keep(std::exchange(noted_, absl::OkStatus())));
  return Keep(uploads_->Flush());
}

absl::Status CudaStream::Upload(uint8_t* target, const uint8_t* source, int64_t bytes) {
  TIERSCOPE_RETURN_IF_ERROR(failure_->status());
  for (int64_t done = 0; done < bytes;) {
    const int64_t count = std::min(bytes - done, uploads_->bytes_max());
    TIERSCOPE_RETURN_IF_ERROR(Keep(uploads_->Add(target + done, source + done, count)));
    done += count;
  }
  return absl::OkStatus();
}

absl::Status CudaStream::Synchronize() {
  TIERSCOPE_RETURN_IF_ERROR(Ready());
  TIERSCOPE_RETURN_IF_ERROR(Keep(marks_->Resolve()));
  uploads_->Idle();
  return absl::OkStatus();
}

int64_t CudaStream::Mark() {
  if (!capturing_) {
    if (absl::Status status = uploads_->Flush(); noted_.ok()) noted_ = std::move(status);
  }
  return marks_->Mark();
}

absl::StatusOr<bool> CudaStream::BeginSequence(int64_t key, bool keep) {
  TIERSCOPE_RETURN_IF_ERROR(Ready());
  if (!keep) return true;
  const auto known = sequences_.find(key);
  if (known != sequences_.end()) {
    playing_ = &known->second;
    return false;
  }
  TIERSCOPE_RETURN_IF_ERROR(
      Keep(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "capture"));
  capturing_ = true;
  broken_ = false;
  sequence_key_ = key;
  marks_->BeginKept();
  return true;
}

absl::Status CudaStream::EndCapture() {
  capturing_ = false;
  std::vector<int64_t> marks = marks_->EndKept();
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream_, &graph);
  // A sequence that broke off is not played. Whoever broke it, on either stream, has said why, but
  // for a mark, which only noted it.
  absl::Status marked = Keep(marks_->TakeFailure());
  if (std::exchange(broken_, false) || !failure_->status().ok()) {
    if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
    static_cast<void>(cudaGetLastError());
    return marked;
  }
  TIERSCOPE_RETURN_IF_ERROR(Keep(ended, "end of a capture"));
  cudaGraphExec_t executable = nullptr;
  const cudaError_t made = cudaGraphInstantiate(&executable, graph, 0);
  static_cast<void>(cudaGraphDestroy(graph));
  TIERSCOPE_RETURN_IF_ERROR(Keep(made, "graph of a sequence"));
  Sequence& sequence = sequences_[sequence_key_];
  sequence.graph.reset(executable);
  sequence.marks = std::move(marks);
  playing_ = &sequence;
  return absl::OkStatus();
}

absl::Status CudaStream::EndSequence() {
  if (capturing_) TIERSCOPE_RETURN_IF_ERROR(EndCapture());
  const Sequence* sequence = std::exchange(playing_, nullptr);
  if (sequence == nullptr) return absl::OkStatus();
  // Before the launch: its first kernels may run while the call is still under way.
  marks_->PlayKept(sequence->marks);
  return Keep(cudaGraphLaunch(sequence->graph.get(), stream_), "graph launch");
}

}  // namespace tierscope
