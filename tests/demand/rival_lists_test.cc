// Want lists of StreamingLLM, H2O and Quest from records: what each may know and must not.
#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/demand/distil.h"

namespace tierscope {
namespace {

constexpr int32_t kStride = 4;

// One token an entry, 64 a page.
ProfileHeader Header(int64_t prompt_tokens, int32_t steps) {
  ProfileHeader header;
  header.set_prompt_tokens(prompt_tokens);
  header.set_step_count(steps);
  header.set_tick_stride_steps(kStride);
  header.set_tokens_per_entry(1);
  header.set_csa_layer_count(3);
  header.set_selections(SELECTIONS_FULL_HISTORY);
  return header;
}

DemandSpec Spec(WantPolicy policy, int32_t kmax) {
  DemandSpec spec;
  spec.policy = policy;
  spec.tau_steps = kStride;
  spec.page_kmax = kmax;
  spec.recency_entries = 0;
  return spec;
}

std::vector<int32_t> ListOf(const ProfileDemand& demand, int32_t position) {
  const auto list = demand.WantList(position);
  return {list.begin(), list.end()};
}

// Selections by step: page -> votes, all of the page's first entry.
using Steps = std::vector<std::map<int32_t, uint8_t>>;

ProfileDemand DistilSteps(const DemandSpec& spec, const ProfileHeader& header, const Steps& steps) {
  ProfileDistiller distiller(spec);
  EXPECT_TRUE(distiller.Begin(header, 0).ok());
  for (size_t step = 0; step < steps.size(); ++step) {
    std::vector<uint32_t> entries;
    std::vector<uint8_t> votes;
    for (const auto& [page, count] : steps[step]) {
      entries.push_back(static_cast<uint32_t>(page) * 64);
      votes.push_back(count);
    }
    distiller.Select(static_cast<int32_t>(step), entries, votes);
  }
  return distiller.Finish();
}

// Six prompt pages; page 6 opens with step 0. One page of attention besides the open one.
// Step 0 goes to page 2, so tick 0 keeps it and drops 0, 1, 3 to 5. From then on all goes to page
// 0, which an accumulation with foresight would keep; and nothing brings it back at the later
// ticks.
TEST(H2oListsTest, DecidesByThePastAndDropsForGood) {
  Steps steps(13);
  steps[0] = {{2, 1}};
  for (size_t step = 1; step <= 12; ++step) steps[step] = {{0, 3}};
  const ProfileDemand demand = DistilSteps(Spec(WantPolicy::kH2o, 1), Header(6 * 64, 12), steps);
  for (int32_t position = 0; position < 3; ++position) {
    EXPECT_EQ(ListOf(demand, position), (std::vector<int32_t>{2, 6})) << position;
  }
  // Steps 1 to 12 select page 0 only, and it is gone: 3 a step, from each tick on.
  EXPECT_EQ(demand.Inactive(0, 12), demand.Selections(0, 12));
}

// Attention adds up over windows: page 1 has 2 + 2 before tick 2, page 3 has 3. With a page for two
// until then both are there.
TEST(H2oListsTest, AccumulatesOverWindows) {
  Steps steps(13);
  steps[0] = {{1, 1}, {3, 1}};
  steps[2] = {{1, 2}, {3, 3}};
  steps[6] = {{1, 2}};
  const DemandSpec two = Spec(WantPolicy::kH2o, 2);
  const ProfileDemand demand = DistilSteps(two, Header(6 * 64, 12), steps);
  EXPECT_EQ(ListOf(demand, 0), (std::vector<int32_t>{1, 3, 6}));
  EXPECT_EQ(ListOf(demand, 2), (std::vector<int32_t>{1, 3, 6}));
  // Room for one: page 3 has 4 of attention by tick 1 (step 0 and step 2), page 1 has 3; but page 1
  // went at tick 0, where both had 1 and 3 is the newer.
  const ProfileDemand one = DistilSteps(Spec(WantPolicy::kH2o, 1), Header(6 * 64, 12), steps);
  EXPECT_EQ(ListOf(one, 0), (std::vector<int32_t>{3, 6}));
  EXPECT_EQ(ListOf(one, 2), (std::vector<int32_t>{3, 6}));
}

Steps RandomSteps(Rng* rng, int32_t count, int64_t prompt_tokens) {
  Steps steps(static_cast<size_t>(count) + 1);
  for (size_t step = 0; step < steps.size(); ++step) {
    const uint64_t pages = (static_cast<uint64_t>(prompt_tokens) + step) / 64 + 1;
    for (uint64_t n = rng->NextBelow(6); n > 0; --n) {
      steps[step][static_cast<int32_t>(rng->NextBelow(pages))] =
          static_cast<uint8_t>(1 + rng->NextBelow(3));
    }
  }
  return steps;
}

// Over random recordings: no list of H2O or StreamingLLM has a page that the one before lacked and
// that is not new; and what comes after a tick moves no list up to it.
TEST(RivalListsTest, NothingReturnsAndNothingIsForeseen) {
  Rng rng(11);
  int64_t moved = 0;
  for (int round = 0; round < 200; ++round) {
    const int64_t prompt =
        64 * static_cast<int64_t>(3 + rng.NextBelow(20)) - static_cast<int64_t>(rng.NextBelow(64));
    const ProfileHeader header = Header(prompt, 160);
    const Steps steps = RandomSteps(&rng, 160, prompt);
    const auto kmax = static_cast<int32_t>(1 + rng.NextBelow(6));
    for (const WantPolicy policy : {WantPolicy::kH2o, WantPolicy::kStreamingLlm}) {
      const ProfileDemand demand = DistilSteps(Spec(policy, kmax), header, steps);
      for (int32_t p = 1; p < demand.position_count; ++p) {
        const std::vector<int32_t> before = ListOf(demand, p - 1);
        const int64_t pages_before = (prompt + (p - 1) * kStride + 1 + 63) / 64;
        for (const int32_t page : ListOf(demand, p)) {
          const bool was = std::binary_search(before.begin(), before.end(), page);
          ASSERT_TRUE(was || page >= pages_before) << round << " " << p << " " << page;
        }
      }
    }
    const int32_t tick = 20;
    Steps other = RandomSteps(&rng, 160, prompt);
    std::copy(steps.begin(), steps.begin() + tick * kStride + 1, other.begin());
    const DemandSpec spec = Spec(WantPolicy::kH2o, kmax);
    const ProfileDemand a = DistilSteps(spec, header, steps), b = DistilSteps(spec, header, other);
    for (int32_t p = 0; p <= tick; ++p) ASSERT_EQ(ListOf(a, p), ListOf(b, p)) << round << " " << p;
    for (int32_t p = tick + 1; p < a.position_count; ++p) moved += ListOf(a, p) != ListOf(b, p);
  }
  EXPECT_GT(moved, 100);  // the futures do differ
}

// Page 0: one entry of code 250; page 1: forty of code 200; page 2: one of 249 in a second layer.
TEST(QuestListsTest, TheGreatestScoreOfAPageDecides) {
  ProfileDistiller distiller(Spec(WantPolicy::kQuest, 1));
  ASSERT_TRUE(distiller.Begin(Header(4 * 64, 8), 0).ok());
  std::vector<uint32_t> many;
  for (uint32_t i = 0; i < 40; ++i) many.push_back(64 + i);
  std::vector<uint32_t> first = {5};
  first.insert(first.end(), many.begin(), many.end());
  std::vector<uint8_t> codes(first.size(), 200);
  codes[0] = 250;
  distiller.Tick(0, 0, first, codes);
  distiller.Tick(0, 1, std::vector<uint32_t>{130}, std::vector<uint8_t>{249});
  distiller.Tick(4, 0, many, std::vector<uint8_t>(many.size(), 200));
  distiller.Tick(4, 1, std::vector<uint32_t>{130}, std::vector<uint8_t>{249});
  const ProfileDemand demand = distiller.Finish();
  EXPECT_EQ(ListOf(demand, 0), (std::vector<int32_t>{0, 4}));
  EXPECT_EQ(ListOf(demand, 1), (std::vector<int32_t>{2, 4}));
}

// A threshold, and a floor above it, change nothing for Quest; a trace without scores is refused.
TEST(QuestListsTest, NeedsScoresAndNoThreshold) {
  DemandSpec spec = Spec(WantPolicy::kQuest, 1);
  spec.threshold_code = 1;
  ProfileHeader header = Header(4 * 64, 8);
  header.set_score_floor_code(64);
  EXPECT_TRUE(CheckAnswerable(header, spec).ok());
  header.set_no_scores(true);
  EXPECT_FALSE(CheckAnswerable(header, spec).ok());
  header.mutable_decisions()->set_threshold_code(1);
  EXPECT_EQ(
      std::string(CheckAnswerable(header, spec).message()),
      "the trace holds decisions and no scores, which policy.kind QUEST needs for its bounds: "
      "record scores");
}

TEST(H2oListsTest, NeedsSelectionsOfTheFullHistory) {
  ProfileHeader header = Header(4 * 64, 8);
  header.set_selections(SELECTIONS_RESIDENT_ONLY);
  EXPECT_EQ(std::string(CheckAnswerable(header, Spec(WantPolicy::kH2o, 1)).message()),
            "policy.kind H2O needs selections of the full history, which this trace does not hold");
  EXPECT_TRUE(CheckAnswerable(header, Spec(WantPolicy::kStreamingLlm, 1)).ok());
}

}  // namespace
}  // namespace tierscope
