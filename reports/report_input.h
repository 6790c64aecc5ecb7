// What `tierscope report` is given: run folders, and the JSON that other verbs print. Read whole,
// within limits, and checked to be JSON; what it means is for the page and the Markdown to say.
#ifndef TIERSCOPE_REPORTS_REPORT_INPUT_H_
#define TIERSCOPE_REPORTS_REPORT_INPUT_H_

#include <string>

#include "absl/status/statusor.h"

namespace tierscope {

enum class ReportInputKind {
  kRun,             // a run folder
  kSweep,           // sweep --format=json
  kCapacity,        // capacity --format=json
  kValidation,      // validate --format=json
  kReconciliation,  // reconcile.json or summary.json, or the folder that holds it
};

// JSON texts are minified; empty where there is no such file.
struct ReportInput {
  ReportInputKind kind = ReportInputKind::kRun;
  std::string path;
  bool is_folder = false;
  std::string document;  // of all kinds but the first; of a sweep its columns (sweep_columns.h)
  // Of a run folder.
  std::string result;
  std::string host;
  std::string series;
  std::string timeline;   // columns (timeline_reader.h)
  std::string reconcile;  // a reconciliation that lies in the folder
  std::string phases;     // sums over phases.csv (phase_sums.h)
  std::string scenario;   // scenario.txtpb as it is
};

// Errors: nothing there, a folder of no run or reconciliation, a file that is none of the kinds, of
// another schema, not JSON, or larger than its limit.
absl::StatusOr<ReportInput> ReadReportInput(const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_REPORT_INPUT_H_
