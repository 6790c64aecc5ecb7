// metrics.csv: one row a metric and run, tidy, so that a data frame reads it as it is.
// A pure function; equal runs give equal bytes.
#ifndef TIERSCOPE_REPORTS_CSV_H_
#define TIERSCOPE_REPORTS_CSV_H_

#include <span>
#include <string>

#include "absl/strings/string_view.h"

#include "reports/host_result.h"

namespace tierscope {

// `text` as one CSV field (RFC 4180): quoted where it holds a comma, a quote or a line break.
std::string CsvField(absl::string_view text);

// Header `scenario,metric,unit,value,absent`, then every metric of every run. Of `value` and
// `absent` (the reason) exactly one is filled. Numbers read back exactly. Lines end in "\n".
std::string MetricsCsv(std::span<const RunReport> runs);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_CSV_H_
