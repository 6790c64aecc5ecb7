#include "reports/reconcile_text.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "reports/json_writer.h"
#include "reports/text.h"

namespace tierscope {
namespace {

using Lines = std::vector<std::vector<std::string>>;  // the first is the heading

std::string Percent(double fraction) {
  return std::isfinite(fraction) ? absl::StrFormat("%.1f", 100.0 * fraction) : "inf";
}

std::string Ms(double ns) { return absl::StrFormat("%.4g", ns * 1e-6); }

std::string Whole(double count) { return absl::StrFormat("%.0f", count); }

// Columns aligned with two spaces between them, the first left, the others right.
std::string Aligned(const Lines& lines) {
  std::vector<size_t> widths(lines[0].size());
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string out;
  for (const auto& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string pad(widths[i] - line[i].size(), ' ');
      absl::StrAppend(&text, i == 0 ? "" : "  ", i == 0 ? line[i] + pad : pad + line[i]);
    }
    absl::StrAppend(&out, text, "\n");
  }
  return out;
}

// A cell of a Markdown table keeps its row whatever a name holds.
std::string MarkdownCell(const std::string& text) {
  std::string out;
  for (const char c : OneLine(text)) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string Markdown(const Lines& lines) {
  std::string out;
  for (size_t row = 0; row < lines.size(); ++row) {
    out += "|";
    for (const std::string& cell : lines[row]) absl::StrAppend(&out, " ", MarkdownCell(cell), " |");
    out += "\n";
    if (row > 0) continue;
    out += "|";
    for (size_t i = 0; i < lines[0].size(); ++i) out += "---|";
    out += "\n";
  }
  return out;
}

Lines TermLines(const Reconciliation& result) {
  Lines lines = {{"term", "n", "measured ms", "simulated ms", "share %", "error %", "noise %",
                  "bias %", "MAPE %", "P90 %", "P99 %", "NRMSE %", "Pearson", "bound %",
                  "verdict"}};
  for (const Term& term : result.terms) {
    const PairedStats& s = term.stats;
    lines.push_back({term.name + (term.error_of_sums ? " (sum)" : ""), absl::StrCat(s.pairs),
                     Ms(s.measured_median), Ms(s.predicted_median), Percent(term.step_share),
                     Percent(term.error), term.noise ? Percent(term.noise_error) : "-",
                     Percent(s.bias), Percent(s.mape), Percent(s.error_p90), Percent(s.error_p99),
                     Percent(s.nrmse), s.pearson ? absl::StrFormat("%.3f", *s.pearson) : "-",
                     term.bound ? Percent(*term.bound) : "-",
                     std::string(GapVerdictName(term.verdict))});
  }
  return lines;
}

Lines CountLines(const Reconciliation& result) {
  Lines lines = {{"count", "simulated", "measured", "same", "first difference"}};
  for (const CountRow& count : result.counts) {
    const char* same = count.matches() ? "yes" : count.must_match ? "NO" : "no";
    lines.push_back({count.name, Whole(count.simulated), Whole(count.measured), same,
                     count.first_difference.empty() ? "-" : count.first_difference});
  }
  return lines;
}

std::string JobsByDelay(const std::vector<int64_t>& delays) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < delays.size(); ++i) {
    if (delays[i] > 0) parts.push_back(absl::StrCat(i, ": ", delays[i]));
  }
  return parts.empty() ? "none" : absl::StrJoin(parts, ", ");
}

std::string DelayText(const PublishDelays& delays) {
  return absl::StrFormat(
      "Steps that decode on before a job's pages are published (steps: jobs): simulated %s; "
      "measured %s; distance %.2f.",
      JobsByDelay(delays.simulated), JobsByDelay(delays.measured), delays.distance);
}

std::string Basis(const Reconciliation& result) {
  return absl::StrFormat(
      "%d steps measured %d times, the first %d left out; %s.", result.steps_measured,
      result.repeats, result.from_step,
      result.replays ? "both sides replay the same decisions, so counts must be equal"
                     : "publishes are asynchronous, so decisions may fall into other steps");
}

std::string Outcome(const std::vector<std::string>& failures) {
  if (failures.empty()) return "Within all bounds.";
  return absl::StrCat("NOT within bounds:\n  ", absl::StrJoin(failures, "\n  "));
}

std::string ProvenanceText(const Provenance& provenance) {
  std::string out;
  for (const auto& [name, value] : provenance) {
    absl::StrAppend(&out, name, ": ", OneLine(value), "\n");
  }
  return out;
}

std::string ProvenanceMarkdown(const Provenance& provenance) {
  std::string out;
  for (const auto& [name, value] : provenance) {
    absl::StrAppend(&out, "- ", name, ": ", OneLine(value), "\n");
  }
  return out;
}

void WriteProvenance(const Provenance& provenance, JsonWriter* json) {
  json->Key("provenance").BeginObject();
  for (const auto& [name, value] : provenance) json->Key(name).String(value);
  json->EndObject();
}

void WriteStats(const PairedStats& stats, JsonWriter* json) {
  json->BeginObject(JsonWriter::Layout::kInline);
  json->Key("n").Int(stats.pairs);
  json->Key("measured_median_ns").Double(stats.measured_median);
  json->Key("simulated_median_ns").Double(stats.predicted_median);
  json->Key("mape").Double(stats.mape).Key("bias").Double(stats.bias);
  json->Key("bias_p50").Double(stats.bias_p50);
  json->Key("error_p50").Double(stats.error_p50).Key("error_p90").Double(stats.error_p90);
  json->Key("error_p99").Double(stats.error_p99).Key("nrmse").Double(stats.nrmse);
  json->Key("pearson");
  stats.pearson ? json->Double(*stats.pearson) : json->Null();
  json->EndObject();
}

void WriteTerm(const Term& term, JsonWriter* json) {
  json->BeginObject();
  json->Key("term").String(term.name);
  json->Key("of").String(term.of_step ? "step" : "job");
  // An error that has no finite size is null.
  json->Key("error");
  std::isfinite(term.error) ? json->Double(term.error) : json->Null();
  json->Key("error_of_sums").Bool(term.error_of_sums);
  json->Key("step_share").Double(term.step_share);
  json->Key("bound");
  term.bound ? json->Double(*term.bound) : json->Null();
  json->Key("verdict").String(GapVerdictName(term.verdict));
  json->Key("stats");
  WriteStats(term.stats, json);
  json->Key("noise");
  term.noise ? WriteStats(*term.noise, json) : static_cast<void>(json->Null());
  json->EndObject();
}

void WriteDelays(const std::vector<int64_t>& delays, JsonWriter* json) {
  json->BeginArray(JsonWriter::Layout::kInline);
  for (const int64_t jobs : delays) json->Int(jobs);
  json->EndArray();
}

void WriteReconciliation(const Reconciliation& result, JsonWriter* json) {
  json->Key("scenario").String(result.name);
  json->Key("passed").Bool(result.passed());
  json->Key("backend").String(result.bounds.backend);
  json->Key("steps").Int(result.steps_measured).Key("from_step").Int(result.from_step);
  json->Key("repeats").Int(result.repeats).Key("replays").Bool(result.replays);
  json->Key("terms").BeginArray();
  for (const Term& term : result.terms) WriteTerm(term, json);
  json->EndArray();
  json->Key("counts").BeginArray();
  for (const CountRow& count : result.counts) {
    json->BeginObject(JsonWriter::Layout::kInline).Key("count").String(count.name);
    json->Key("simulated").Double(count.simulated).Key("measured").Double(count.measured);
    json->Key("must_match").Bool(count.must_match);
    json->Key("first_difference").String(count.first_difference).EndObject();
  }
  json->EndArray();
  json->Key("publish_delay_steps").BeginObject();
  json->Key("simulated");
  WriteDelays(result.publish_delays.simulated, json);
  json->Key("measured");
  WriteDelays(result.publish_delays.measured, json);
  json->Key("distance").Double(result.publish_delays.distance).EndObject();
  json->Key("failures").BeginArray();
  for (const std::string& failure : result.Failures()) json->String(failure);
  json->EndArray();
  json->Key("flags").BeginArray();
  for (const std::string& flag : result.flags) json->String(flag);
  json->EndArray();
}

Lines SuiteLines(const ReconcileSuite& suite) {
  Lines lines = {{"scenario", "steps", "measured ms", "simulated ms", "error %", "noise %",
                  "bound %", "rest error %", "rest noise %", "bound %", "counts", "outcome"}};
  for (const Reconciliation& result : suite.scenarios) {
    const Term& step = *result.Find("step");
    const Term& rest = *result.Find("step - ballast");
    const bool counted =
        std::all_of(result.counts.begin(), result.counts.end(),
                    [](const CountRow& count) { return !count.must_match || count.matches(); });
    lines.push_back({result.name, absl::StrCat(step.stats.pairs), Ms(step.stats.measured_median),
                     Ms(step.stats.predicted_median), Percent(step.error),
                     step.noise ? Percent(step.noise_error) : "-", Percent(*step.bound),
                     Percent(rest.error), rest.noise ? Percent(rest.noise_error) : "-",
                     Percent(*rest.bound),
                     !counted         ? "DIFFER"
                     : result.replays ? "equal"
                                      : "async",
                     result.passed() ? "within" : "BROKEN"});
  }
  return lines;
}

Lines RankLines(const RankAgreement& ranks) {
  Lines lines = {{"configuration", "measured ms", "simulated ms"}};
  for (size_t i = 0; i < ranks.costs.size(); ++i) {
    lines.push_back(
        {ranks.configurations[i], Ms(ranks.costs[i].measured), Ms(ranks.costs[i].predicted)});
  }
  return lines;
}

std::string RankText(const RankAgreement& ranks) {
  return absl::StrFormat(
      "Rank agreement over %d configurations by %s: Kendall tau %.2f; choosing by simulation costs "
      "%s %% more than the best measured one.",
      ranks.costs.size(), ranks.cost, ranks.kendall_tau, Percent(ranks.regret));
}

// Steps within their bound and flags of every scenario, for a reader of the summary.
std::vector<std::string> SuiteRemarks(const ReconcileSuite& suite) {
  std::vector<std::string> remarks;
  for (const Reconciliation& result : suite.scenarios) {
    for (const std::string& flag : result.flags) {
      remarks.push_back(absl::StrCat(result.name, ": ", OneLine(flag)));
    }
    for (const std::string& failure : result.Failures()) {
      remarks.push_back(absl::StrCat(result.name, ": ", failure));
    }
  }
  return remarks;
}

constexpr char kSuiteHeading[] =
    "error: median over steps of |simulated / measured - 1|; noise: the same between repeats of "
    "the real run; rest: step - ballast.";

}  // namespace

std::string ReconcileTable(const Reconciliation& result, const Provenance& provenance) {
  std::string out =
      absl::StrCat(OneLine(result.name), "\n", ProvenanceText(provenance), Basis(result), "\n\n",
                   Aligned(TermLines(result)), "\n", Aligned(CountLines(result)), "\n");
  absl::StrAppend(&out, DelayText(result.publish_delays), "\n");
  for (const std::string& flag : result.flags) absl::StrAppend(&out, OneLine(flag), "\n");
  return absl::StrCat(out, Outcome(result.Failures()), "\n");
}

std::string ReconcileMarkdown(const Reconciliation& result, const Provenance& provenance) {
  std::string out =
      absl::StrCat("## ", OneLine(result.name), "\n\n", ProvenanceMarkdown(provenance), "\n",
                   Basis(result), "\n\n", Markdown(TermLines(result)), "\n",
                   Markdown(CountLines(result)), "\n", DelayText(result.publish_delays), "\n");
  for (const std::string& flag : result.flags) absl::StrAppend(&out, "\n", OneLine(flag), "\n");
  return absl::StrCat(out, "\n", Outcome(result.Failures()), "\n");
}

std::string ReconcileJson(const Reconciliation& result, const Provenance& provenance) {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject();
  WriteProvenance(provenance, &json);
  WriteReconciliation(result, &json);
  json.EndObject();
  return absl::StrCat(out, "\n");
}

bool ReconcileSuite::passed() const {
  return std::all_of(scenarios.begin(), scenarios.end(),
                     [](const Reconciliation& result) { return result.passed(); });
}

std::string SuiteTable(const ReconcileSuite& suite, const Provenance& provenance) {
  std::string out = absl::StrCat(ProvenanceText(provenance), kSuiteHeading, "\n\n",
                                 Aligned(SuiteLines(suite)), "\n");
  if (suite.ranks) {
    absl::StrAppend(&out, Aligned(RankLines(*suite.ranks)), "\n", RankText(*suite.ranks), "\n");
  }
  for (const std::string& remark : SuiteRemarks(suite)) absl::StrAppend(&out, remark, "\n");
  return out;
}

std::string SuiteMarkdown(const ReconcileSuite& suite, const Provenance& provenance) {
  std::string out = absl::StrCat(ProvenanceMarkdown(provenance), "\n", kSuiteHeading, "\n\n",
                                 Markdown(SuiteLines(suite)), "\n");
  if (suite.ranks) {
    absl::StrAppend(&out, Markdown(RankLines(*suite.ranks)), "\n", RankText(*suite.ranks), "\n\n");
  }
  for (const std::string& remark : SuiteRemarks(suite)) absl::StrAppend(&out, "- ", remark, "\n");
  return out;
}

std::string SuiteJson(const ReconcileSuite& suite, const Provenance& provenance) {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject();
  WriteProvenance(provenance, &json);
  json.Key("passed").Bool(suite.passed());
  json.Key("scenarios").BeginArray();
  for (const Reconciliation& result : suite.scenarios) {
    json.BeginObject();
    WriteReconciliation(result, &json);
    json.EndObject();
  }
  json.EndArray();
  json.Key("rank_agreement");
  if (suite.ranks) {
    json.BeginObject().Key("cost").String(suite.ranks->cost);
    json.Key("kendall_tau").Double(suite.ranks->kendall_tau);
    json.Key("regret").Double(suite.ranks->regret);
    json.Key("configurations").BeginArray();
    for (size_t i = 0; i < suite.ranks->costs.size(); ++i) {
      json.BeginObject(JsonWriter::Layout::kInline);
      json.Key("configuration").String(suite.ranks->configurations[i]);
      json.Key("measured").Double(suite.ranks->costs[i].measured);
      json.Key("simulated").Double(suite.ranks->costs[i].predicted).EndObject();
    }
    json.EndArray().EndObject();
  } else {
    json.Null();
  }
  json.EndObject();
  return absl::StrCat(out, "\n");
}

}  // namespace tierscope
