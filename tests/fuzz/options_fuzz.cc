// Option values that have a parser of their own: what `cache` and `trace generate --set` take.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"

#include "sim/base/check.h"
#include "sim/engine/cache_replay.h"
#include "sim/engine/object_replay.h"
#include "tests/fuzz/targets.h"
#include "traces/generator.h"

namespace tierscope::testing {
namespace {

void CheckParameter(absl::string_view name, absl::string_view value) {
  GeneratorOptions options;
  options.parameters = *GeneratorPreset("v4_flash");
  const absl::Status status = SetGeneratorParameter(name, value, &options.parameters);
  TIERSCOPE_CHECK(status.ok() || !status.message().empty());
  options.context_tokens = {65536};
  const absl::Status valid = ValidateGeneratorOptions(options);
  TIERSCOPE_CHECK(valid.ok() || !valid.message().empty());
}

}  // namespace

void FuzzOptions(absl::string_view input) {
  for (const absl::string_view line : absl::StrSplit(input, '\n')) {
    const absl::StatusOr<int64_t> bytes = ParseCacheBytes(line);
    TIERSCOPE_CHECK(!bytes.ok() || *bytes > 0);
    const absl::StatusOr<int64_t> blocks = ParseCacheCapacity(line);
    TIERSCOPE_CHECK(!blocks.ok() || *blocks > 0);
    TIERSCOPE_CHECK(ParseCachePolicy(line).ok() ||
                    !ParseCachePolicy(line).status().message().empty());
    const std::pair<absl::string_view, absl::string_view> parameter =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    CheckParameter(parameter.first, parameter.second);
  }
}

}  // namespace tierscope::testing
