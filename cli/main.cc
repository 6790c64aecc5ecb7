// tierscope: one binary, a verb per subcommand.
#include <string>

#include "CLI/CLI.hpp"
#include "cli/verb.h"

int main(int argc, char** argv) {
  CLI::App app("Simulator and profiler for long-context KV tiering", "tierscope");
  app.set_version_flag("--version", TIERSCOPE_VERSION);
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return std::string("tierscope: ") + error.what() + "; run with --help\n";
  });
  int exit_code = tierscope::cli::kExitDone;
  tierscope::cli::AddRunVerb(app, &exit_code);
  tierscope::cli::AddCacheVerb(app, &exit_code);
  tierscope::cli::AddCapacityVerb(app, &exit_code);
  tierscope::cli::AddSweepVerb(app, &exit_code);
  tierscope::cli::AddTraceVerb(app, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_code : tierscope::cli::kExitWrongInput;
  }
  return exit_code;
}
