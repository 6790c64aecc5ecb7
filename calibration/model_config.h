// A Hugging Face config.json as a model preset: DeepSeek-V4 (model_type deepseek_v4), DeepSeek-V3.2
// (deepseek_v32) and GLM-5 (glm_moe_dsa). Shapes are read; weights, work and budgets are arithmetic
// on them; what no config says (the memory indexer, the engine's pools) is carried from V4-Flash
// and marked UNKNOWN. Pure; thread-safe.
#ifndef TIERSCOPE_CALIBRATION_MODEL_CONFIG_H_
#define TIERSCOPE_CALIBRATION_MODEL_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"

namespace tierscope {

// The preset's text, a value a line with its source; parses as tierscope.Model. `file` is only
// named. InvalidArgument: no JSON object, another family, or a key that is missing or no whole
// number of 1 to 2^24.
absl::StatusOr<std::string> ModelPresetFromConfig(const std::string& json, const std::string& file);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_MODEL_CONFIG_H_
