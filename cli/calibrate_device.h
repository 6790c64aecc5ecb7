// Measures the device at hand into a hardware profile: what `calibrate --backend` and `reconcile`
// share.
#ifndef TIERSCOPE_CLI_CALIBRATE_DEVICE_H_
#define TIERSCOPE_CLI_CALIBRATE_DEVICE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "scenarios/scenario.pb.h"

namespace tierscope::cli {

struct DeviceCalibration {
  std::string backend;   // "cpu"
  std::string scenario;  // whose model's shapes are measured
  std::string out;       // the profile, a .txtpb; written whole
  int rounds = 11;
};

// The profile, sealed and written to `out`. Says on stderr how far it is. Errors: a backend that
// this build or machine does not have (naming what is missing), the scenario's, memory, the file.
absl::StatusOr<Hardware> CalibrateDevice(const DeviceCalibration& options);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_CALIBRATE_DEVICE_H_
