#include "reports/csv.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "reports/json_writer.h"
#include "reports/schema/metrics.h"
#include "reports/text.h"

namespace tierscope {

std::string CsvField(absl::string_view text) {
  const std::string valid = ValidUtf8(text);
  if (valid.find_first_of(",\"\r\n") == std::string::npos) return valid;
  return absl::StrCat("\"", absl::StrReplaceAll(valid, {{"\"", "\"\""}}), "\"");
}

std::string MetricsCsv(std::span<const RunReport> runs) {
  std::string out = "scenario,metric,unit,value,absent\n";
  for (const RunReport& run : runs) {
    const std::string scenario = CsvField(run.result.scenario());
    for (const Metric& metric : run.result.metrics()) {
      absl::StrAppend(&out, scenario, ",", CsvField(metric.name()), ",", CsvField(metric.unit()),
                      ",");
      if (HasValue(metric)) AppendJsonNumber(metric.value(), &out);
      absl::StrAppend(&out, ",", CsvField(metric.absent()), "\n");
    }
  }
  return out;
}

}  // namespace tierscope
