#include "sim/demand/step_demand.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/traces/trace_testing.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

ProfileHeader Header(int64_t prompt_tokens, int32_t steps, int32_t layers, int32_t top_k,
                     int32_t tokens_per_entry = 1) {
  ProfileHeader header;
  header.set_model("toy");
  header.set_prompt_tokens(prompt_tokens);
  header.set_step_count(steps);
  header.set_tick_stride_steps(1);
  header.set_score_floor_code(64);
  header.set_tokens_per_entry(tokens_per_entry);
  header.set_csa_layer_count(layers);
  header.set_top_k(top_k);
  header.set_selections(SELECTIONS_FULL_HISTORY);
  header.mutable_provenance()->set_recorded_with("test");
  return header;
}

ProfileStepDistiller Begun(const ProfileHeader& header, const std::vector<int32_t>& slots) {
  ProfileStepDistiller distiller(slots);
  const absl::Status status = distiller.Begin(header);
  EXPECT_TRUE(status.ok()) << status;
  return distiller;
}

// One layer, top-2, buffers of 2 and 3 slots. Entry 10 + s forms at step s.
//   step 0: {1, 2}   both fetched; buffer 2 1
//   step 1: {1, 3}   3 fetched;    with 2 slots 2 goes, with 3 it stays: 3 1 2
//   step 2: {2, 12}  12 is new and in HBM; 2 fetched with 2 slots only. Of 1 and 3, used at the
//                    same step, the lower goes: 2 3, or 2 3 1
//   step 3: {3, 12}  3 hits in both. 12 lies on the host by now and is fetched: 12 3, or 12 3 2
//   step 4: {1, 2}   1 went at step 3, so both are fetched with 2 slots; 2 hits with 3
TEST(StepDemandTest, HandWorked) {
  ProfileStepDistiller distiller = Begun(Header(10, 4, 1, 2), {3, 2, 3});
  const std::vector<std::vector<uint32_t>> steps = {{1, 2}, {1, 3}, {2, 12}, {3, 12}, {1, 2}};
  for (int32_t step = 0; step < 5; ++step) {
    ASSERT_TRUE(distiller.Select(step, 0, steps[static_cast<size_t>(step)]).ok());
  }
  const ProfileStepDemand demand = distiller.Finish();
  const int64_t with_2[] = {2, 1, 1, 1, 2}, with_3[] = {2, 1, 0, 1, 1};
  for (int32_t step = 0; step < 5; ++step) {
    EXPECT_EQ(demand.Misses(1, step), with_2[step]) << step;
    EXPECT_EQ(demand.Misses(0, step), with_3[step]) << step;
    EXPECT_EQ(demand.Misses(2, step), with_3[step]) << step;
    EXPECT_EQ(demand.Selections(step), 2) << step;
  }
  EXPECT_EQ(demand.MissesBetween(0, 1, 4), 2);
  EXPECT_EQ(demand.SelectionsBetween(0, 5), 10);
  // Empty at step 2: 2 is fetched, then 3 and 12, then 1; with 2 slots 2 has gone by then.
  EXPECT_EQ(demand.MissesSince(1, 2, 2, 3), 1);
  EXPECT_EQ(demand.MissesSince(1, 2, 3, 4), 2);
  EXPECT_EQ(demand.MissesSince(1, 2, 4, 5), 2);
  EXPECT_EQ(demand.MissesSince(0, 2, 2, 3), 1);
  EXPECT_EQ(demand.MissesSince(0, 2, 3, 4), 2);
  EXPECT_EQ(demand.MissesSince(0, 2, 4, 5), 1);
  EXPECT_EQ(demand.MissesSince(0, 2, 2, 5), 4);
}

// The buffer itself, slot by slot: last use by entry, the longest unused one evicted first.
class SlowBuffer {
 public:
  explicit SlowBuffer(size_t slots) : slots_(slots) {}

  int64_t Step(int32_t step, const std::set<uint32_t>& entries) {
    int64_t misses = 0;
    for (const uint32_t entry : entries) misses += last_use_.count(entry) == 0 ? 1 : 0;
    for (const uint32_t entry : entries) last_use_[entry] = step;
    while (last_use_.size() > slots_) {
      const auto victim =
          std::min_element(last_use_.begin(), last_use_.end(), [](const auto& a, const auto& b) {
            return std::pair(a.second, a.first) < std::pair(b.second, b.first);
          });
      last_use_.erase(victim);
    }
    return misses;
  }

 private:
  size_t slots_;
  std::map<uint32_t, int32_t> last_use_;
};

// Selections of a random profile: [step][layer], rising.
using Sets = std::vector<std::vector<std::set<uint32_t>>>;

Sets RandomSets(const ProfileHeader& header, Rng* rng) {
  Sets sets(static_cast<size_t>(header.step_count()) + 1);
  for (int32_t step = 0; step <= header.step_count(); ++step) {
    const int64_t history = HistoryEntries(header, step);
    for (int32_t layer = 0; layer < header.csa_layer_count(); ++layer) {
      // Some sets hold fewer entries than top-k; the newest entry is taken often.
      std::set<uint32_t>& chosen = sets[static_cast<size_t>(step)].emplace_back();
      if (rng->NextBelow(2) == 0) chosen.insert(static_cast<uint32_t>(history - 1));
      for (auto i = static_cast<int32_t>(chosen.size()); i < header.top_k(); ++i) {
        const uint64_t bound = rng->NextBelow(3) == 0 ? static_cast<uint64_t>(history)
                                                      : static_cast<uint64_t>(header.top_k()) + 1;
        chosen.insert(static_cast<uint32_t>(rng->NextBelow(bound)));
      }
    }
  }
  return sets;
}

// Misses per step of buffers that are empty at `start`; 0 before.
std::vector<int64_t> SlowMisses(const ProfileHeader& header, const Sets& sets, int32_t slots,
                                int32_t start) {
  std::vector<SlowBuffer> buffers(sets[0].size(), SlowBuffer(static_cast<size_t>(slots)));
  std::vector<int64_t> misses(sets.size());
  for (auto step = static_cast<size_t>(start); step < sets.size(); ++step) {
    const int64_t tokens = header.prompt_tokens() + static_cast<int64_t>(step) + 1;
    for (size_t layer = 0; layer < buffers.size(); ++layer) {
      std::set<uint32_t> fetchable = sets[step][layer];
      if (tokens % header.tokens_per_entry() == 0) {
        fetchable.erase(static_cast<uint32_t>(tokens / header.tokens_per_entry() - 1));
      }
      misses[step] += buffers[layer].Step(static_cast<int32_t>(step), fetchable);
    }
  }
  return misses;
}

TEST(StepDemandTest, EqualsASlowBufferOfEverySizeLayerAndStart) {
  Rng rng(23);
  int64_t misses_seen = 0, differ = 0, colder = 0;
  for (int round = 0; round < 300; ++round) {
    const auto layers = static_cast<int32_t>(1 + rng.NextBelow(4));
    const auto top_k = static_cast<int32_t>(1 + rng.NextBelow(12));
    const auto stride = static_cast<int32_t>(1 + rng.NextBelow(5));
    const auto steps = stride * static_cast<int32_t>(1 + rng.NextBelow(10));
    const auto per_entry = static_cast<int32_t>(round % 2 == 0 ? 1 : 4);
    const auto prompt = static_cast<int64_t>(per_entry * (top_k + 1 + rng.NextBelow(60)));
    ProfileHeader header = Header(prompt, steps, layers, top_k, per_entry);
    header.set_tick_stride_steps(stride);
    const Sets sets = RandomSets(header, &rng);
    std::vector<int32_t> slots;
    for (int i = 0; i < 4; ++i) slots.push_back(top_k + static_cast<int32_t>(rng.NextBelow(50)));
    ProfileStepDistiller distiller = Begun(header, slots);
    for (int32_t step = 0; step <= steps; ++step) {
      for (int32_t layer = 0; layer < layers; ++layer) {
        const auto& chosen = sets[static_cast<size_t>(step)][static_cast<size_t>(layer)];
        const std::vector<uint32_t> list(chosen.begin(), chosen.end());
        ASSERT_TRUE(distiller.Select(step, layer, list).ok());
      }
    }
    const ProfileStepDemand demand = distiller.Finish();
    ASSERT_EQ(demand.position_count(), steps / stride);
    for (size_t i = 0; i < slots.size(); ++i) {
      EXPECT_EQ(demand.late_misses(i), 0);
      for (int32_t position = 0; position < demand.position_count(); ++position) {
        const std::vector<int64_t> expected = SlowMisses(header, sets, slots[i], position * stride);
        for (int32_t step = position * stride; step <= steps; ++step) {
          const int64_t misses = expected[static_cast<size_t>(step)];
          ASSERT_EQ(demand.MissesSince(i, position, step, step + 1), misses)
              << "round " << round << ", " << slots[i] << " slots, start " << position * stride
              << ", step " << step;
          misses_seen += misses;
          colder += misses > demand.Misses(i, step) && step > position * stride ? 1 : 0;
          if (position > 0) continue;
          ASSERT_EQ(demand.Misses(i, step), misses);
          differ += misses != demand.Misses(0, step) ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(misses_seen, 100000);  // the traces are not all hits,
  EXPECT_GT(differ, 1000);         // nor blind to the size,
  EXPECT_GT(colder, 1000);         // nor to the start
}

// Behind kWarmUpStepsMax steps a start is not told apart, and the count says what that costs.
TEST(StepDemandTest, LateMissesAreCounted) {
  const ProfileHeader header = Header(10, 300, 1, 2);
  ProfileStepDistiller distiller = Begun(header, {8});
  for (int32_t step = 0; step <= 300; ++step) {
    const std::vector<uint32_t> rare = {1, 2}, usual = {3, 4};
    ASSERT_TRUE(distiller.Select(step, 0, step == 0 || step == 280 ? rare : usual).ok());
  }
  const ProfileStepDemand demand = distiller.Finish();
  EXPECT_EQ(demand.MissesSince(0, 25, 280, 281), 2);  // 255 steps behind its start
  EXPECT_EQ(demand.MissesSince(0, 24, 280, 281), 0);
  EXPECT_EQ(demand.late_misses(0), 2 * 24);  // starts 1 to 24
}

TEST(StepDemandTest, RefusesWhatCannotBeAnswered) {
  const auto refusal = [](const ProfileHeader& header, std::vector<int32_t> slots) {
    return std::string(ProfileStepDistiller(slots).Begin(header).message());
  };
  const ProfileHeader header = Header(1000, 10, 3, 8);
  EXPECT_EQ(refusal(header, {8}), "");
  EXPECT_EQ(
      refusal(header, {16, 7}),
      "a hot buffer of 7 slots cannot hold the 8 entries that a layer selects at a step; give "
      "at least 8");
  EXPECT_EQ(
      refusal(header, {}),
      "a hot buffer of 0 slots cannot hold the 8 entries that a layer selects at a step; give "
      "at least 8");
  ProfileHeader blind = header;
  blind.set_selections(SELECTIONS_RESIDENT_ONLY);
  EXPECT_NE(refusal(blind, {8}).find("full history"), std::string::npos);
  EXPECT_NE(
      refusal(Header(kHistoryEntriesMax - 100, 10, 64, 8), {1 << 23}).find("fewer or smaller"),
      std::string::npos);
  EXPECT_NE(refusal(Header(1000, kStepCountMax, 3, 8), {8, 9, 10}).find("fewer steps"),
            std::string::npos);
  ProfileStepDistiller distiller = Begun(header, {8});
  const std::vector<uint32_t> entries = {1};
  EXPECT_EQ(std::string(distiller.Select(0, kAllLayers, entries).message()),
            "the selections are counted over all layers, step demand needs those of each layer; "
            "generate the trace with --per-layer, or record a Selection per layer instead of one "
            "with votes");
}

std::vector<TraceRecord> Recorded(bool per_layer) {
  std::vector<TraceRecord> records(1);
  *records[0].mutable_profile() = Header(100, 2, 2, 4);
  for (int32_t step = 0; step <= 2; ++step) {
    const auto first = static_cast<uint32_t>(10 * step);
    const std::vector<uint32_t> entries = {first, first + 5, first + 10};
    for (int32_t layer = per_layer ? 0 : kAllLayers; layer < (per_layer ? 2 : 0); ++layer) {
      const std::vector<uint8_t> votes(per_layer ? 0 : 3, 1);
      FillSelection(step, layer, entries, votes, {}, &records.emplace_back());
    }
  }
  return records;
}

TEST(StepDemandTest, ReadsAFileProfileByProfile) {
  const std::string path = TempPath("t");
  std::vector<TraceRecord> records = Recorded(true), again = records;
  records.insert(records.end(), again.begin(), again.end());
  WriteContainer(path, records);
  const auto demand = DistilStepDemand(path, {4, 16});
  ASSERT_TRUE(demand.ok()) << demand.status();
  EXPECT_EQ(demand->buffer_slots, (std::vector<int32_t>{4, 16}));
  EXPECT_EQ(demand->trace_digest, (*ContainerReader::Open(path))->digest());
  ASSERT_EQ(demand->profiles.size(), 2u);
  for (const ProfileStepDemand& profile : demand->profiles) {
    EXPECT_EQ(profile.Misses(1, 0), 6);  // each profile starts with empty buffers
    EXPECT_EQ(profile.Misses(1, 1), 4);  // entry 10 is held by both layers
    EXPECT_EQ(profile.Misses(0, 2), 4);
  }
}

TEST(StepDemandTest, AFileWithVotesSaysHowToRecordLayers) {
  const std::string path = TempPath("t");
  WriteContainer(path, Recorded(false));
  const absl::Status status = DistilStepDemand(path, {4}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find(path), std::string::npos) << status;
  EXPECT_NE(status.message().find("--per-layer"), std::string::npos) << status;
}

}  // namespace
}  // namespace tierscope
