// Reads back what result_json.h writes: result.json as `tierscope run` and `tierscope real` leave
// it, what --format=json prints, host.json; and samples.csv. Hostile input ends as a status.
// Stateless; cost linear in the text.
#ifndef TIERSCOPE_REPORTS_RESULT_READER_H_
#define TIERSCOPE_REPORTS_RESULT_READER_H_

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
  RunResult result;
  bool has_host = false;
  HostFacts host;
};

// One object, or an array of them. Errors, "path: what; what to do": no JSON, no result, a result
// of another schema_version, a member that is missing or of another type, a metric twice, one with
// neither value nor reason. Members that are not known are passed over.
absl::StatusOr<std::vector<ReadResult>> ParseResults(const std::string& text,
                                                     const std::string& path);
// The same of exactly one.
absl::StatusOr<RunResult> ParseResult(const std::string& text, const std::string& path);

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

#endif  // TIERSCOPE_REPORTS_RESULT_READER_H_
