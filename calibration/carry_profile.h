// A measured profile carried to another device by efficiencies, not times.
//
// Of every op the time at a point is a floor and work: the floor (launch, synchronisation) is what
// the line through the table's two points of least work leaves at no work, and is carried as it is;
// the rest is carried by the ratio of rooflines,
//
//   us_target = floor + (us_source - floor) * roof(target) / roof(source)
//   roof(device) = max(flop / flop_per_s, bytes / bytes_per_s) at that point
//
// so that the part of the roofline that an op reaches stays. Copies are carried by the ratio of
// links' peaks, slowdowns of ops side by side as they are. Pure functions.
#ifndef TIERSCOPE_CALIBRATION_CARRY_PROFILE_H_
#define TIERSCOPE_CALIBRATION_CARRY_PROFILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "scenarios/scenario.pb.h"

namespace tierscope {

// `source` is a measured profile (device_profile.h) whose points know their work, `source_peaks`
// the rates that its efficiencies are of: its own measured ones, or the preset of its card where
// `target` is a preset too. Of `target` the name, memory, rates and link are taken. Errors: a
// source that was not measured or changed since, one without work, rates that are missing.
absl::StatusOr<Hardware> CarryProfile(const Hardware& source, const Hardware& source_peaks,
                                      const Hardware& target);

// One op of a carried profile beside the same op measured on the target.
struct CarriedOp {
  OpTable::Op op = OpTable::BALLAST;
  double floor_us = 0.0;
  double ratio_least = 0.0, ratio_most = 0.0;  // of the rooflines, target to source
  int points = 0;                              // compared; 0: the target has no measurement
  double median_error = 0.0;                   // of |carried / measured - 1|
  double worst_error = 0.0;
  double bias = 0.0;  // median of carried / measured - 1
};
// `carried` of CarryProfile(source, source_peaks, target). Compared at the target's points.
std::vector<CarriedOp> CarriedOps(const Hardware& source, const Hardware& source_peaks,
                                  const Hardware& target, const Hardware& carried);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_CARRY_PROFILE_H_
