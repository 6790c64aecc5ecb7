#include "reports/compare/rows.h"

#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "reports/csv.h"
#include "reports/json_writer.h"
#include "reports/text.h"

namespace tierscope {
namespace {

constexpr JsonWriter::Layout kInline = JsonWriter::Layout::kInline;

std::string Exact(double value) {
  std::string text;
  AppendJsonNumber(value, &text);
  return text;
}

std::string ValueText(const std::optional<double>& value, bool measured) {
  if (!value) return "-";
  return measured ? absl::StrFormat("%.6g", *value) : Exact(*value);
}

// Signed percent with three digits that mean something: 1e-14 is not "+0.00 %".
std::string PercentText(double share) {
  const double percent = share * 100;
  if (percent == 0) return "0";
  return std::abs(percent) >= 0.01 ? absl::StrFormat("%+.2f", percent)
                                   : absl::StrFormat("%+.1e", percent);
}

std::string ChangeText(const MetricComparison& comparison) {
  if (!comparison.base || !comparison.next) return "-";
  const double base = *comparison.base, next = *comparison.next;
  if (base == next) return "0";
  if (base == 0) return absl::StrCat(next > 0 ? "+" : "", ValueText(next, true));
  std::string text = absl::StrCat(PercentText((next - base) / std::abs(base)), " %");
  if (comparison.ratio) {
    absl::StrAppend(&text, " [", PercentText(comparison.ratio->low - 1), ", ",
                    PercentText(comparison.ratio->high - 1), "]");
  }
  return text;
}

void AddCount(absl::string_view name, int count, std::vector<std::string>* parts) {
  if (count > 0) parts->push_back(absl::StrCat(count, " ", name));
}

std::string Plural(size_t count, absl::string_view word) {
  return absl::StrCat(count, " ", word, count == 1 ? "" : "s");
}

void WriteOptional(absl::string_view key, const std::optional<double>& value, JsonWriter* json) {
  json->Key(key);
  if (value && std::isfinite(*value)) {
    json->Double(*value);
  } else {
    json->Null();
  }
}

void WriteMetric(const MetricComparison& comparison, JsonWriter* json) {
  json->BeginObject(kInline);
  json->Key("scenario").String(comparison.scenario);
  json->Key("metric").String(comparison.metric);
  json->Key("verdict").String(VerdictName(comparison.verdict));
  json->Key("fails").Bool(comparison.fails);
  json->Key("measured").Bool(comparison.measured);
  json->Key("unit").String(comparison.unit);
  WriteOptional("base", comparison.base, json);
  WriteOptional("new", comparison.next, json);
  if (comparison.measured) {
    json->Key("base_samples").Int(static_cast<int64_t>(comparison.base_samples));
    json->Key("new_samples").Int(static_cast<int64_t>(comparison.next_samples));
  }
  if (comparison.ratio) {
    WriteOptional("ratio_low", comparison.ratio->low, json);
    WriteOptional("ratio_high", comparison.ratio->high, json);
  }
  if (!comparison.why.empty()) json->Key("why").String(comparison.why);
  if (!comparison.waiver.empty()) json->Key("waiver").String(comparison.waiver);
  json->EndObject();
}

}  // namespace

ComparisonCells CellsOf(const MetricComparison& comparison) {
  ComparisonCells cells;
  cells.base = ValueText(comparison.base, comparison.measured);
  cells.next = ValueText(comparison.next, comparison.measured);
  cells.change = ChangeText(comparison);
  if (comparison.measured) {
    cells.samples = absl::StrCat(comparison.base_samples, " / ", comparison.next_samples);
  }
  cells.why = OneLine(comparison.why);
  if (!comparison.waiver.empty()) {
    absl::StrAppend(&cells.why, cells.why.empty() ? "" : "; ",
                    "waived: ", OneLine(comparison.waiver));
  }
  return cells;
}

VerdictCounts CountVerdicts(const Comparison& comparison) {
  VerdictCounts counts;
  for (const MetricComparison& metric : comparison.metrics) {
    counts.failing += metric.fails ? 1 : 0;
    counts.waived += metric.waiver.empty() ? 0 : 1;
    switch (metric.verdict) {
      case Verdict::kSame:
        ++counts.same;
        break;
      case Verdict::kImproved:
        ++counts.improved;
        break;
      case Verdict::kRegressed:
        ++counts.regressed;
        break;
      case Verdict::kChanged:
        ++counts.changed;
        break;
      case Verdict::kAmbiguous:
        ++counts.ambiguous;
        break;
      case Verdict::kMissing:
        ++counts.missing;
        break;
      case Verdict::kNew:
        ++counts.fresh;
        break;
    }
  }
  return counts;
}

std::string Headline(const Comparison& comparison) {
  std::set<std::string> scenarios;
  for (const MetricComparison& metric : comparison.metrics) scenarios.insert(metric.scenario);
  const std::string of = absl::StrCat(Plural(comparison.metrics.size(), "metric"), " in ",
                                      Plural(scenarios.size(), "scenario"));
  if (comparison.passes) return absl::StrCat("passed: ", of);
  const int failing = CountVerdicts(comparison).failing;
  std::string text = absl::StrCat("failed: ", failing, " of ", of);
  if (!comparison.problems.empty()) {
    absl::StrAppend(&text, ", ", Plural(comparison.problems.size(), "other problem"));
  }
  return text;
}

std::string CountsText(const Comparison& comparison) {
  const VerdictCounts counts = CountVerdicts(comparison);
  std::vector<std::string> parts;
  AddCount("regressed", counts.regressed, &parts);
  AddCount("missing", counts.missing, &parts);
  AddCount("changed", counts.changed, &parts);
  AddCount("ambiguous", counts.ambiguous, &parts);
  AddCount("improved", counts.improved, &parts);
  AddCount("new", counts.fresh, &parts);
  AddCount("same", counts.same, &parts);
  if (counts.waived > 0) parts.push_back(absl::StrCat(counts.waived, " of them waived"));
  return absl::StrJoin(parts, ", ");
}

bool IsDull(const MetricComparison& comparison) {
  return comparison.verdict == Verdict::kSame &&
         (comparison.measured || comparison.base == comparison.next);
}

std::string ComparisonJson(const Comparison& comparison) {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject();
  json.Key("base").String(comparison.base_path);
  json.Key("new").String(comparison.next_path);
  json.Key("base_version").String(comparison.base_version);
  json.Key("new_version").String(comparison.next_version);
  json.Key("passes").Bool(comparison.passes);
  json.Key("headline").String(Headline(comparison));
  json.Key("problems").BeginArray();
  for (const Problem& problem : comparison.problems) {
    json.BeginObject(kInline);
    json.Key("scenario").String(problem.scenario);
    json.Key("what").String(problem.what);
    json.EndObject();
  }
  json.EndArray();
  json.Key("notes").BeginArray();
  for (const std::string& note : comparison.notes) json.String(note);
  json.EndArray();
  json.Key("metrics").BeginArray();
  for (const MetricComparison& metric : comparison.metrics) WriteMetric(metric, &json);
  json.EndArray();
  json.EndObject();
  return out + "\n";
}

std::string ComparisonCsv(const Comparison& comparison) {
  std::string out =
      "scenario,metric,verdict,fails,base,new,unit,ratio_low,ratio_high,base_samples,new_samples,"
      "why,waiver\n";
  const auto number = [](const std::optional<double>& value) {
    return value && std::isfinite(*value) ? Exact(*value) : std::string();
  };
  for (const MetricComparison& m : comparison.metrics) {
    const std::string low = m.ratio ? number(m.ratio->low) : "";
    const std::string high = m.ratio ? number(m.ratio->high) : "";
    absl::StrAppend(&out, CsvField(OneLine(m.scenario)), ",", CsvField(OneLine(m.metric)), ",",
                    VerdictName(m.verdict), ",", m.fails ? "true" : "false", ",", number(m.base),
                    ",", number(m.next), ",", CsvField(OneLine(m.unit)), ",", low, ",", high, ",",
                    m.base_samples, ",", m.next_samples, ",", CsvField(OneLine(m.why)), ",",
                    CsvField(OneLine(m.waiver)), "\n");
  }
  return out;
}

}  // namespace tierscope
