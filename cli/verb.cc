#include "cli/verb.h"

#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "sim/base/quoted.h"

namespace tierscope::cli {

std::string OneLine(absl::string_view message) {
  std::string line;
  for (size_t i = 0; i < message.size(); ++i) {
    const absl::string_view byte = message.substr(i, 1);
    absl::StrAppend(&line, IsPlainText(byte) ? std::string(byte) : absl::CHexEscape(byte));
  }
  return line;
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) return kExitDone;
  // Aborted: the input was good and the run itself failed; what waits for what takes some lines.
  const bool aborted = absl::IsAborted(status);
  const std::string message = aborted ? std::string(status.message()) : OneLine(status.message());
  std::fprintf(stderr, "tierscope: %s\n", message.c_str());
  return aborted ? kExitBoundFailed : kExitWrongInput;
}

}  // namespace tierscope::cli
