#include "cli/trace.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "cli/verb.h"

namespace tierscope::cli {

absl::Status CheckOutputFile(const std::string& path, bool overwrite) {
  std::error_code error;
  if (overwrite || !std::filesystem::exists(path, error)) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat(path, ": exists; name another file or give --overwrite"));
}

std::string SyntheticText(const std::string& model) {
  return absl::StrCat("synthetic, not validated on ",
                      model == "v4_flash" ? "V4" : "a recording of " + model);
}

void AddTraceVerb(CLI::App& app, int* exit_code) {
  CLI::App* trace = app.add_subcommand("trace", "Make, import, describe and check traces");
  trace->require_subcommand(1);
  AddTraceGenerate(*trace, exit_code);
  AddTraceImport(*trace, exit_code);
  AddTraceInfo(*trace, exit_code);
  AddTraceCat(*trace, exit_code);
  AddTraceVerify(*trace, exit_code);
}

}  // namespace tierscope::cli
