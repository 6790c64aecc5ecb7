#include "real/cuda_marks.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "real/cuda_error.h"
#include "sim/base/check.h"
#include "sim/base/status_macros.h"

namespace tierscope {

constexpr int kAnchorTries = 8;

int64_t HostClockNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

absl::StatusOr<std::unique_ptr<CudaMarks>> CudaMarks::Make(cudaStream_t stream) {
  std::unique_ptr<CudaMarks> marks(new CudaMarks(stream));
  TIERSCOPE_RETURN_IF_ERROR(marks->Begin());
  return marks;
}

CudaMarks::~CudaMarks() {
  for (const cudaEvent_t event : all_events_) static_cast<void>(cudaEventDestroy(event));
}

absl::StatusOr<cudaEvent_t> CudaMarks::NewEvent() {
  cudaEvent_t event = nullptr;
  TIERSCOPE_RETURN_IF_ERROR(
      FromCuda(cudaEventCreateWithFlags(&event, cudaEventDefault), "marks: cudaEventCreate"));
  all_events_.push_back(event);
  return event;
}

absl::Status CudaMarks::Begin() {
  for (int64_t i = 0; i < kRingMarks; ++i) {
    TIERSCOPE_ASSIGN_OR_RETURN(const cudaEvent_t event, NewEvent());
    ring_.push_back(event);
  }
  ring_ns_.resize(ring_.size());
  pending_.reserve(2 * ring_.size());
  for (cudaEvent_t& anchor : anchors_) {
    TIERSCOPE_ASSIGN_OR_RETURN(anchor, NewEvent());
  }
  // The narrowest of some tries: the first calls may load code.
  int64_t narrowest_ns = INT64_MAX;
  for (int i = 0; i < kAnchorTries; ++i) {
    const int64_t before = HostClockNs();
    TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaEventRecord(anchors_[1], stream_), "first anchor"));
    TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaStreamSynchronize(stream_), "first anchor"));
    const int64_t after = HostClockNs();
    if (after - before >= narrowest_ns) continue;
    narrowest_ns = after - before;
    anchor_ns_ = 0.5 * static_cast<double>(before + after);
    std::swap(anchors_[0], anchors_[1]);
  }
  return absl::OkStatus();
}

void CudaMarks::Note(cudaError_t error) {
  if (failed_.ok()) failed_ = FromCuda(error, "mark");
}

// Numbers of kept marks are odd.
int64_t CudaMarks::Mark() {
  if (keeping_) {
    absl::StatusOr<cudaEvent_t> event = NewEvent();
    if (!event.ok()) {
      if (failed_.ok()) failed_ = event.status();
      return 0;
    }
    Note(cudaEventRecordWithFlags(*event, stream_, cudaEventRecordExternal));
    kept_.push_back({*event, std::make_unique<int64_t>(0)});
    return 2 * static_cast<int64_t>(kept_.size() - 1) + 1;
  }
  if (pending_.size() >= ring_.size()) {
    if (absl::Status status = Resolve(); !status.ok() && failed_.ok()) failed_ = status;
  }
  const auto place = static_cast<size_t>(next_ % kRingMarks);
  pending_.push_back({ring_[place], &ring_ns_[place], HostClockNs()});
  Note(cudaEventRecord(ring_[place], stream_));
  return 2 * next_++;
}

int64_t CudaMarks::NsOf(int64_t mark) const {
  if (mark % 2 != 0) return *kept_[static_cast<size_t>(mark / 2)].ns;
  TIERSCOPE_CHECK(next_ - mark / 2 <= kRingMarks);
  return ring_ns_[static_cast<size_t>(mark / 2 % kRingMarks)];
}

void CudaMarks::BeginKept() {
  keeping_ = true;
  kept_begin_ = kept_.size();
}

std::vector<int64_t> CudaMarks::EndKept() {
  keeping_ = false;
  std::vector<int64_t> marks;
  for (size_t i = kept_begin_; i < kept_.size(); ++i) {
    marks.push_back(2 * static_cast<int64_t>(i) + 1);
  }
  return marks;
}

void CudaMarks::PlayKept(const std::vector<int64_t>& marks) {
  const int64_t now = HostClockNs();
  for (const int64_t mark : marks) {
    const Kept& kept = kept_[static_cast<size_t>(mark / 2)];
    pending_.push_back({kept.event, kept.ns.get(), now});
  }
}

absl::Status CudaMarks::Resolve() {
  const int64_t call_ns = HostClockNs();
  TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaEventRecord(anchors_[1 - anchor_], stream_), "anchor"));
  TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaStreamSynchronize(stream_), "waiting for a stream"));
  // A mark that was not made has no time, and says why.
  absl::Status status = failed_.ok() ? ReadTimes(HostClockNs(), call_ns) : TakeFailure();
  pending_.clear();
  return status;
}

absl::Status CudaMarks::ReadTimes(int64_t idle_ns, int64_t anchor_call_ns) {
  pending_.push_back({anchors_[1 - anchor_], &anchor_told_ns_, anchor_call_ns});
  times_.clear();
  // How far all of them have to be moved so that none lies before its call, none after the end.
  double forward_ns = 0, back_ns = 0;
  for (const Pending& mark : pending_) {
    float ms = 0;
    TIERSCOPE_RETURN_IF_ERROR(
        FromCuda(cudaEventElapsedTime(&ms, anchors_[anchor_], mark.event), "time of a mark"));
    times_.push_back(anchor_ns_ + 1e6 * static_cast<double>(ms));
    forward_ns = std::max(forward_ns, static_cast<double>(mark.host_ns) - times_.back());
    back_ns = std::max(back_ns, times_.back() - static_cast<double>(idle_ns));
  }
  const double shift_ns = forward_ns > 0 ? forward_ns : -back_ns;
  int64_t last = 0;
  for (size_t i = 0; i < pending_.size(); ++i) {
    last = std::max(last, pending_[i].host_ns);
    last = std::clamp<int64_t>(std::llround(times_[i] + shift_ns), last, std::max(last, idle_ns));
    *pending_[i].ns = last;
  }
  anchor_ns_ = std::clamp(times_.back() + shift_ns, static_cast<double>(anchor_call_ns),
                          static_cast<double>(idle_ns));
  anchor_ = 1 - anchor_;
  return absl::OkStatus();
}

}  // namespace tierscope
