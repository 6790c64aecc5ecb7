// The verbs of the command line. Each verb's file adds its subcommand, parses with CLI11, calls the
// library and turns its status into an exit code: 0 done, 1 a gate or bound failed, 2 wrong input,
// 3 (compare) runs that are not comparable.
#ifndef TIERSCOPE_CLI_VERB_H_
#define TIERSCOPE_CLI_VERB_H_

#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tierscope::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitBoundFailed = 1;
inline constexpr int kExitWrongInput = 2;
inline constexpr int kExitNotComparable = 3;

// The message with its control characters escaped: file names may hold any.
std::string OneLine(absl::string_view message);

// Prints "tierscope: <message>" as one line to stderr when `status` is bad; returns the exit code.
int ExitCode(const absl::Status& status);

// Each adds one subcommand whose callback stores the process's exit code in `exit_code`.
void AddRunVerb(CLI::App& app, int* exit_code);
void AddCacheVerb(CLI::App& app, int* exit_code);
void AddCalibrateVerb(CLI::App& app, int* exit_code);
void AddCapacityVerb(CLI::App& app, int* exit_code);
void AddCompareVerb(CLI::App& app, int* exit_code);
void AddIndexerVerb(CLI::App& app, int* exit_code);
void AddRealVerb(CLI::App& app, int* exit_code);
void AddReconcileVerb(CLI::App& app, int* exit_code);
void AddReportVerb(CLI::App& app, int* exit_code);
void AddSweepVerb(CLI::App& app, int* exit_code);
void AddTraceVerb(CLI::App& app, int* exit_code);
void AddValidateVerb(CLI::App& app, int* exit_code);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_VERB_H_
