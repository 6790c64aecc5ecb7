// A device as it was measured op by op (real/device_measure.h): a Hardware with measured ops, used
// with --set hardware.preset=./profile.txtpb. Its digest names it in every result that used it, so
// that a profile changed after the fact is another profile. Pure functions.
#ifndef TIERSCOPE_CALIBRATION_DEVICE_PROFILE_H_
#define TIERSCOPE_CALIBRATION_DEVICE_PROFILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "scenarios/scenario.pb.h"

namespace tierscope {

// SHA-256 of `hardware` as text with its defaults filled in and without measured_ops.sha256, so
// that a profile and the scenario it was resolved into have the same.
std::string ProfileDigest(const Hardware& hardware);

// Rounds to what the text holds, then writes `taken` and the digest into it.
void SealProfile(const std::string& taken, Hardware* hardware);

// InvalidArgument where the digest inside is not that of the rest: it was edited or overridden.
absl::Status CheckProfileUnchanged(const Hardware& hardware);

// The preset's text; `command` made it.
std::string ProfileText(const Hardware& hardware, const std::string& command);

// How well a table predicts its own points from the others: each that has neighbours on both sides
// of an axis is taken out of its line and interpolated from them.
struct LeaveOneOut {
  OpTable::Op op = OpTable::BALLAST;
  int points = 0;             // taken out
  double median_error = 0.0;  // of |interpolated / measured - 1|; 0 without points
  double worst_error = 0.0;
  double median_spread = 0.0;  // of the samples behind a point
};
LeaveOneOut LeaveOneOutOf(const OpTable& table);

// Where a scenario stands in the grid of the profile it uses.
struct GridPlace {
  std::vector<std::string> on_grid;  // ops that it asks for at a point of their grid
  std::vector<std::string> outside;  // ops that it asks for outside of it
};
// At the start and at the end of its requests, with all of them in the batch, and for level 1 with
// one request too. An op that only the batch decides (BALLAST) is no evidence and has no point that
// a scenario could stand on.
// Precondition: resolved, with measured ops, context_tokens, output_tokens and concurrency.
GridPlace PlaceInGrid(const Scenario& scenario);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_DEVICE_PROFILE_H_
