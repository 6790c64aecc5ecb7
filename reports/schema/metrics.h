// The metrics of a run: one table of definitions, and the builder that fills a RunResult from it.
// Owner: whoever writes a RunResult (engine, real mode). One thread. Cost: a few dozen strings a
// run.
//
// README.md beside this file lists the same table for people; a test holds the two together.
#ifndef TIERSCOPE_REPORTS_SCHEMA_METRICS_H_
#define TIERSCOPE_REPORTS_SCHEMA_METRICS_H_

#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "reports/schema/result.pb.h"

namespace tierscope {

// The version of result.json's layout; raised when a reader of the old one would misread the new.
inline constexpr int kResultSchemaVersion = 1;

struct MetricDef {
  absl::string_view name;
  absl::string_view unit;        // "fraction" is in [0, 1]
  absl::string_view scope;       // "rank", "node", "replica", "request", "link" or "trace"
  absl::string_view definition;  // one sentence, the formula in it
};

// All metrics, in the order in which every report lists them. Names are unique.
std::span<const MetricDef> MetricDefinitions();

// The definition of `name`, or null.
const MetricDef* FindMetricDefinition(absl::string_view name);

// The metric called `name` in `result`, or null.
const Metric* FindMetric(const RunResult& result, absl::string_view name);

// True when `metric` has a value; otherwise its `absent` is the reason.
inline bool HasValue(const Metric& metric) { return metric.absent().empty(); }

// Collects the metrics of one run. An unknown name, a name set twice, a value that is not finite,
// an empty reason and a metric never set are bugs of ours: each ends the process and names the
// metric.
class MetricSet {
 public:
  MetricSet();
  void Set(absl::string_view name, double value);
  void SetAbsent(absl::string_view name, absl::string_view reason);
  // True when `name` was already given a value or a reason.
  bool IsSet(absl::string_view name) const;
  // Replaces result->metrics with every metric in the order of the definitions.
  void Finish(RunResult* result) const;

 private:
  struct Slot {
    bool set = false;
    double value = 0;
    std::string absent;
  };
  std::vector<Slot> slots_;  // by position in MetricDefinitions()
};

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_SCHEMA_METRICS_H_
