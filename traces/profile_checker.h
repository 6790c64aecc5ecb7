// The order and completeness of one profile's records: which may come next, and whether all came.
// One per profile; constant memory; a few comparisons per record.
#ifndef TIERSCOPE_TRACES_PROFILE_CHECKER_H_
#define TIERSCOPE_TRACES_PROFILE_CHECKER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"

#include "traces/trace.pb.h"

namespace tierscope {

class ProfileChecker {
 public:
  // Precondition: ValidateProfileHeader(profile) is OK.
  explicit ProfileChecker(const ProfileHeader& profile) : profile_(profile) {}

  // Each returns an error that says what was expected instead.
  absl::Status CheckSelection(int32_t step, int32_t layer);
  absl::Status CheckTick(int32_t step, int32_t layer);
  absl::Status CheckDecision(int32_t step);
  absl::Status CheckGolden(int32_t step);
  absl::Status CheckEnd() const;

 private:
  // Records of one kind: the layers of the first step repeat, whole, at every further step.
  struct Series {
    int32_t step = -1;            // of the last record
    size_t position = 0;          // of the next record in `layers`, once those are known
    std::vector<int32_t> layers;  // of the first step
    bool layers_known = false;
    bool complete() const { return !layers_known || position == layers.size(); }
  };
  static absl::Status Advance(const char* kind, int32_t step, int32_t layer, int32_t stride,
                              Series* series);
  absl::Status CheckLayer(const char* kind, int32_t layer, bool must_be_target) const;
  absl::Status EnterStep(const char* kind, int32_t step);

  ProfileHeader profile_;
  Series selections_;
  Series ticks_;
  int32_t step_ = 0;     // of the last record of any kind
  bool ticked_ = false;  // whether step_ already had a tick: no selection may follow
  bool decided_ = false;
  int32_t decision_step_ = -1;  // of the last decision
  int32_t golden_step_ = -1;    // of the last golden labels
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_PROFILE_CHECKER_H_
