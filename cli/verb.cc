#include "cli/verb.h"

#include <cstdio>
#include <string>

namespace tierscope::cli {

int ExitCode(const absl::Status& status) {
  if (status.ok()) return kExitDone;
  const std::string message(status.message());
  std::fprintf(stderr, "tierscope: %s\n", message.c_str());
  // Aborted: the input was good and the run itself failed.
  return absl::IsAborted(status) ? kExitBoundFailed : kExitWrongInput;
}

}  // namespace tierscope::cli
