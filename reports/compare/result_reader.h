// Reads result.json back, as `tierscope run` and `tierscope real` leave it, and what --format=json
// prints. Hostile input ends as a status. Stateless; cost linear in the text.
#ifndef TIERSCOPE_REPORTS_COMPARE_RESULT_READER_H_
#define TIERSCOPE_REPORTS_COMPARE_RESULT_READER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "reports/schema/result.pb.h"

namespace tierscope {

inline constexpr size_t kResultBytesMax = size_t{4} << 20;  // of one file; a result has some 10 KB

// host.json: what depends on the machine. Numbers that were not measured are left out.
struct HostFacts {
  std::vector<std::pair<std::string, double>> metrics;  // by kHostMetrics
  std::string cpu;
  std::string build_type;
};

struct ReadResult {
  RunResult result;  // identity, inputs, metrics, violations; not footprint, notes and profiles
  bool has_host = false;
  HostFacts host;
};

// One object, or an array of them. Errors, "path: what; what to do": no JSON, no result, a result
// of another schema_version, a metric twice, one with neither value nor reason.
absl::StatusOr<std::vector<ReadResult>> ParseResults(const std::string& text,
                                                     const std::string& path);

absl::StatusOr<HostFacts> ParseHost(const std::string& text, const std::string& path);

// A whole file of at most kResultBytesMax.
absl::StatusOr<std::string> ReadResultFile(const std::string& path);

// samples.csv, repeats of measured metrics: header `metric,repeat,value`, a row a measurement,
// repeats in any order. In order of first appearance, samples by repeat. Errors, "path:line: what":
// another header, a value that is no number, a repeat twice.
struct MetricRepeats {
  std::string metric;
  std::vector<double> values;
};
absl::StatusOr<std::vector<MetricRepeats>> ParseSamples(const std::string& text,
                                                        const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_COMPARE_RESULT_READER_H_
