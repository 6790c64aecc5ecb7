// Presets: the model, hardware and node that a scenario names. Stateless; thread-safe.
#ifndef TIERSCOPE_SCENARIOS_PRESETS_H_
#define TIERSCOPE_SCENARIOS_PRESETS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "scenarios/origins.h"
#include "scenarios/scenario.pb.h"

namespace tierscope {

// The embedded presets of `kind`, "model", "hardware", "node" or
// "calibration", in the order of CMakeLists.txt.
std::vector<std::string> PresetNames(const std::string& kind);

// The embedded preset `name`, without defaults filled in. NotFound lists the names there are.
absl::StatusOr<Model> ModelPreset(const std::string& name);
// Its calibrated kernels are expanded.
absl::StatusOr<Hardware> HardwarePreset(const std::string& name);
// A calibration with its errors and tables.
absl::StatusOr<CalibrationFile> CalibrationPreset(const std::string& name);
absl::StatusOr<Node> NodePreset(const std::string& name);

// Fills model, hardware, its calibrated kernels and node from the presets they name and unsets the
// names. What is set already outranks the preset; a repeated field counts as one value. A name with
// a '/' or ending in .txtpb is a file. Errors as ReadTextFile and ParseText give them, or an
// unknown name at its place.
absl::Status ExpandPresets(Scenario* scenario, Origins* origins);

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_PRESETS_H_
