// The inputs of `tierscope report`: documents, results, timelines, phase logs.
#include "simdjson.h"

#include "reports/markdown.h"
#include "reports/page.h"
#include "reports/phase_sums.h"
#include "reports/reconcile_reader.h"
#include "reports/report_input.h"
#include "reports/result_json.h"
#include "reports/result_reader.h"
#include "reports/timeline_reader.h"
#include "sim/base/check.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"

namespace tierscope::testing {
namespace {

void CheckJson(const std::string& text) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  TIERSCOPE_CHECK(parser.parse(text).get(root) == simdjson::SUCCESS);
}

// What a page or Markdown of it would hold; columns are JSON too.
void CheckShown(const ReportInput& input) {
  const std::string data = PageData({&input, 1}, "0");
  TIERSCOPE_CHECK(data.find('<') == std::string::npos);
  CheckJson(data);
  const absl::StatusOr<std::string> text = ReportMarkdown({&input, 1}, "0");
  if (!text.ok()) return CheckError(text.status(), input.path);
  TIERSCOPE_CHECK(text->find('<') == std::string::npos);
}

// One that is read prints as it was read.
void FuzzReconciliation(const std::string& input, const std::string& path) {
  const absl::StatusOr<ReconcileDocument> read = ParseReconcile(input, path);
  if (!read.ok()) return CheckError(read.status(), path);
  const auto print = [](const ReconcileDocument& document) {
    return document.is_suite ? SuiteJson(document.suite, document.provenance)
                             : ReconcileJson(document.suite.scenarios[0], document.provenance);
  };
  const std::string printed = print(*read);
  const absl::StatusOr<ReconcileDocument> again = ParseReconcile(printed, path);
  TIERSCOPE_CHECK(again.ok() && print(*again) == printed);
}

}  // namespace

void FuzzReportInput(absl::string_view input) {
  MemoryFile file;
  const std::string& path = file.Fill(input);
  const absl::StatusOr<ReportInput> read = ReadReportInput(path);
  if (read.ok()) {
    CheckShown(*read);
  } else {
    CheckError(read.status(), path);
  }
  const absl::StatusOr<RunResult> result = ParseResult(std::string(input), path);
  if (!result.ok()) {
    CheckError(result.status(), path);
  } else {
    const std::string printed = ResultJson(*result);
    const absl::StatusOr<RunResult> again = ParseResult(printed, path);
    TIERSCOPE_CHECK(again.ok() && ResultJson(*again) == printed);
  }
  FuzzReconciliation(std::string(input), path);
  const absl::StatusOr<std::string> columns = TimelineColumns(path);
  columns.ok() ? CheckJson(*columns) : CheckError(columns.status(), path);
  const absl::StatusOr<std::string> sums = PhaseSums(path);
  sums.ok() ? CheckJson(*sums) : CheckError(sums.status(), path);
}

}  // namespace tierscope::testing
