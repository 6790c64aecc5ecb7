#include "cli/attention_source.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/generator_digest.h"
#include "cli/kept_file.h"

#include "scenarios/policy_kind.h"
#include "sim/base/digest.h"
#include "sim/base/status_macros.h"
#include "traces/generator.h"
#include "traces/generator_indexer.h"

namespace tierscope::cli {
namespace {

// The contexts asked for, else the workload's own. The generator has a least context; a shorter
// request is served by the newest pages of that.
std::vector<int64_t> ContextsOf(const Workload& workload, const GeneratorParameters& parameters) {
  const Attention& attention = workload.attention();
  std::set<int64_t> contexts(attention.context_tokens().begin(), attention.context_tokens().end());
  if (!contexts.empty()) return {contexts.begin(), contexts.end()};
  const int64_t least = LeastContextTokens(parameters);
  if (workload.has_context_tokens()) {
    contexts.insert(std::max(least, workload.context_tokens()));
  } else {
    for (const RequestClass& c : workload.classes()) {
      contexts.insert(std::max(least, c.context_tokens()));
    }
  }
  return {contexts.begin(), contexts.end()};
}

absl::StatusOr<GeneratorOptions> OptionsOf(const Scenario& scenario) {
  const Workload& workload = scenario.workload();
  const Attention& attention = workload.attention();
  GeneratorOptions options;
  TIERSCOPE_ASSIGN_OR_RETURN(options.parameters, GeneratorPreset(attention.generator_preset()));
  options.parameters.set_seed(attention.generator_seed());
  if (attention.has_window_churn()) options.parameters.set_window_churn(attention.window_churn());
  if (attention.has_score_floor()) options.parameters.set_score_floor(attention.score_floor());
  options.context_tokens = ContextsOf(workload, options.parameters);
  options.profiles_per_context = attention.profiles_per_context();
  options.step_count = attention.steps();
  options.tick_stride_steps = attention.tick_stride_steps();
  options.per_layer = PlacementOf(scenario.policy().kind()) == KvPlacement::kHotBuffer;
  if (absl::Status status = ValidateGeneratorOptions(options); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("workload.attention: ", status.message()));
  }
  return options;
}

// What the generated profiles will say of themselves, as far as a demand can fail on it.
ProfileHeader HeaderOf(const GeneratorOptions& options) {
  ProfileHeader header;
  header.set_tick_stride_steps(options.tick_stride_steps);
  header.set_score_floor_code(ScoreFloorCode(options.parameters));
  header.set_selections(SELECTIONS_FULL_HISTORY);
  return header;
}

std::string NameOf(const GeneratorOptions& options) {
  Digest digest;
  digest.Add(options.parameters.SerializeAsString());
  for (int64_t tokens : options.context_tokens) digest.Add(static_cast<uint64_t>(tokens));
  digest.Add(static_cast<uint64_t>(options.profiles_per_context));
  digest.Add(static_cast<uint64_t>(options.step_count));
  digest.Add(static_cast<uint64_t>(options.tick_stride_steps));
  if (options.per_layer) digest.Add(uint64_t{1});
  return absl::StrCat("attention-", options.parameters.preset(), "-", digest.hex(), ".trace");
}

// Traces of another version of the generator lie elsewhere, under the same names.
std::filesystem::path GeneratedFolder() {
  return CacheFolder() / absl::StrCat("generator-", TIERSCOPE_GENERATOR_DIGEST);
}

void ReportProgress(int64_t done, int64_t all) {
  if (isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "\r  profile %lld of %lld%s", static_cast<long long>(done),
               static_cast<long long>(all), done == all ? "\n" : "");
}

}  // namespace

std::filesystem::path CacheFolder() {
  const auto variable = [](const char* name) -> std::filesystem::path {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (const auto own = variable("TIERSCOPE_CACHE"); !own.empty()) return own;
  if (const auto xdg = variable("XDG_CACHE_HOME"); !xdg.empty()) return xdg / "tierscope";
  if (const auto home = variable("HOME"); !home.empty()) return home / ".cache" / "tierscope";
  return std::filesystem::temp_directory_path() / "tierscope-cache";
}

absl::StatusOr<std::string> AttentionTracePath(const Scenario& scenario) {
  const Workload& workload = scenario.workload();
  if (workload.attention().has_trace()) return workload.attention().trace();
  TIERSCOPE_ASSIGN_OR_RETURN(const GeneratorOptions options, OptionsOf(scenario));
  return (GeneratedFolder() / NameOf(options)).string();
}

absl::StatusOr<AttentionSource> FindAttentionTrace(const Scenario& scenario,
                                                   const DemandSpec& spec) {
  const Workload& workload = scenario.workload();
  if (workload.attention().has_trace()) return AttentionSource{workload.attention().trace(), 0.0};
  TIERSCOPE_ASSIGN_OR_RETURN(GeneratorOptions options, OptionsOf(scenario));
  TIERSCOPE_RETURN_IF_ERROR(CheckAnswerable(HeaderOf(options), spec));
  const std::filesystem::path folder = GeneratedFolder();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder.string(), ": cannot make the cache folder (", error.message(),
                     "); set TIERSCOPE_CACHE to a folder that can be written"));
  }
  const std::filesystem::path path = folder / NameOf(options);
  if (std::filesystem::exists(path, error)) {
    MarkUsed(path);
    return AttentionSource{path.string(), 0.0};
  }
  const size_t profiles =
      options.context_tokens.size() * static_cast<size_t>(options.profiles_per_context);
  absl::FPrintF(stderr, "generating an attention trace of %d profiles, preset %s (kept as %s)\n",
                profiles, options.parameters.preset(), path.string());
  options.on_profile_done = ReportProgress;
  const auto begin = std::chrono::steady_clock::now();
  TIERSCOPE_RETURN_IF_ERROR(GenerateAttentionTrace(options, path.string()));
  PruneKept(CacheFolder());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  return AttentionSource{path.string(), took.count()};
}

}  // namespace tierscope::cli
