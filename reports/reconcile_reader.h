// Reads back what reconcile_text.h writes as JSON: reconcile.json of one scenario, summary.json of
// a suite or grid. Hostile input ends as a status. Stateless; cost linear in the text.
#ifndef TIERSCOPE_REPORTS_RECONCILE_READER_H_
#define TIERSCOPE_REPORTS_RECONCILE_READER_H_

#include <string>

#include "absl/status/statusor.h"

#include "reports/reconcile_text.h"

namespace tierscope {

struct ReconcileDocument {
  bool is_suite = false;
  ReconcileSuite suite;  // of a reconcile.json its one scenario
  ReconcileProvenance provenance;
};

// What is written again from it has the same bytes; points and worst cases are read where they are.
// Errors, "path: what; what to do": no JSON, a member that is missing or of another type, a
// scenario without the terms `step` and `step - ballast` or without their bounds, lists of points
// that are not equally long, a `passed` that does not follow from verdicts and counts.
absl::StatusOr<ReconcileDocument> ParseReconcile(const std::string& text, const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_RECONCILE_READER_H_
