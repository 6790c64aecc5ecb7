// The device's own record of kernels, copies and fills, through CUPTI's activity interface. The
// library is looked up at run time. Callbacks only hand buffers over; Stop reads them. One trace at
// a time.
#ifndef TIERSCOPE_REAL_CUPTI_TRACER_H_
#define TIERSCOPE_REAL_CUPTI_TRACER_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "real/activity.h"

namespace tierscope {

class CuptiTracer {
 public:
  // Error: Unavailable without the library or without the permission, with what to do.
  static absl::StatusOr<std::unique_ptr<CuptiTracer>> Start();
  ~CuptiTracer();

  // Calls of this thread belong to `tag` from here on, to none at 0.
  void Tag(uint64_t tag);
  // Precondition: the device is idle. Times on the host's clock (cuda_marks.h). Records that found
  // no room are counted in the result. Error: Internal, what CUPTI says.
  absl::StatusOr<ActivityTrace> Stop();

 private:
  struct Functions;
  CuptiTracer();
  absl::Status Load();
  absl::Status Enable();
  void Disable();

  std::unique_ptr<Functions> functions_;
  int64_t offset_begin_ns_ = 0;  // host's clock less CUPTI's
  bool enabled_ = false;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CUPTI_TRACER_H_
