#include "sim/demand/distil.h"

#include <algorithm>
#include <map>
#include <set>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/temp_folder.h"
#include "traces/container.h"

namespace tierscope {
namespace {

ProfileHeader Header(int64_t prompt_tokens, int32_t steps, int32_t stride) {
  ProfileHeader header;
  header.set_prompt_tokens(prompt_tokens);
  header.set_step_count(steps);
  header.set_tick_stride_steps(stride);
  header.set_score_floor_code(64);
  header.set_tokens_per_entry(4);
  header.set_csa_layer_count(3);
  header.set_selections(SELECTIONS_FULL_HISTORY);
  return header;
}

TEST(DistilTest, RefusesWhatTheTraceCannotAnswer) {
  DemandSpec spec;
  spec.tau_steps = 48;
  spec.threshold_code = 63;
  EXPECT_EQ(std::string(ProfileDistiller(spec).Begin(Header(1000, 64, 16), 0).message()),
            "policy.threshold 63/256 is under the trace's score floor 64/256: scores below the "
            "floor were "
            "not recorded; raise policy.threshold or record with a lower floor");
  spec.threshold_code = 64;
  EXPECT_TRUE(ProfileDistiller(spec).Begin(Header(1000, 64, 16), 0).ok());
  spec.tau_steps = 40;
  EXPECT_EQ(
      std::string(ProfileDistiller(spec).Begin(Header(1000, 64, 16), 0).message()),
      "policy.tau_steps 40 is no multiple of the trace's tick stride 16: set policy.tau_steps to a "
      "multiple of 16");
  spec.tau_steps = 48;
  EXPECT_FALSE(ProfileDistiller(spec).Begin(Header(int64_t{256} * 65536, 64, 16), 0).ok());
  spec.policy = WantPolicy::kOracle;
  ProfileHeader blind = Header(1000, 64, 16);
  blind.set_selections(SELECTIONS_RESIDENT_ONLY);
  EXPECT_FALSE(ProfileDistiller(spec).Begin(blind, 0).ok());
}

// Otherwise a header of a few bytes could ask for want lists at 2^22 steps.
TEST(DistilTest, RefusesAProfileOfDecisionsAlone) {
  const testing::TempFolder folder;
  auto writer = ContainerWriter::Open(folder.File("t"));
  ASSERT_TRUE(writer.ok()) << writer.status();
  TraceRecord record;
  *record.mutable_profile() = Header(1000, 1 << 22, 1);
  record.mutable_profile()->set_top_k(3);
  record.mutable_profile()->set_selections(SELECTIONS_NONE);
  record.mutable_profile()->mutable_provenance()->set_recorded_with("by hand");
  ASSERT_TRUE((*writer)->Append(record).ok());
  record.mutable_decision()->add_id_delta(1);
  ASSERT_TRUE((*writer)->Append(record).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  const absl::StatusOr<WindowDemand> demand =
      DistilTrace(folder.File("t"), {.policy = WantPolicy::kRecency, .tau_steps = 64});
  EXPECT_EQ(std::string(demand.status().message()),
            folder.File("t") +
                ": record 2: the profile holds neither scores nor selections, so it cannot be "
                "replayed; record one of them");
}

TEST(DistilTest, SeveralTargetLayersCountAsTheirMaximum) {
  DemandSpec spec;
  spec.recency_entries = 0;
  spec.page_kmax = 1;
  spec.tau_steps = 16;
  ProfileDistiller distiller(spec);
  ASSERT_TRUE(distiller.Begin(Header(4 * 64 * 4, 16, 16), 0).ok());
  // Page 3, the newest, is forced. Page 0: entries 1, 2 over the threshold in one layer or the
  // other, 2 distinct. Page 1: 3 distinct. Counting entries per layer would give page 0 four.
  distiller.Tick(0, 10, std::vector<uint32_t>{1, 2, 64}, std::vector<uint8_t>{200, 200, 200});
  distiller.Tick(0, 12, std::vector<uint32_t>{1, 2, 65, 66},
                 std::vector<uint8_t>{200, 130, 128, 255});
  distiller.Tick(0, 20, std::vector<uint32_t>{3, 4}, std::vector<uint8_t>{127, 64});
  const ProfileDemand demand = distiller.Finish();
  const auto list = demand.WantList(0);
  EXPECT_EQ(std::vector<PageIndex>(list.begin(), list.end()), (std::vector<PageIndex>{1, 3}));
}

// A threshold that rounds up to 1 is above every code: only the forced page is wanted.
TEST(DistilTest, AThresholdOfOneWantsNothing) {
  DemandSpec spec;
  spec.recency_entries = 0;
  spec.tau_steps = 16;
  for (const auto& [threshold, wanted] : {std::pair{255, 2u}, std::pair{256, 1u}}) {
    spec.threshold_code = threshold;
    ProfileDistiller distiller(spec);
    ASSERT_TRUE(distiller.Begin(Header(4 * 64 * 4, 16, 16), 0).ok());
    distiller.Tick(0, -1, std::vector<uint32_t>{1}, std::vector<uint8_t>{255});
    EXPECT_EQ(distiller.Finish().WantList(0).size(), wanted) << threshold;
  }
}

TEST(DistilTest, ATickWithoutRecordsWantsTheForcedPages) {
  DemandSpec spec;
  spec.recency_entries = 100;
  spec.tau_steps = 4;
  ProfileDistiller distiller(spec);
  ASSERT_TRUE(distiller.Begin(Header(4 * 64 * 8, 12, 4), 0).ok());
  distiller.Tick(4, -1, std::vector<uint32_t>{0}, std::vector<uint8_t>{200});
  const ProfileDemand demand = distiller.Finish();
  ASSERT_EQ(demand.position_count, 3);
  EXPECT_EQ(demand.WantList(0).size(), 2u);  // entries 412..511 are pages 6 and 7
  EXPECT_EQ(demand.WantList(1).size(), 4u);  // page 0, and by then entry 512 has opened page 8
  EXPECT_EQ(demand.WantList(2).size(), 3u);
}

// Random small profiles against sets of entries, step by step.
struct Recorded {
  std::map<int32_t, std::map<uint32_t, uint8_t>> ticks;  // position -> entry -> code
  std::map<int32_t, std::vector<std::pair<uint32_t, uint8_t>>> selections;  // step -> entry, votes
};

class DistilDifferentialTest : public ::testing::TestWithParam<WantPolicy> {};

TEST_P(DistilDifferentialTest, MissesAgreeWithCountingEntryByEntry) {
  Rng rng(17);
  for (int round = 0; round < 150; ++round) {
    const auto stride = static_cast<int32_t>(1 + rng.NextBelow(4));
    const auto positions = static_cast<int32_t>(1 + rng.NextBelow(6));
    const auto prompt_entries =
        static_cast<int64_t>(64 * (1 + rng.NextBelow(12)) + rng.NextBelow(64));
    DemandSpec spec;
    spec.policy = GetParam();
    spec.tau_steps = stride * static_cast<int32_t>(1 + rng.NextBelow(3));
    spec.page_kmax = static_cast<int32_t>(rng.NextBelow(5));
    spec.recency_entries = static_cast<int64_t>(rng.NextBelow(150));
    spec.sink_entries = static_cast<int64_t>(rng.NextBelow(70));
    const ProfileHeader header = Header(prompt_entries * 4, positions * stride, stride);
    ProfileDistiller distiller(spec);
    ASSERT_TRUE(distiller.Begin(header, 0).ok());
    Recorded recorded;
    for (int32_t step = 0; step <= positions * stride; ++step) {
      const int64_t entries = (header.prompt_tokens() + step + 1) / 4;
      std::set<uint32_t> chosen;
      for (int i = 0; i < 12; ++i) {
        chosen.insert(static_cast<uint32_t>(rng.NextBelow(static_cast<uint64_t>(entries))));
      }
      const std::vector<uint32_t> list(chosen.begin(), chosen.end());
      std::vector<uint8_t> votes;
      for (uint32_t entry : list) {
        votes.push_back(static_cast<uint8_t>(1 + rng.NextBelow(3)));
        recorded.selections[step].emplace_back(entry, votes.back());
      }
      distiller.Select(step, list, votes);
      if (step % stride != 0) continue;
      std::vector<uint32_t> scored;
      std::vector<uint8_t> codes;
      for (uint32_t entry = 0; entry < entries; ++entry) {
        if (rng.NextBelow(4) != 0) continue;
        scored.push_back(entry);
        codes.push_back(static_cast<uint8_t>(64 + rng.NextBelow(192)));
        recorded.ticks[step / stride][entry] = codes.back();
      }
      distiller.Tick(step, -1, scored, codes);
    }
    const ProfileDemand demand = distiller.Finish();
    for (int32_t position = 0; position < positions; ++position) {
      const auto want = demand.WantList(position);
      ASSERT_TRUE(std::is_sorted(want.begin(), want.end()));
      if (GetParam() == WantPolicy::kLsa) {
        // Every unforced page that is wanted is at least as dense as every one that is not.
        std::map<PageIndex, int> density;
        for (const auto& [entry, code] : recorded.ticks[position]) {
          if (code >= spec.threshold_code) ++density[static_cast<PageIndex>(entry / 64)];
        }
        const ForcedPages forced =
            ForcedPagesOf((header.prompt_tokens() + position * stride + 1) / 4, spec.sink_entries,
                          spec.recency_entries);
        int least_in = 65, most_out = 0, in = 0;
        for (int32_t page = forced.sink_end; page < forced.recency_begin; ++page) {
          const auto p = static_cast<PageIndex>(page);
          if (demand.Wants(position, p)) {
            ++in;
            least_in = std::min(least_in, density[p]);
          } else {
            most_out = std::max(most_out, density[p]);
          }
        }
        ASSERT_LE(in, spec.page_kmax);
        ASSERT_GE(least_in, most_out);
        if (in < spec.page_kmax) {
          ASSERT_EQ(most_out, 0);
        }
        if (in > 0) {
          ASSERT_GT(least_in, 0);
        }
      }
      const int64_t entries_at = (header.prompt_tokens() + position * stride + 1) / 4;
      const int64_t formed = std::max<int64_t>(0, (entries_at + 63) / 64 - 1);
      if (GetParam() == WantPolicy::kFlashMemory) {
        ASSERT_EQ(static_cast<int64_t>(want.size()),
                  std::min<int64_t>(spec.page_kmax, (entries_at + 63) / 64));
      }
      SelectionCount all, missed;
      for (int32_t lag = 0; lag < demand.lag_count; ++lag) {
        const int32_t w = (position + lag) % positions;
        const SelectionCount all_before = all, missed_before = missed;
        for (int32_t step = w * stride + 1; step <= (w + 1) * stride; ++step) {
          for (const auto& [entry, votes] : recorded.selections[step]) {
            const auto page = static_cast<PageIndex>(entry / 64);
            const bool prompt = page * 64 < prompt_entries;
            const SelectionCount add{votes, prompt ? votes : 0};
            all += add;
            if (GetParam() == WantPolicy::kFlashMemory) {
              if (entry >= entries_at || !demand.Wants(position, page)) missed += add;
            } else if (page < formed && !demand.Wants(position, page)) {
              missed += add;
            }
          }
        }
        // Evenly over the steps of the sub-window, in units of 1 / stride.
        for (int32_t rest = 0; rest <= stride; ++rest) {
          const int64_t steps = int64_t{lag} * stride + rest;
          ASSERT_EQ(demand.Selections(position, steps), all_before * (stride - rest) + all * rest);
          ASSERT_EQ(demand.Inactive(position, steps),
                    missed_before * (stride - rest) + missed * rest);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllPolicies, DistilDifferentialTest,
                         ::testing::Values(WantPolicy::kLsa, WantPolicy::kRecency,
                                           WantPolicy::kRandom, WantPolicy::kOracle,
                                           WantPolicy::kFlashMemory));

}  // namespace
}  // namespace tierscope
