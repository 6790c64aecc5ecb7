#include "reports/phase_join.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

size_t At(Phase phase) { return static_cast<size_t>(phase); }

absl::Status Wrong(const std::string& name, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": ", what, "; run it again, or give the file of a whole run"));
}

// Begins of the steps, -1 where none was seen.
absl::StatusOr<std::vector<int64_t>> BeginsOfSteps(std::span<const PhaseSpan> spans,
                                                   const std::string& name) {
  std::vector<int64_t> begins;
  for (const PhaseSpan& span : spans) {
    if (span.phase != Phase::kStep || span.request >= 0) continue;
    if (span.step < 0) return Wrong(name, "a span of phase step without its number");
    if (span.step >= static_cast<int64_t>(spans.size())) {
      return Wrong(name,
                   absl::StrCat("step ", span.step, " in a table of ", spans.size(), " rows"));
    }
    const auto at = static_cast<size_t>(span.step);
    if (begins.size() <= at) begins.resize(at + 1, -1);
    if (begins[at] >= 0) return Wrong(name, absl::StrCat("step ", span.step, " is there twice"));
    begins[at] = span.begin_ns;
  }
  if (begins.empty()) return Wrong(name, "no span of phase step");
  return begins;
}

// A number that was given to the wrong step would be joined to the wrong prediction.
absl::Status CheckOrder(const std::vector<int64_t>& begins, const std::string& name) {
  for (size_t i = 0; i < begins.size(); ++i) {
    if (begins[i] < 0) return Wrong(name, absl::StrCat("step ", i, " is missing"));
    if (i == 0 || begins[i] > begins[i - 1]) continue;
    return Wrong(name, absl::StrCat("step ", i, " begins at ", begins[i], " ns, not after step ",
                                    i - 1, " (", begins[i - 1], " ns): steps are out of order"));
  }
  return absl::OkStatus();
}

void AddToTick(const PhaseSpan& span, TickRow* tick) {
  tick->ns[At(span.phase)] += span.duration_ns;
  if (span.phase == Phase::kPublish) {
    tick->publish_step = span.step;
  } else {
    tick->launch_step = span.step;
  }
  if (span.phase == Phase::kSelect) tick->pages_wanted += span.pages;
  if (span.phase == Phase::kRecall) tick->pages_recalled += span.pages;
}

// Pairs where both sides are 0 say nothing.
void AddPair(int64_t predicted, int64_t measured, std::vector<PredictedMeasured>* pairs) {
  if (predicted == 0 && measured == 0) return;
  pairs->push_back({static_cast<double>(predicted), static_cast<double>(measured)});
}

int64_t LowerMedian(std::vector<int64_t>& values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

bool SameCounts(const PhaseTable& a, const PhaseTable& b) {
  if (a.ticks.size() != b.ticks.size()) return false;
  for (size_t i = 0; i < a.steps.size(); ++i) {
    if (a.steps[i].active_pages != b.steps[i].active_pages) return false;
  }
  for (const auto& [number, tick] : a.ticks) {
    const auto other = b.ticks.find(number);
    if (other == b.ticks.end() || other->second.pages_wanted != tick.pages_wanted ||
        other->second.pages_recalled != tick.pages_recalled) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool IsOfStep(Phase phase) { return phase < Phase::kScore || phase == Phase::kWriteback; }

absl::StatusOr<PhaseTable> TabulatePhases(std::span<const PhaseSpan> spans,
                                          const std::string& name) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<int64_t> begins, BeginsOfSteps(spans, name));
  TIERSCOPE_RETURN_IF_ERROR(CheckOrder(begins, name));
  PhaseTable table;
  table.steps.resize(begins.size());
  for (const PhaseSpan& span : spans) {
    if (span.request >= 0) continue;
    if (!IsOfStep(span.phase)) {
      if (span.tick < 0) {
        return Wrong(name, absl::StrCat("a span of phase ", std::string(PhaseName(span.phase)),
                                        " without its tick"));
      }
      AddToTick(span, &table.ticks[span.tick]);
      continue;
    }
    // What is still on its way when the last step ends belongs to no step.
    if (span.phase == Phase::kWriteback && span.step < 0) continue;
    if (span.step < 0 || span.step >= static_cast<int64_t>(table.steps.size())) {
      return Wrong(name, absl::StrCat("a span of phase ", std::string(PhaseName(span.phase)),
                                      " of step ", span.step, ", which is no step of the run"));
    }
    StepRow& step = table.steps[static_cast<size_t>(span.step)];
    step.ns[At(span.phase)] += span.duration_ns;
    if (span.phase == Phase::kStep) step.active_pages = span.pages;
    if (span.phase == Phase::kWriteback) step.pages_written_back += span.pages;
  }
  return table;
}

std::vector<PredictedMeasured> PairSteps(const PhaseTable& predicted, const PhaseTable& measured,
                                         int64_t from_step, Phase phase, Phase less) {
  std::vector<PredictedMeasured> pairs;
  const auto value = [&](const StepRow& row) {
    return row.ns[At(phase)] - (less == phase ? 0 : row.ns[At(less)]);
  };
  const size_t steps = std::min(predicted.steps.size(), measured.steps.size());
  for (auto i = static_cast<size_t>(from_step); i < steps; ++i) {
    AddPair(value(predicted.steps[i]), value(measured.steps[i]), &pairs);
  }
  return pairs;
}

std::vector<PredictedMeasured> PairTicks(const PhaseTable& predicted, const PhaseTable& measured,
                                         int64_t from_step, Phase phase) {
  std::vector<PredictedMeasured> pairs;
  for (const auto& [number, tick] : predicted.ticks) {
    const auto other = measured.ticks.find(number);
    if (other == measured.ticks.end() || tick.launch_step < from_step) continue;
    AddPair(tick.ns[At(phase)], other->second.ns[At(phase)], &pairs);
  }
  return pairs;
}

absl::StatusOr<PhaseTable> MedianOfRepeats(std::span<const PhaseTable> repeats, bool same_counts) {
  TIERSCOPE_CHECK(!repeats.empty());
  PhaseTable median = repeats[0];
  for (size_t r = 1; r < repeats.size(); ++r) {
    if (repeats[r].steps.size() != median.steps.size()) {
      return absl::InvalidArgumentError(absl::StrCat("repeat ", r, " has ", repeats[r].steps.size(),
                                                     " steps, repeat 0 has ", median.steps.size(),
                                                     "; measure again with the same steps"));
    }
    if (same_counts && !SameCounts(median, repeats[r])) {
      return absl::InvalidArgumentError(
          absl::StrCat("repeat ", r,
                       " moved other pages than repeat 0, where both replay the same decisions; "
                       "measure again"));
    }
  }
  std::vector<int64_t> values(repeats.size());
  for (size_t i = 0; i < median.steps.size(); ++i) {
    for (size_t phase = 0; phase < kPhaseCount; ++phase) {
      for (size_t r = 0; r < repeats.size(); ++r) values[r] = repeats[r].steps[i].ns[phase];
      median.steps[i].ns[phase] = LowerMedian(values);
    }
  }
  for (auto& [number, tick] : median.ticks) {
    for (size_t phase = 0; phase < kPhaseCount; ++phase) {
      std::vector<int64_t> there;
      for (const PhaseTable& repeat : repeats) {
        const auto it = repeat.ticks.find(number);
        if (it != repeat.ticks.end()) there.push_back(it->second.ns[phase]);
      }
      tick.ns[phase] = LowerMedian(there);
    }
  }
  return median;
}

}  // namespace tierscope
