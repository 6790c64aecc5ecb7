// The subcommands of `tierscope trace`, one file each, and what they share.
#ifndef TIERSCOPE_CLI_TRACE_H_
#define TIERSCOPE_CLI_TRACE_H_

#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"

namespace tierscope::cli {

// Each adds one subcommand to `trace`, as the verbs of cli/verb.h do to the program.
void AddTraceGenerate(CLI::App& trace, int* exit_code);
void AddTraceImport(CLI::App& trace, int* exit_code);
void AddTraceInfo(CLI::App& trace, int* exit_code);
void AddTraceCat(CLI::App& trace, int* exit_code);
void AddTraceVerify(CLI::App& trace, int* exit_code);

// An error when a file stands at `path` and may not be replaced.
absl::Status CheckOutputFile(const std::string& path, bool overwrite);

// What a generated trace of `model` says of itself.
std::string SyntheticText(const std::string& model);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_TRACE_H_
