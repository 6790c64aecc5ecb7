#include "cli/verb.h"

#include <cstdio>
#include <string>

namespace tierscope::cli {

int ExitCode(const absl::Status& status) {
  if (status.ok()) return kExitDone;
  const std::string message(status.message());
  std::fprintf(stderr, "tierscope: %s\n", message.c_str());
  return kExitWrongInput;
}

}  // namespace tierscope::cli
