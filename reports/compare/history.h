// Results over time: one SQLite file, a run a row under the label that names what was run, usually
// a commit. Rows are only added; recording a run again changes nothing. Not thread-safe; two
// processes that record at once take turns (SQLite's lock), so the file belongs on a local file
// system.
#ifndef TIERSCOPE_REPORTS_COMPARE_HISTORY_H_
#define TIERSCOPE_REPORTS_COMPARE_HISTORY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "reports/compare/change_points.h"
#include "reports/compare/run_set.h"

namespace tierscope {

// One metric of one scenario, oldest first, of the runs that the newest one can be compared with:
// the same fingerprint, and where measured the same host.
struct MetricHistory {
  std::string scenario, metric, unit;
  bool measured = false;
  std::vector<std::string> labels;
  std::vector<double> values;  // of measured metrics medians
  int64_t left_out = 0;        // runs of the scenario with another fingerprint or host
};

// Of measured metrics by FindChangePoints, of simulated ones every change.
std::vector<ChangePoint> ChangesOf(const MetricHistory& history);

struct Recorded {
  int64_t runs = 0, values = 0;  // added; what was there already is not counted
};

class History {
 public:
  History(History&&) noexcept;
  History& operator=(History&&) noexcept;
  ~History();

  // Opens the file, or makes it where `create`. Errors: not there, no history, of another schema.
  static absl::StatusOr<History> Open(const std::string& path, bool create);

  // Adds every scenario of `runs` under `label`, in one transaction. Error, nothing added: the
  // label has another value of a simulated metric for the same fingerprint.
  absl::StatusOr<Recorded> Record(const RunSet& runs, const std::string& label);

  // `metric` or, where it is empty, all, by scenario and metric in the order they were recorded.
  // Errors: the history is empty, or has no such metric.
  absl::StatusOr<std::vector<MetricHistory>> Read(const std::string& metric) const;

 private:
  class Impl;
  explicit History(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_COMPARE_HISTORY_H_
