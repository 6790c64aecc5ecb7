// Points in time of one stream: events of a ring that is made once, resolved on the host's clock
// when the stream is idle. One owner, the stream's thread.
//
// Time of a mark = time of the anchor event + what CUDA says has passed between the two. A new
// anchor is taken at every Resolve, because elapsed times are floats: at 30 ms they still tell 2 ns
// apart, at an hour 0.25 ms. What the host knows (no mark lies before the call that recorded it, or
// launched its sequence, and none behind the moment when the stream was seen idle) moves all marks
// of a Resolve together, where it has to, so that what lies between two of them stays as measured.
// Two streams agree through the host's clock, to within the narrowest of these bounds.
#ifndef TIERSCOPE_REAL_CUDA_MARKS_H_
#define TIERSCOPE_REAL_CUDA_MARKS_H_

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tierscope {

// The host's clock, nanoseconds.
int64_t HostClockNs();

class CudaMarks {
 public:
  // More marks than that between two Resolves wait for the stream.
  static constexpr int64_t kRingMarks = 4096;

  static absl::StatusOr<std::unique_ptr<CudaMarks>> Make(cudaStream_t stream);
  ~CudaMarks();

  int64_t Mark();
  int64_t NsOf(int64_t mark) const;
  // Waits for the stream; then the times of all its marks are known. Error: what it left behind.
  absl::Status Resolve();
  // The first error of a Mark since it was told.
  absl::Status TakeFailure() { return std::exchange(failed_, absl::OkStatus()); }

  // Marks from here on belong to a sequence that is being captured and keep their numbers for ever.
  void BeginKept();
  // The kept marks of the sequence, in order.
  std::vector<int64_t> EndKept();
  // The sequence is about to be launched: its marks are of this play from now on.
  void PlayKept(const std::vector<int64_t>& marks);

 private:
  struct Pending {
    cudaEvent_t event;
    int64_t* ns;
    int64_t host_ns;  // when it was recorded or its sequence launched
  };
  struct Kept {
    cudaEvent_t event;
    std::unique_ptr<int64_t> ns;
  };

  explicit CudaMarks(cudaStream_t stream) : stream_(stream) {}
  absl::Status Begin();
  absl::StatusOr<cudaEvent_t> NewEvent();
  void Note(cudaError_t error);
  absl::Status ReadTimes(int64_t idle_ns, int64_t anchor_call_ns);

  cudaStream_t stream_;
  std::vector<cudaEvent_t> all_events_;
  std::vector<cudaEvent_t> ring_;
  std::vector<int64_t> ring_ns_;
  int64_t next_ = 0;
  std::vector<Kept> kept_;
  bool keeping_ = false;
  size_t kept_begin_ = 0;
  std::vector<Pending> pending_;  // in order of issue
  cudaEvent_t anchors_[2] = {};
  int anchor_ = 0;
  double anchor_ns_ = 0;
  int64_t anchor_told_ns_ = 0;
  std::vector<double> times_;
  absl::Status failed_;  // of a Mark, told by Resolve
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CUDA_MARKS_H_
