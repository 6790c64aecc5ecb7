#include "reports/reconcile.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "reports/phase_join.h"
#include "sim/base/check.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

// The error of sums takes over where so many pairs lack one side.
constexpr double kOneSidedShare = 0.1;
constexpr size_t kDelaysMax = 64;

constexpr Phase kStepPhases[] = {Phase::kBallast,      Phase::kNativeScore,  Phase::kNativeTopK,
                                 Phase::kCsaAttention, Phase::kHcaAttention, Phase::kSwaAttention,
                                 Phase::kEngine,       Phase::kWaitIndex,    Phase::kWaitQueue,
                                 Phase::kWaitTransfer, Phase::kWaitJoin,     Phase::kWaitAdmission,
                                 Phase::kWriteback};
constexpr Phase kTickPhases[] = {Phase::kScore, Phase::kSelect, Phase::kRecall, Phase::kPublish};

struct Tables {
  PhaseTable simulated;
  std::vector<PhaseTable> repeats;
  PhaseTable measured;  // median of the repeats
};

double ErrorOf(const PairedStats& stats, bool of_sums) {
  return of_sums ? stats.error_of_sums() : stats.error_p50;
}

bool IsOneSided(const std::vector<PredictedMeasured>& pairs) {
  const auto one_sided = std::count_if(pairs.begin(), pairs.end(), [](const auto& pair) {
    return pair.predicted <= 0.0 || pair.measured <= 0.0;
  });
  return static_cast<double>(one_sided) > kOneSidedShare * static_cast<double>(pairs.size());
}

// The median over pairs of repeats of each statistic that a term is held against.
PairedStats MedianNoise(const std::vector<PairedStats>& between) {
  const auto median = [&](double PairedStats::*member, bool size) {
    std::vector<double> values;
    for (const PairedStats& stats : between) {
      values.push_back(size ? std::abs(stats.*member) : stats.*member);
    }
    return NearestRank(std::move(values), 0.5);
  };
  PairedStats noise = between.front();
  noise.mape = median(&PairedStats::mape, false);
  noise.bias = median(&PairedStats::bias, true);
  noise.bias_p50 = median(&PairedStats::bias_p50, true);
  noise.error_p50 = median(&PairedStats::error_p50, false);
  noise.error_p90 = median(&PairedStats::error_p90, false);
  noise.error_p99 = median(&PairedStats::error_p99, false);
  noise.nrmse = median(&PairedStats::nrmse, false);
  return noise;
}

// `pairs_of(predicted, measured)` gives the term's pairs of two tables.
template <typename PairsOf>
Term MakeTerm(const std::string& name, bool of_step, const Tables& tables, PairsOf pairs_of) {
  Term term;
  term.name = name;
  term.of_step = of_step;
  const std::vector<PredictedMeasured> pairs = pairs_of(tables.simulated, tables.measured);
  term.stats = StatsOf(pairs);
  term.error_of_sums = IsOneSided(pairs);
  term.error = ErrorOf(term.stats, term.error_of_sums);
  std::vector<PairedStats> between;
  std::vector<double> errors;
  for (size_t i = 0; i < tables.repeats.size(); ++i) {
    for (size_t j = i + 1; j < tables.repeats.size(); ++j) {
      between.push_back(StatsOf(pairs_of(tables.repeats[j], tables.repeats[i])));
      errors.push_back(ErrorOf(between.back(), term.error_of_sums));
    }
  }
  if (between.empty()) return term;
  term.noise = MedianNoise(between);
  term.noise_error = NearestRank(std::move(errors), 0.5);
  return term;
}

bool IsInsideNoise(const Term& term) {
  if (!term.noise || term.error > term.noise_error) return false;
  return term.error_of_sums || std::abs(term.stats.bias_p50) <= term.noise->bias_p50;
}

void Judge(double bound, bool strict, Term* term) {
  term->bound = bound;
  if (term->error <= bound) {
    term->verdict = GapVerdict::kWithin;
  } else {
    term->verdict =
        !strict && IsInsideNoise(*term) ? GapVerdict::kInsideNoise : GapVerdict::kBroken;
  }
}

Term StepTerm(const std::string& name, const Tables& tables, int64_t from, Phase phase,
              Phase less) {
  return MakeTerm(name, true, tables, [&](const PhaseTable& predicted, const PhaseTable& measured) {
    return PairSteps(predicted, measured, from, phase, less);
  });
}

Term TickTerm(const Tables& tables, int64_t from, Phase phase) {
  return MakeTerm(std::string(PhaseName(phase)), false, tables,
                  [&](const PhaseTable& predicted, const PhaseTable& measured) {
                    return PairTicks(predicted, measured, from, phase);
                  });
}

void AddTerms(const Tables& tables, Reconciliation* result) {
  const int64_t from = result->from_step;
  const ReconcileBounds& bounds = result->bounds;
  Term step = StepTerm("step", tables, from, Phase::kStep, Phase::kStep);
  const double steps_ns = step.stats.measured_sum;
  step.step_share = 1.0;
  Judge(bounds.step, true, &step);
  Term rest = StepTerm("step - ballast", tables, from, Phase::kStep, Phase::kBallast);
  rest.step_share = rest.stats.measured_sum / steps_ns;
  Judge(bounds.step_less_ballast, true, &rest);
  result->terms = {step, rest};
  const auto add = [&](Term term) {
    if (term.stats.pairs == 0) return;
    // What a prediction has too much counts as much as what it lacks.
    const double sum = std::max(term.stats.measured_sum, term.stats.predicted_sum);
    term.step_share = sum / steps_ns;
    const bool judged = term.name != PhaseName(Phase::kBallast);
    if (judged && term.step_share > bounds.phase_share) Judge(bounds.phase, false, &term);
    result->terms.push_back(std::move(term));
  };
  for (const Phase phase : kStepPhases) {
    add(StepTerm(std::string(PhaseName(phase)), tables, from, phase, phase));
  }
  for (const Phase phase : kTickPhases) add(TickTerm(tables, from, phase));
}

// A count of every step or job: sums, and the first key where the two differ.
struct KeyedCount {
  const char* name;
  const char* key;
  std::map<int64_t, int64_t> simulated, measured;
};

CountRow RowOf(const KeyedCount& count, bool must_match) {
  CountRow row;
  row.name = count.name;
  row.must_match = must_match;
  for (const auto& [key, value] : count.simulated) row.simulated += static_cast<double>(value);
  for (const auto& [key, value] : count.measured) row.measured += static_cast<double>(value);
  std::map<int64_t, int64_t> keys = count.simulated;
  keys.insert(count.measured.begin(), count.measured.end());
  for (const auto& [key, unused] : keys) {
    const auto s = count.simulated.find(key), m = count.measured.find(key);
    const int64_t predicted = s == count.simulated.end() ? -1 : s->second;
    const int64_t measured = m == count.measured.end() ? -1 : m->second;
    if (predicted == measured) continue;
    const auto text = [](int64_t n) { return n < 0 ? std::string("none") : absl::StrCat(n); };
    row.first_difference = absl::StrCat(count.key, " ", key, ": ", text(predicted), " simulated, ",
                                        text(measured), " measured");
    break;
  }
  return row;
}

void AddKeyedCounts(const Tables& tables, Reconciliation* result) {
  KeyedCount active{"active pages, step by step", "step", {}, {}};
  KeyedCount wanted{"pages wanted, job by job", "tick", {}, {}};
  KeyedCount recalled{"pages recalled, job by job", "tick", {}, {}};
  KeyedCount launched{"step after which a job is launched", "tick", {}, {}};
  const auto fill = [&](const PhaseTable& table, std::map<int64_t, int64_t> KeyedCount::*side) {
    for (size_t i = 0; i < table.steps.size(); ++i) {
      (active.*side)[static_cast<int64_t>(i)] = table.steps[i].active_pages;
    }
    for (const auto& [number, tick] : table.ticks) {
      (wanted.*side)[number] = tick.pages_wanted;
      (recalled.*side)[number] = tick.pages_recalled;
      (launched.*side)[number] = tick.launch_step;
    }
  };
  fill(tables.simulated, &KeyedCount::simulated);
  fill(tables.repeats.front(), &KeyedCount::measured);
  for (const KeyedCount* count : {&active, &wanted, &recalled, &launched}) {
    result->counts.push_back(RowOf(*count, result->replays));
  }
}

double JoinsOf(const PhaseTable& table) {
  return static_cast<double>(
      std::count_if(table.steps.begin(), table.steps.end(),
                    [](const auto& s) { return s.ns[static_cast<size_t>(Phase::kWaitJoin)] > 0; }));
}

void AddCounts(const ReconcileInput& input, const Tables& tables, Reconciliation* result) {
  result->counts.push_back({"steps", static_cast<double>(result->steps_simulated),
                            static_cast<double>(result->steps_measured), true, ""});
  result->counts.push_back({"level-1 jobs", static_cast<double>(tables.simulated.ticks.size()),
                            static_cast<double>(tables.repeats.front().ticks.size()),
                            result->replays, ""});
  AddKeyedCounts(tables, result);
  result->counts.push_back({"steps that waited for a job before (join)", JoinsOf(tables.simulated),
                            JoinsOf(tables.repeats.front()), false, ""});
  for (const auto& [name, simulated] : input.simulated_counts) {
    const auto measured =
        std::find_if(input.measured_counts.begin(), input.measured_counts.end(),
                     [&name = name](const auto& count) { return count.first == name; });
    if (measured == input.measured_counts.end()) continue;
    result->counts.push_back({name, simulated, measured->second, input.replays, ""});
  }
}

std::vector<int64_t> DelaysOf(const PhaseTable& table) {
  std::vector<int64_t> delays;
  for (const auto& [number, tick] : table.ticks) {
    if (tick.publish_step < 0) continue;
    const int64_t steps = std::max<int64_t>(0, tick.publish_step - tick.launch_step - 1);
    const size_t at = std::min(kDelaysMax, static_cast<size_t>(steps));
    if (delays.size() <= at) delays.resize(at + 1);
    ++delays[at];
  }
  return delays;
}

PublishDelays MakeDelays(const Tables& tables) {
  PublishDelays delays{DelaysOf(tables.simulated), DelaysOf(tables.repeats.front()), 0.0};
  const size_t size = std::max(delays.simulated.size(), delays.measured.size());
  delays.simulated.resize(size);
  delays.measured.resize(size);
  double simulated = 0.0, measured = 0.0;
  for (size_t i = 0; i < size; ++i) {
    simulated += static_cast<double>(delays.simulated[i]);
    measured += static_cast<double>(delays.measured[i]);
  }
  if (simulated == 0.0 || measured == 0.0) return delays;
  for (size_t i = 0; i < size; ++i) {
    delays.distance += 0.5 * std::abs(static_cast<double>(delays.simulated[i]) / simulated -
                                      static_cast<double>(delays.measured[i]) / measured);
  }
  return delays;
}

absl::StatusOr<Tables> TabulateAll(const ReconcileInput& input) {
  Tables tables;
  TIERSCOPE_ASSIGN_OR_RETURN(tables.simulated,
                             TabulatePhases(input.simulated.spans, input.simulated.name));
  for (const RunPhases& repeat : input.repeats) {
    TIERSCOPE_ASSIGN_OR_RETURN(PhaseTable table, TabulatePhases(repeat.spans, repeat.name));
    tables.repeats.push_back(std::move(table));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(tables.measured, MedianOfRepeats(tables.repeats, input.replays));
  return tables;
}

}  // namespace

const ReconcileBounds* FindReconcileBounds(const std::string& backend) {
  static const auto& table = *new std::vector<ReconcileBounds>{
      // backend, step, step - ballast, a phase, from which share of a step on
      {"cpu", 0.05, 0.10, 0.15, 0.02},
      {"cuda", 0.05, 0.10, 0.15, 0.02},
  };
  for (const ReconcileBounds& bounds : table) {
    if (bounds.backend == backend) return &bounds;
  }
  return nullptr;
}

absl::Status CheckSameFingerprint(const Fingerprint& simulated, const Fingerprint& measured) {
  const std::map<std::string, std::string> predicted(simulated.begin(), simulated.end());
  const std::map<std::string, std::string> real(measured.begin(), measured.end());
  std::map<std::string, std::string> all = predicted;
  all.insert(real.begin(), real.end());
  for (const auto& [field, unused] : all) {
    const auto s = predicted.find(field), m = real.find(field);
    if (s != predicted.end() && m != real.end() && s->second == m->second) continue;
    const auto text = [](bool given, const std::string& value) {
      return given ? Quoted(value) : std::string("not given");
    };
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": the simulated run has ",
                     text(s != predicted.end(), s == predicted.end() ? "" : s->second),
                     ", the measured one ", text(m != real.end(), m == real.end() ? "" : m->second),
                     "; reconcile runs of one scenario, profile and trace"));
  }
  return absl::OkStatus();
}

const Term* Reconciliation::Find(const std::string& term) const {
  for (const Term& t : terms) {
    if (t.name == term) return &t;
  }
  return nullptr;
}

std::vector<std::string> Reconciliation::Failures() const {
  std::vector<std::string> failures;
  for (const Term& term : terms) {
    if (term.verdict != GapVerdict::kBroken) continue;
    failures.push_back(absl::StrFormat("%s: error %.1f %%, bound %.1f %%%s", term.name,
                                       100.0 * term.error, 100.0 * *term.bound,
                                       IsInsideNoise(term) ? ", inside the noise" : ""));
  }
  for (const CountRow& count : counts) {
    if (!count.must_match || count.matches()) continue;
    failures.push_back(
        absl::StrCat(count.name, ": ", count.simulated, " simulated, ", count.measured, " measured",
                     count.first_difference.empty() ? "" : "; first at ", count.first_difference));
  }
  return failures;
}

bool Reconciliation::passed() const { return Failures().empty(); }

absl::StatusOr<Reconciliation> Reconcile(const ReconcileInput& input) {
  TIERSCOPE_CHECK(!input.repeats.empty());
  TIERSCOPE_ASSIGN_OR_RETURN(const Tables tables, TabulateAll(input));
  Reconciliation result;
  result.name = input.name;
  result.bounds = input.bounds;
  result.steps_simulated = static_cast<int64_t>(tables.simulated.steps.size());
  result.steps_measured = static_cast<int64_t>(tables.measured.steps.size());
  result.from_step = input.from_step;
  result.repeats = static_cast<int64_t>(input.repeats.size());
  result.replays = input.replays;
  result.flags = input.flags;
  if (std::min(result.steps_simulated, result.steps_measured) <= input.from_step) {
    return absl::InvalidArgumentError(
        absl::StrCat(input.name, ": ", result.steps_simulated, " simulated and ",
                     result.steps_measured, " measured steps, of which the first ", input.from_step,
                     " are left out: nothing to compare; run more steps"));
  }
  AddTerms(tables, &result);
  AddCounts(input, tables, &result);
  result.publish_delays = MakeDelays(tables);
  return result;
}

absl::string_view GapVerdictName(GapVerdict verdict) {
  switch (verdict) {
    case GapVerdict::kWithin:
      return "within";
    case GapVerdict::kInsideNoise:
      return "inside the noise";
    case GapVerdict::kBroken:
      return "BROKEN";
    case GapVerdict::kNotJudged:
      return "-";
  }
  return "";
}

}  // namespace tierscope
