// Generates attention traces from a stochastic model of attention and of the memory indexer. The
// model is on one page in traces/README.md; it is NOT validated on V4, no public recording exists.
// Same options, same bytes, on every machine. One thread; work is proportional to what is recorded.
#ifndef TIERSCOPE_TRACES_GENERATOR_H_
#define TIERSCOPE_TRACES_GENERATOR_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "traces/trace.pb.h"

namespace tierscope {

struct GeneratorOptions {
  GeneratorParameters
      parameters;  // from GeneratorPreset; `seed` counts, `profile_index` is set here
  std::vector<int64_t> context_tokens;  // prompt lengths, `profiles_per_context` profiles each
  int32_t profiles_per_context = 8;
  int32_t step_count = 1024;
  int32_t tick_stride_steps = 16;
  bool per_layer =
      false;  // selections per layer, instead of all layers with votes (a record a layer)
  std::function<void(int64_t done, int64_t all)> on_profile_done;  // progress; may be empty
};

// The parameters of a named preset ("v4_flash", "dsa_v32", "dsa_glm51"), seed 1. Error: lists the
// presets.
absl::StatusOr<GeneratorParameters> GeneratorPreset(absl::string_view name);

// Sets the parameter called `name` from text; repeated ones take values between colons. Errors: no
// such parameter (lists them), or not a number.
absl::Status SetGeneratorParameter(absl::string_view name, absl::string_view value,
                                   GeneratorParameters* parameters);

// Entries of a layer's set that it shares with its group, if that has more than one layer.
int64_t SharedSlots(const GeneratorParameters& parameters);

// The shortest prompt that a profile can have: four times what a layer selects, or more where the
// layers of a group together hold more.
int64_t LeastContextTokens(const GeneratorParameters& parameters);

// Errors: a parameter, context, profile or step count outside its limits.
absl::Status ValidateGeneratorOptions(const GeneratorOptions& options);

// Writes the trace to `path`, replacing what is there only once it is whole. A profile depends on
// the parameters, its context and its index alone, not on what else the file holds.
absl::Status GenerateAttentionTrace(const GeneratorOptions& options, const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_GENERATOR_H_
