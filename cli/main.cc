// tierscope: one binary, a verb per subcommand.
#include <cstdio>

#include "CLI/CLI.hpp"
#include "cli/verb.h"

int main(int argc, char** argv) {
  CLI::App app("Simulator and profiler for long-context KV tiering", "tierscope");
  app.set_version_flag("--version", TIERSCOPE_VERSION);
  app.require_subcommand(1);
  int exit_code = tierscope::cli::kExitDone;
  tierscope::cli::AddRunVerb(app, &exit_code);
  tierscope::cli::AddCacheVerb(app, &exit_code);
  CLI::App* trace = app.add_subcommand("trace", "Generate, import and inspect traces");
  trace->require_subcommand(1);
  tierscope::cli::AddTraceImport(*trace, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_code : tierscope::cli::kExitWrongInput;
  }
  return exit_code;
}
