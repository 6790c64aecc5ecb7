// tierscope: one binary, a verb per subcommand.
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/verb.h"
#include "google/protobuf/stubs/logging.h"

#include "sim/base/quoted.h"

namespace tierscope::cli {
namespace {

// The app whose verb is wanting or unknown; null when the error is another one.
const CLI::App* AppWithoutVerb(const CLI::App* app) {
  for (auto parsed = app->get_subcommands(); !parsed.empty(); parsed = app->get_subcommands()) {
    app = parsed.front();
  }
  return app->get_require_subcommand_min() > 0 ? app : nullptr;
}

std::string VerbProblem(const CLI::App& app) {
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    verbs.push_back(verb->get_name());
  }
  const std::string there_are = absl::StrCat("there are ", absl::StrJoin(verbs, ", "));
  for (const std::string& word : app.remaining()) {
    if (word.rfind('-', 0) != 0)
      return absl::StrCat("unknown verb ", Quoted(word), "; ", there_are);
  }
  return absl::StrCat("no verb is given; ", there_are);
}

// "--policy: 1 required TEXT missing" of a `--policy=` says little.
std::string OptionProblem(const CLI::Error& error) {
  const std::string problem = OneLine(error.what());
  const size_t begin = problem.find(": 1 required ");
  if (error.get_name() != "ArgumentMismatch" || begin == std::string::npos) return problem;
  return absl::StrCat(problem.substr(0, begin), ": a value is missing");
}

std::string FailureMessage(const CLI::App* app, const CLI::Error& error) {
  const CLI::App* without_verb = AppWithoutVerb(app);
  const std::string problem = without_verb != nullptr && error.get_name() == "RequiredError"
                                  ? VerbProblem(*without_verb)
                                  : OptionProblem(error);
  return absl::StrCat("tierscope: ", problem, "; run with --help\n");
}

}  // namespace
}  // namespace tierscope::cli

int main(int argc, char** argv) {
  google::protobuf::SetLogHandler(nullptr);  // what is wrong with a file is our status's to say
  CLI::App app("Simulator and profiler for long-context KV tiering", "tierscope");
  app.set_version_flag("--version", TIERSCOPE_VERSION);
  app.require_subcommand(1);
  app.failure_message(tierscope::cli::FailureMessage);
  int exit_code = tierscope::cli::kExitDone;
  tierscope::cli::AddRunVerb(app, &exit_code);
  tierscope::cli::AddCacheVerb(app, &exit_code);
  tierscope::cli::AddCalibrateVerb(app, &exit_code);
  tierscope::cli::AddCapacityVerb(app, &exit_code);
  tierscope::cli::AddCompareVerb(app, &exit_code);
  tierscope::cli::AddIndexerVerb(app, &exit_code);
  tierscope::cli::AddRealVerb(app, &exit_code);
  tierscope::cli::AddReconcileVerb(app, &exit_code);
  tierscope::cli::AddReportVerb(app, &exit_code);
  tierscope::cli::AddSweepVerb(app, &exit_code);
  tierscope::cli::AddTraceVerb(app, &exit_code);
  tierscope::cli::AddValidateVerb(app, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_code : tierscope::cli::kExitWrongInput;
  }
  return exit_code;
}
