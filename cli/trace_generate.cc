// tierscope trace generate: an attention trace from the generator.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/trace.h"
#include "cli/verb.h"

#include "sim/base/status_macros.h"
#include "traces/container.h"
#include "traces/generator.h"

namespace tierscope::cli {
namespace {

struct Arguments {
  std::string preset = "v4_flash";
  uint64_t seed = 1;
  std::vector<std::string> settings;
  std::string out;
  bool overwrite = false;
  GeneratorOptions options;
};

// "a=1,b=2" into parameters.
absl::Status ApplySettings(const std::string& settings, GeneratorParameters* parameters) {
  for (const absl::string_view setting : absl::StrSplit(settings, ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(setting, absl::MaxSplits('=', 1));
    TIERSCOPE_RETURN_IF_ERROR(SetGeneratorParameter(parts.first, parts.second, parameters));
  }
  return absl::OkStatus();
}

void ShowProgress(int64_t done, int64_t all) {
  if (::isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "\rprofile %lld of %lld%s", static_cast<long long>(done),
               static_cast<long long>(all), done == all ? "\n" : "");
}

absl::Status Generate(Arguments& arguments) {
  TIERSCOPE_ASSIGN_OR_RETURN(arguments.options.parameters, GeneratorPreset(arguments.preset));
  arguments.options.parameters.set_seed(arguments.seed);
  for (const std::string& settings : arguments.settings) {
    TIERSCOPE_RETURN_IF_ERROR(ApplySettings(settings, &arguments.options.parameters));
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckOutputFile(arguments.out, arguments.overwrite));
  arguments.options.on_profile_done = ShowProgress;
  TIERSCOPE_RETURN_IF_ERROR(GenerateAttentionTrace(arguments.options, arguments.out));
  TIERSCOPE_ASSIGN_OR_RETURN(const auto reader, ContainerReader::Open(arguments.out));
  const size_t profiles = arguments.options.context_tokens.size() *
                          static_cast<size_t>(arguments.options.profiles_per_context);
  std::printf("%s: %zu profiles, %lld records, %.1f MB, digest %s, %s\n", arguments.out.c_str(),
              profiles, static_cast<long long>(reader->record_count()),
              static_cast<double>(std::filesystem::file_size(arguments.out)) * 1e-6,
              reader->digest().c_str(), SyntheticText(arguments.preset).c_str());
  return absl::OkStatus();
}

}  // namespace

void AddTraceGenerate(CLI::App& trace, int* exit_code) {
  CLI::App* app = trace.add_subcommand(
      "generate", "Generate an attention trace (synthetic, not validated on the model)");
  auto arguments = std::make_shared<Arguments>();
  GeneratorOptions& options = arguments->options;
  app->add_option("--preset", arguments->preset, "Model preset")->capture_default_str();
  app->add_option("--context-tokens", options.context_tokens, "Prompt lengths, a list a,b,c")
      ->delimiter(',')
      ->required();
  app->add_option("--profiles", options.profiles_per_context, "Profiles per prompt length")
      ->capture_default_str();
  app->add_option("--steps", options.step_count, "Decode steps of a profile")
      ->capture_default_str();
  app->add_option("--stride", options.tick_stride_steps, "Steps between score ticks")
      ->capture_default_str();
  app->add_option("--seed", arguments->seed, "Random seed")->capture_default_str();
  app->add_option("--set", arguments->settings,
                  "Generator parameters name=value,... (traces/trace.proto, GeneratorParameters)");
  app->add_flag("--per-layer", options.per_layer, "Record selections per layer, not as votes");
  app->add_option("--out", arguments->out, "File to write")->required();
  app->add_flag("--overwrite", arguments->overwrite, "Replace the file");
  app->callback([arguments, exit_code] { *exit_code = ExitCode(Generate(*arguments)); });
}

}  // namespace tierscope::cli
