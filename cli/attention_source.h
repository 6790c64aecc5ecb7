// Where a run's attention trace comes from: the file the scenario names, or one that the generator
// makes once and the cache folder keeps.
#ifndef TIERSCOPE_CLI_ATTENTION_SOURCE_H_
#define TIERSCOPE_CLI_ATTENTION_SOURCE_H_

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

#include "scenarios/scenario.pb.h"
#include "sim/demand/distil.h"

namespace tierscope::cli {

struct AttentionSource {
  std::string path;
  double generate_wall_s = 0.0;  // 0: the file was there
};

// $TIERSCOPE_CACHE, else $XDG_CACHE_HOME/tierscope, else ~/.cache/tierscope. It may not exist yet.
std::filesystem::path CacheFolder();

// Where the trace is or would be kept. Nothing is generated or looked for. Precondition: as below.
absl::StatusOr<std::string> AttentionTracePath(const Scenario& scenario);

// The generated file's name is a digest of everything it depends on, so a file found is the right
// one. Says on stderr what it generates. Precondition: the scenario's policy needs an attention
// trace.
absl::StatusOr<AttentionSource> FindAttentionTrace(const Scenario& scenario,
                                                   const DemandSpec& spec);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_ATTENTION_SOURCE_H_
