#include "reports/reconcile_reader.h"

#include <cmath>
#include <limits>

#include "reports/json_members.h"

namespace tierscope {
namespace {

constexpr size_t kScenariosMax = 10'000;
constexpr size_t kPointsMax = 100'000;  // of one term

constexpr GapVerdict kVerdicts[] = {GapVerdict::kWithin, GapVerdict::kInsideNoise,
                                    GapVerdict::kBroken, GapVerdict::kNotJudged};

GapVerdict VerdictOf(const JsonMembers& from) {
  const std::string text = from.Text("verdict");
  for (const GapVerdict verdict : kVerdicts) {
    if (GapVerdictName(verdict) == text) return verdict;
  }
  from.problem().FoundIn("verdict", "is none of a reconciliation's");
  return GapVerdict::kNotJudged;
}

PairedStats StatsOf(const JsonMembers& from) {
  PairedStats stats;
  stats.pairs = from.Int("n");
  stats.measured_median = from.Number("measured_median_ns");
  stats.predicted_median = from.Number("simulated_median_ns");
  stats.mape = from.Number("mape");
  stats.bias = from.Number("bias");
  stats.bias_p50 = from.Number("bias_p50");
  stats.error_p50 = from.Number("error_p50");
  stats.error_p90 = from.Number("error_p90");
  stats.error_p99 = from.Number("error_p99");
  stats.nrmse = from.Number("nrmse");
  if (!from.IsNull("pearson")) stats.pearson = from.Number("pearson");
  return stats;
}

// An error without a finite size is null.
double ErrorOf(const JsonMembers& from, const char* key) {
  return from.IsNull(key) ? std::numeric_limits<double>::infinity() : from.Number(key);
}

std::vector<PredictedMeasured> PointsOf(const JsonMembers& from) {
  const std::vector<int64_t> numbers = from.List<int64_t>("number");
  const std::vector<double> measured = from.List<double>("measured_ns");
  const std::vector<double> simulated = from.List<double>("simulated_ns");
  if (measured.size() != numbers.size() || simulated.size() != numbers.size()) {
    from.problem().FoundIn("points", "has lists of different lengths");
    return {};
  }
  if (numbers.size() > kPointsMax) from.problem().FoundIn("points", "has more than 100,000");
  std::vector<PredictedMeasured> points;
  for (size_t i = 0; i < numbers.size(); ++i) {
    points.push_back({simulated[i], measured[i], numbers[i]});
  }
  return points;
}

Term TermOf(const JsonMembers& from) {
  Term term;
  term.name = from.Text("term");
  term.of_step = from.Text("of") == "step";
  term.error = ErrorOf(from, "error");
  term.error_of_sums = from.Bool("error_of_sums");
  term.step_share = from.Number("step_share");
  if (!from.IsNull("bound")) term.bound = from.Number("bound");
  term.verdict = VerdictOf(from);
  if (term.verdict != GapVerdict::kNotJudged && !term.bound) {
    from.problem().FoundIn("bound", "is not there, and the term is judged");
  }
  term.stats = StatsOf(from.Object("stats"));
  if (!from.IsNull("noise")) {
    term.noise = StatsOf(from.Object("noise"));
    // Files from before the member was written: the same but for errors of sums.
    const bool written = from.Has("noise_error");
    term.noise_error = written ? ErrorOf(from, "noise_error") : term.noise->error_p50;
  }
  if (from.Has("points")) term.points = PointsOf(from.Object("points"));
  return term;
}

WorstCase WorstOf(const JsonMembers& from) {
  WorstCase worst{from.Text("term"),
                  {from.Number("simulated_ns"), from.Number("measured_ns"), from.Int("number")}};
  if (!std::isfinite(worst.error())) from.problem().FoundIn("worst", "has a case without a time");
  return worst;
}

void CheckTerms(const Reconciliation& result, JsonProblem* problem) {
  for (const char* name : {"step", "step - ballast"}) {
    const Term* term = result.Find(name);
    if (term == nullptr || !term->bound) {
      problem->FoundIn("terms", absl::StrCat("has no bounded term ", Quoted(name)));
    }
  }
}

Reconciliation ScenarioOf(const JsonMembers& from) {
  Reconciliation result;
  result.name = from.Text("scenario");
  result.bounds.backend = from.Text("backend");
  result.steps_measured = from.Int("steps");
  result.from_step = from.Int("from_step");
  result.repeats = from.Int("repeats");
  result.replays = from.Bool("replays");
  for (const JsonMembers& term : from.Objects("terms")) result.terms.push_back(TermOf(term));
  if (from.Has("worst")) {
    for (const JsonMembers& worst : from.Objects("worst")) result.worst.push_back(WorstOf(worst));
  }
  for (const JsonMembers& count : from.Objects("counts")) {
    result.counts.push_back({count.Text("count"), count.Number("simulated"),
                             count.Number("measured"), count.Bool("must_match"),
                             count.Text("first_difference")});
  }
  const JsonMembers delays = from.Object("publish_delay_steps");
  result.publish_delays = {delays.List<int64_t>("simulated"), delays.List<int64_t>("measured"),
                           delays.Number("distance")};
  for (const std::string_view flag : from.List<std::string_view>("flags")) {
    result.flags.emplace_back(flag);
  }
  CheckTerms(result, &from.problem());
  if (from.Bool("passed") != result.passed()) {
    from.problem().FoundIn("passed", "is not what errors and counts come to");
  }
  return result;
}

RankAgreement RanksOf(const JsonMembers& from) {
  RankAgreement ranks;
  ranks.cost = from.Text("cost");
  ranks.kendall_tau = from.Number("kendall_tau");
  ranks.regret = from.Number("regret");
  for (const JsonMembers& one : from.Objects("configurations")) {
    ranks.configurations.push_back(one.Text("configuration"));
    ranks.costs.push_back({one.Number("simulated"), one.Number("measured")});
  }
  return ranks;
}

}  // namespace

absl::StatusOr<ReconcileDocument> ParseReconcile(const std::string& text, const std::string& path) {
  simdjson::dom::parser parser;
  JsonProblem problem(path, "give reconcile.json or summary.json of tierscope reconcile");
  const JsonMembers root(problem.Parse(text, &parser), &problem);
  if (!problem.status().ok()) return problem.status();
  ReconcileDocument document;
  simdjson::dom::object provenance;
  if (root.element()["provenance"].get(provenance)) problem.FoundIn("provenance", "is no object");
  if (!problem.status().ok()) return problem.status();
  for (const auto& [name, value] : provenance) {
    std::string_view line;
    if (value.get(line)) problem.FoundIn("provenance", "has a member that is no text");
    document.provenance.emplace_back(name, line);
  }
  document.is_suite = root.Has("scenarios");
  const std::vector<JsonMembers> scenarios =
      document.is_suite ? root.Objects("scenarios") : std::vector<JsonMembers>{root};
  if (scenarios.empty() || scenarios.size() > kScenariosMax) {
    problem.FoundIn("scenarios", "is empty or has more than 10,000");
  }
  for (const JsonMembers& from : scenarios) {
    if (!problem.status().ok()) return problem.status();
    document.suite.scenarios.push_back(ScenarioOf(from));
  }
  if (document.is_suite && !root.IsNull("rank_agreement")) {
    document.suite.ranks = RanksOf(root.Object("rank_agreement"));
  }
  if (!problem.status().ok()) return problem.status();
  return document;
}

}  // namespace tierscope
