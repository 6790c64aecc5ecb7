// Calibration of a card from a folder of kernel tables: finds the tables by name, fits each family,
// fills families without a table from another card, and writes the result as a preset.
#ifndef TIERSCOPE_CALIBRATION_CALIBRATE_H_
#define TIERSCOPE_CALIBRATION_CALIBRATE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "calibration/card.h"
#include "scenarios/calibration.pb.h"

namespace tierscope {

// A card that is calibrated already.
struct CarrySource {
  Card card;
  KernelCalibration kernels;
};

struct CalibrationRequest {
  std::string folder;
  Card card;
  std::optional<CarrySource> carry;  // for families that the folder has no table of
};

struct CalibrationOutcome {
  CalibrationFile file;
  std::vector<std::string> unused;  // .csv files of the folder that no family reads
};

// NotFound: no folder, or no table in it. InvalidArgument: a table that is not what its name says,
// with file and line; a family that neither a table nor `carry` gives. Tables are found by the end
// of their names, the first in order of name where two fit.
absl::StatusOr<CalibrationOutcome> Calibrate(const CalibrationRequest& request);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_CALIBRATE_H_
