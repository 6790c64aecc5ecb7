// Loads scenarios: parse, apply --set, expand presets, fill in defaults, validate. What comes out
// is complete and consistent, so nothing downstream checks a scenario again. Stateless;
// thread-safe. A load takes about a millisecond and reads at most kTextFileBytesMax of each file.
#ifndef TIERSCOPE_SCENARIOS_LOADER_H_
#define TIERSCOPE_SCENARIOS_LOADER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "scenarios/scenario.pb.h"
#include "scenarios/unused.h"

namespace tierscope {

// The resolved scenario of the file at `path` under the --set arguments `sets` (overrides.h).
// Relative file names in the file are relative to it, those in `sets` to the working directory; all
// come out absolute. Errors are one line, "where: what; what to do", where = file:line:column and
// field path of a value that a file gives, "--set path" of one that --set gives, the field path
// otherwise. Existence of trace files is left to their readers. `unused_sets`, where given, takes
// the fields that `sets` gives and nothing reads (unused.h): whether that is an error is the
// caller's.
absl::StatusOr<Scenario> LoadScenario(const std::string& path, const std::vector<std::string>& sets,
                                      std::vector<UnusedField>* unused_sets = nullptr);

// The same from `text`, as if it stood in a file `path`, which is not read.
absl::StatusOr<Scenario> ParseScenario(const std::string& text, const std::string& path,
                                       const std::vector<std::string>& sets,
                                       std::vector<UnusedField>* unused_sets = nullptr);

// A resolved scenario as text. Loading it gives the same scenario.
std::string ScenarioText(const Scenario& scenario);

// Digest of a resolved scenario without its name, its description and the names of trace files:
// equal for scenarios that ask for the same run of the same inputs.
std::string ScenarioDigest(const Scenario& scenario);

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_LOADER_H_
