// tierscope trace import: converts a foreign request trace into tierscope's container.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "cli/verb.h"

#include "sim/base/status_macros.h"
#include "traces/request_container.h"
#include "traces/request_trace.h"

namespace tierscope::cli {
namespace {

struct ImportOptions {
  std::string source;
  std::string out;
  bool overwrite = false;
};

absl::Status RunImport(const ImportOptions& options) {
  std::error_code error;
  if (!options.overwrite && std::filesystem::exists(options.out, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--out: ", options.out, " exists; choose another name or add --overwrite"));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const RequestTrace trace,
                             LoadRequestTrace(options.source, {.load_block_ids = true}));
  TIERSCOPE_RETURN_IF_ERROR(WriteRequestContainer(trace, options.out));
  std::fprintf(stderr, "%s: %zu requests, %lld block ids, digest %s\n", options.out.c_str(),
               trace.requests.size(), static_cast<long long>(trace.block_reference_count),
               trace.digest.c_str());
  return absl::OkStatus();
}

}  // namespace

void AddTraceImport(CLI::App& trace, int* exit_code) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* verb = trace.add_subcommand(
      "import", "Convert a Mooncake, WEKA or Azure 2023 request trace into a tierscope trace");
  verb->add_option("FILE", options->source, "file, or directory of WEKA conversations")->required();
  verb->add_option("--out", options->out, "the trace to write")->required();
  verb->add_flag("--overwrite", options->overwrite, "replace an existing --out");
  verb->callback([options, exit_code] { *exit_code = ExitCode(RunImport(*options)); });
}

}  // namespace tierscope::cli
