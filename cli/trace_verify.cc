// tierscope trace verify: which parts of a container are damaged, and a copy of all others.
#include <cstdio>
#include <memory>
#include <string>

#include "cli/trace.h"
#include "cli/verb.h"

#include "sim/base/status_macros.h"
#include "traces/container.h"
#include "traces/container_verify.h"

namespace tierscope::cli {
namespace {

struct Arguments {
  std::string file;
  std::string recover;
  bool overwrite = false;
};

void PrintReport(const std::string& file, const ContainerReport& report) {
  const auto number = [](int64_t n) { return static_cast<long long>(n); };
  std::printf("%s: %lld bytes, %lld good frames with %lld records", file.c_str(),
              number(report.file_bytes), number(report.frames_good), number(report.records_good));
  if (report.records_expected >= 0) std::printf(" of %lld", number(report.records_expected));
  std::printf(", %s\n", report.damaged.empty() ? "whole" : "damaged:");
  for (const DamagedRange& range : report.damaged) {
    std::printf("  bytes %lld to %lld: %s\n", number(range.begin), number(range.end),
                range.what.c_str());
  }
}

absl::Status Verify(const Arguments& arguments, bool* is_whole) {
  std::unique_ptr<ContainerWriter> recovered;
  if (!arguments.recover.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(CheckOutputFile(arguments.recover, arguments.overwrite));
    TIERSCOPE_ASSIGN_OR_RETURN(recovered, ContainerWriter::Open(arguments.recover));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const ContainerReport report,
                             VerifyContainer(arguments.file, recovered.get()));
  PrintReport(arguments.file, report);
  *is_whole = report.damaged.empty();
  if (recovered == nullptr) return absl::OkStatus();
  TIERSCOPE_RETURN_IF_ERROR(recovered->Finish());
  std::printf("%s: %lld records written\n", arguments.recover.c_str(),
              static_cast<long long>(recovered->record_count()));
  return absl::OkStatus();
}

}  // namespace

void AddTraceVerify(CLI::App& trace, int* exit_code) {
  CLI::App* app = trace.add_subcommand(
      "verify", "Check every byte of a trace; exit code 1 when some are damaged");
  auto arguments = std::make_shared<Arguments>();
  app->add_option("file", arguments->file, "Trace file")->required();
  app->add_option("--recover", arguments->recover,
                  "Write all undamaged records here, with a gap record for each damaged range");
  app->add_flag("--overwrite", arguments->overwrite, "Replace the recovered file");
  app->callback([arguments, exit_code] {
    bool is_whole = true;
    *exit_code = ExitCode(Verify(*arguments, &is_whole));
    if (*exit_code == kExitDone && !is_whole) *exit_code = kExitBoundFailed;
  });
}

}  // namespace tierscope::cli
