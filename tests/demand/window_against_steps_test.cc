// Window demand against the records step by step: a page set that changes at given steps misses
// what the tables say, exactly over whole sub-windows, and inside one within what even spreading
// over its steps can be off by.
#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/demand/distil.h"
#include "tests/traces/trace_testing.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

constexpr int kLayers = 3;

// A small profile as the trace holds it, and its selections as (step -> entry of one layer).
struct Recording {
  ProfileHeader header;
  std::vector<TraceRecord> records;
  std::map<int32_t, std::vector<uint32_t>> selections;
};

std::vector<uint32_t> SomeEntries(int64_t history, int count, Rng* rng) {
  std::set<uint32_t> chosen;
  // Half from a few pages, so that the steps of a sub-window differ.
  const uint64_t near = 1 + rng->NextBelow(static_cast<uint64_t>(history));
  for (int i = 0; i < count; ++i) {
    const uint64_t bound = i % 2 == 0 ? static_cast<uint64_t>(history) : near;
    chosen.insert(static_cast<uint32_t>(rng->NextBelow(bound)));
  }
  return {chosen.begin(), chosen.end()};
}

Recording MakeRecording(int32_t stride, int32_t positions, bool per_layer, Rng* rng) {
  Recording r;
  ProfileHeader& header = r.header;
  header.set_model("toy");
  header.set_prompt_tokens(static_cast<int64_t>(4 * (64 + rng->NextBelow(64 * 12))));
  header.set_step_count(positions * stride);
  header.set_tick_stride_steps(stride);
  header.set_score_floor_code(64);
  header.set_tokens_per_entry(4);
  header.set_csa_layer_count(kLayers);
  header.set_top_k(16);
  header.set_selections(SELECTIONS_FULL_HISTORY);
  header.add_target_layers(1);
  header.mutable_provenance()->set_recorded_with("test");
  *r.records.emplace_back().mutable_profile() = header;
  for (int32_t step = 0; step <= header.step_count(); ++step) {
    const int64_t history = HistoryEntries(header, step);
    std::map<uint32_t, uint8_t> votes;
    for (int32_t layer = 0; layer < kLayers; ++layer) {
      const auto entries = SomeEntries(history, static_cast<int>(1 + rng->NextBelow(16)), rng);
      for (const uint32_t entry : entries) {
        r.selections[step].push_back(entry);
        ++votes[entry];
      }
      if (per_layer) FillSelection(step, layer, entries, {}, {}, &r.records.emplace_back());
    }
    if (!per_layer) {
      std::vector<uint32_t> entries;
      std::vector<uint8_t> counts;
      for (const auto& [entry, count] : votes) {
        entries.push_back(entry);
        counts.push_back(count);
      }
      FillSelection(step, kAllLayers, entries, counts, {}, &r.records.emplace_back());
    }
    if (step % stride != 0) continue;
    const auto scored = SomeEntries(history, 60, rng);
    std::vector<uint8_t> codes;
    for (size_t i = 0; i < scored.size(); ++i) {
      codes.push_back(static_cast<uint8_t>(64 + rng->NextBelow(192)));
    }
    FillTick(step, kAllLayers, scored, codes, &r.records.emplace_back());
  }
  return r;
}

// What one step selects, and misses when the set of tick `position` is active: neither wanted by
// it nor in a page that was open at the tick or formed since.
struct StepCount {
  SelectionCount selections, inactive;
};

StepCount CountStep(const Recording& r, const std::set<PageIndex>& wanted, int32_t position,
                    int32_t step) {
  const int64_t at_tick = HistoryEntries(r.header, position * r.header.tick_stride_steps());
  const int64_t open_page = std::max<int64_t>(0, (at_tick + 63) / 64 - 1);
  StepCount count;
  for (const uint32_t entry : r.selections.at(step)) {
    const bool prompt = entry / 64 * 64 < r.header.prompt_tokens() / 4;
    const SelectionCount one{1, prompt ? 1 : 0};
    count.selections += one;
    const auto page = static_cast<PageIndex>(entry / 64);
    if (page < open_page && wanted.count(page) == 0) count.inactive += one;
  }
  return count;
}

// A page set of tick `position`, active behind step `begin` up to and with step `end`.
struct Stretch {
  int32_t position, begin, end;
};

// Sets are published some steps behind their tick and stay until the next one is.
std::vector<Stretch> RandomSchedule(const ProfileDemand& demand, bool aligned, Rng* rng) {
  const int32_t stride = demand.stride_steps;
  std::vector<Stretch> schedule;
  int32_t position = 0, begin = 0;
  while (begin < demand.step_count()) {
    const int32_t most = std::min(demand.step_count(), (position + demand.lag_count) * stride);
    int32_t end =
        begin + 1 + static_cast<int32_t>(rng->NextBelow(static_cast<uint64_t>(most - begin)));
    if (aligned) end = std::min(most, (end + stride - 1) / stride * stride);
    schedule.push_back({position, begin, end});
    begin = end;
    // The next set is of some tick that has happened, not long ago.
    const int32_t newest = begin / stride;
    position = std::max(position, newest - static_cast<int32_t>(rng->NextBelow(2)));
  }
  return schedule;
}

class WindowAgainstStepsTest : public ::testing::TestWithParam<WantPolicy> {
 protected:
  void Check(bool aligned, uint64_t seed) {
    Rng rng(seed);
    for (int round = 0; round < 60; ++round) {
      const auto stride = static_cast<int32_t>(1 + rng.NextBelow(6));
      const auto positions = static_cast<int32_t>(2 + rng.NextBelow(8));
      const Recording recording = MakeRecording(stride, positions, round % 2 == 0, &rng);
      const std::string path = TempPath("t");
      WriteContainer(path, recording.records);
      DemandSpec spec;
      spec.policy = GetParam();
      spec.tau_steps = stride * static_cast<int32_t>(1 + rng.NextBelow(3));
      spec.page_kmax = static_cast<int32_t>(1 + rng.NextBelow(5));
      spec.recency_entries = static_cast<int64_t>(rng.NextBelow(150));
      const auto demand = DistilTrace(path, spec);
      ASSERT_TRUE(demand.ok()) << demand.status();
      const ProfileDemand& profile = demand->profiles.at(0);
      for (const Stretch& stretch : RandomSchedule(profile, aligned, &rng)) {
        CheckStretch(recording, profile, stretch, aligned);
        if (HasFatalFailure()) return;
      }
    }
  }

  void CheckStretch(const Recording& recording, const ProfileDemand& profile, const Stretch& s,
                    bool aligned) {
    const auto list = profile.WantList(s.position);
    const std::set<PageIndex> wanted(list.begin(), list.end());
    // The stretch, step by step.
    SelectionCount selected, missed;
    for (int32_t step = s.begin + 1; step <= s.end; ++step) {
      const StepCount count = CountStep(recording, wanted, s.position, step);
      selected += count.selections;
      missed += count.inactive;
    }
    stretches_ += 1;
    missed_ += missed.all;
    if (aligned) {
      // The tables count in units of 1 / stride.
      const int32_t stride = profile.stride_steps;
      const int32_t from = s.begin - s.position * stride;
      const int32_t to = s.end - s.position * stride;
      ASSERT_EQ(profile.Selections(s.position, to) - profile.Selections(s.position, from),
                selected * stride);
      ASSERT_EQ(profile.Inactive(s.position, to) - profile.Inactive(s.position, from),
                missed * stride);
      return;
    }
    double slack = 1e-9;
    const double spread = SpreadInactive(recording, profile, wanted, s.position, s.end, &slack) -
                          SpreadInactive(recording, profile, wanted, s.position, s.begin, &slack);
    ASSERT_NEAR(spread, static_cast<double>(missed.all), slack);
  }

  // Misses from the tick up to and with `step` by the tables, which spread those of the sub-window
  // that `step` cuts evenly over its steps. The steps of a cut sub-window differ from their mean by
  // at most d, so the part before the cut is off by at most d for each of its steps, and as the
  // whole is exact, for each step of the other part: the lesser of the two is added to `slack`.
  double SpreadInactive(const Recording& recording, const ProfileDemand& profile,
                        const std::set<PageIndex>& wanted, int32_t position, int32_t step,
                        double* slack) {
    const int32_t stride = profile.stride_steps;
    const int32_t since = step - position * stride, lag = since / stride, cut = since % stride;
    const double spread = static_cast<double>(profile.Inactive(position, since).all) / stride;
    if (cut == 0) return spread;
    const int32_t first = (position + lag) * stride + 1;
    std::vector<double> misses;
    for (int32_t s = first; s < first + stride; ++s) {
      misses.push_back(static_cast<double>(CountStep(recording, wanted, position, s).inactive.all));
    }
    const double mean = std::accumulate(misses.begin(), misses.end(), 0.0) / stride;
    double deviation = 0.0;
    for (const double m : misses) deviation = std::max(deviation, std::abs(m - mean));
    *slack += deviation * std::min(cut, stride - cut);
    return spread;
  }

  int64_t stretches_ = 0, missed_ = 0;
};

TEST_P(WindowAgainstStepsTest, WholeSubWindowsAreExact) {
  Check(/*aligned=*/true, 31);
  EXPECT_GT(stretches_, 100);
  EXPECT_GT(missed_, 1000);
}

TEST_P(WindowAgainstStepsTest, AChangeInsideASubWindowIsWithinEvenSpreading) {
  Check(/*aligned=*/false, 32);
  EXPECT_GT(stretches_, 200);
  EXPECT_GT(missed_, 1000);
}

INSTANTIATE_TEST_SUITE_P(AllPolicies, WindowAgainstStepsTest,
                         ::testing::Values(WantPolicy::kLsa, WantPolicy::kRecency,
                                           WantPolicy::kRandom, WantPolicy::kOracle));

}  // namespace
}  // namespace tierscope
