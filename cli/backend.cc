#include "cli/backend.h"

#include "absl/strings/str_cat.h"
#include "cli/verb.h"

namespace tierscope::cli {

absl::StatusOr<std::unique_ptr<Backend>> MakeBackend(const BackendOptions& options) {
  if (options.name == "cpu") return MakeCpuBackend(options.cpu);
  if (options.name == "cuda") return MakeCudaBackend(options.cuda);
  return absl::InvalidArgumentError(
      absl::StrCat("--backend: no backend '", OneLine(options.name), "'; there are cpu, cuda"));
}

}  // namespace tierscope::cli
