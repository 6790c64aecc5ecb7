// Hot buffers of whole traces against a buffer kept entry by entry: sizes, cold starts, warm-up,
// recordings that wrap.
#include "sim/demand/hot_buffers.h"

#include <algorithm>
#include <map>
#include <set>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/traces/trace_testing.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

constexpr int32_t kStride = 4, kLayers = 2, kTopK = 3, kSteps = 24;

ProfileHeader Header(int64_t prompt_tokens) {
  ProfileHeader header;
  header.set_model("toy");
  header.set_prompt_tokens(prompt_tokens);
  header.set_step_count(kSteps);
  header.set_tick_stride_steps(kStride);
  header.set_score_floor_code(64);
  header.set_tokens_per_entry(1);
  header.set_csa_layer_count(kLayers);
  header.set_top_k(kTopK);
  header.set_selections(SELECTIONS_FULL_HISTORY);
  header.mutable_provenance()->set_recorded_with("test");
  return header;
}

// [step][layer]
using Sets = std::vector<std::vector<std::set<uint32_t>>>;

Sets RandomSets(int64_t prompt_tokens, Rng* rng) {
  Sets sets(kSteps + 1);
  for (int32_t step = 0; step <= kSteps; ++step) {
    for (int32_t layer = 0; layer < kLayers; ++layer) {
      std::set<uint32_t>& chosen = sets[static_cast<size_t>(step)].emplace_back();
      for (int i = 0; i < kTopK; ++i) {
        const uint64_t bound = rng->NextBelow(3) == 0 ? static_cast<uint64_t>(prompt_tokens) : 8;
        chosen.insert(static_cast<uint32_t>(rng->NextBelow(bound)));
      }
    }
  }
  return sets;
}

void AddProfile(int64_t prompt_tokens, const Sets& sets, std::vector<TraceRecord>* records) {
  *records->emplace_back().mutable_profile() = Header(prompt_tokens);
  for (int32_t step = 0; step <= kSteps; ++step) {
    for (int32_t layer = 0; layer < kLayers; ++layer) {
      const auto& set = sets[static_cast<size_t>(step)][static_cast<size_t>(layer)];
      const std::vector<uint32_t> entries(set.begin(), set.end());
      FillSelection(step, layer, entries, {}, {}, &records->emplace_back());
    }
    if (step % kStride == 0 && step < kSteps) {
      FillTick(step, -1, std::vector<uint32_t>{1}, std::vector<uint8_t>{200},
               &records->emplace_back());
    }
  }
}

// One layer's entries with the step of their last use.
class SlowBuffer {
 public:
  explicit SlowBuffer(size_t slots) : slots_(slots) {}
  int64_t Step(int64_t step, const std::set<uint32_t>& entries) {
    int64_t misses = 0;
    for (const uint32_t entry : entries) misses += last_use_.count(entry) == 0 ? 1 : 0;
    for (const uint32_t entry : entries) last_use_[entry] = step;
    while (last_use_.size() > slots_) {
      const auto oldest =
          std::min_element(last_use_.begin(), last_use_.end(), [](const auto& a, const auto& b) {
            return std::pair(a.second, a.first) < std::pair(b.second, b.first);
          });
      last_use_.erase(oldest);
    }
    return misses;
  }

 private:
  size_t slots_;
  std::map<uint32_t, int64_t> last_use_;
};

// Misses of own step 0, 1, ... of a request that starts at `start`, its buffers empty at step
// `empty`; past the end the recording goes on at step 1 behind a cold step 0.
std::vector<int64_t> SlowMisses(const Sets& sets, size_t slots, int64_t empty, int64_t start,
                                int64_t own_steps) {
  std::vector<int64_t> misses;
  std::vector<SlowBuffer> buffers(kLayers, SlowBuffer(slots));
  const auto use = [&](int64_t step) {
    int64_t lacked = 0;
    for (size_t layer = 0; layer < kLayers; ++layer) {
      lacked += buffers[layer].Step(step, sets[static_cast<size_t>(step)][layer]);
    }
    return lacked;
  };
  for (int64_t step = empty; step < start; ++step) use(step);
  int64_t at = start;
  for (int64_t own = 0; own < own_steps; ++own, ++at) {
    if (at > kSteps) {
      buffers.assign(kLayers, SlowBuffer(slots));
      use(0);
      at = 1;
    }
    misses.push_back(use(at));
  }
  return misses;
}

TEST(HotBuffersTest, EqualsBuffersKeptEntryByEntry) {
  Rng rng(3);
  int64_t warmer = 0;
  for (int round = 0; round < 30; ++round) {
    const int64_t prompts[] = {40, 100};
    std::vector<TraceRecord> records;
    std::vector<Sets> sets;
    for (const int64_t prompt : prompts) {
      sets.push_back(RandomSets(prompt, &rng));
      AddProfile(prompt, sets.back(), &records);
    }
    const std::string path = TempPath("t");
    WriteContainer(path, records);
    DemandSpec swap;
    swap.policy = WantPolicy::kTopkSwap;
    swap.hot_buffer_entries = static_cast<int32_t>(kTopK + rng.NextBelow(6));
    DemandSpec ess;
    ess.policy = WantPolicy::kEss;
    ess.pool_parts = 100'000;  // 4 and 10 entries
    ess.pool_warmup_steps = static_cast<int32_t>(rng.NextBelow(9));
    for (const DemandSpec& spec : {swap, ess}) {
      const auto demand = DistilTrace(path, spec);
      ASSERT_TRUE(demand.ok()) << demand.status();
      ASSERT_NE(demand->hot_buffers, nullptr);
      const int32_t warm = (spec.pool_warmup_steps + kStride - 1) / kStride;
      EXPECT_EQ(demand->first_start, warm);
      for (size_t i = 0; i < 2; ++i) {
        const size_t slots = spec.policy == WantPolicy::kEss
                                 ? static_cast<size_t>(prompts[i] / 10)
                                 : static_cast<size_t>(spec.hot_buffer_entries);
        EXPECT_EQ(demand->hot_buffers->slots[i], static_cast<int32_t>(slots));
        for (int32_t position = warm; position < kSteps / kStride; ++position) {
          const int64_t start = int64_t{position} * kStride;
          const int64_t empty = start - int64_t{warm} * kStride;
          const std::vector<int64_t> slow = SlowMisses(sets[i], slots, empty, start, 60);
          int64_t first = 0;
          for (int64_t own = 0; own < 60; ++own) {
            const HotBuffers::Fetch fetch = demand->hot_buffers->At(i, position, own);
            ASSERT_EQ(fetch.misses, slow[static_cast<size_t>(own)])
                << round << " profile " << i << " position " << position << " step " << own;
            ASSERT_LE(fetch.misses, fetch.selections);
            if (own == 0) first = fetch.misses;
          }
          // Warm-up is felt: cold, step 0 lacks all it selects.
          warmer += warm > 0 && first < demand->hot_buffers->At(i, position, 0).selections ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(warmer, 100);
}

// Want lists and counts are no part of such a demand; the frame is.
TEST(HotBuffersTest, TheFrameOfAProfile) {
  Rng rng(4);
  std::vector<TraceRecord> records;
  AddProfile(100, RandomSets(100, &rng), &records);
  const std::string path = TempPath("t");
  WriteContainer(path, records);
  DemandSpec spec;
  spec.policy = WantPolicy::kTopkSwap;
  spec.hot_buffer_entries = 8;
  const auto demand = DistilTrace(path, spec);
  ASSERT_TRUE(demand.ok()) << demand.status();
  const ProfileDemand& frame = demand->profiles[0];
  EXPECT_EQ(frame.prompt_tokens, 100);
  EXPECT_EQ(frame.stride_steps, kStride);
  EXPECT_EQ(frame.position_count, kSteps / kStride);
  EXPECT_EQ(frame.tokens_per_page, 64);
  EXPECT_EQ(frame.prompt_page_count, 2);
  EXPECT_EQ(frame.page_count, 2);  // 125 entries
  EXPECT_TRUE(frame.want_pages.empty());
  EXPECT_EQ(demand->trace_name, std::filesystem::path(path).filename().string());
  EXPECT_FALSE(demand->trace_digest.empty());
}

TEST(HotBuffersTest, Refusals) {
  Rng rng(5);
  std::vector<TraceRecord> records;
  AddProfile(100, RandomSets(100, &rng), &records);
  const std::string path = TempPath("t");
  WriteContainer(path, records);
  const auto problem = [&](const DemandSpec& spec) {
    return std::string(DistilTrace(path, spec).status().message());
  };
  DemandSpec spec;
  spec.policy = WantPolicy::kEss;
  spec.pool_parts = 20'000;
  EXPECT_NE(
      problem(spec).find("policy.pool_ratio leaves 2 of a profile's 100 entries, fewer than a "
                         "layer takes in one step (3); raise it"),
      std::string::npos)
      << problem(spec);
  spec.pool_parts = 200'000;
  spec.pool_warmup_steps = kSteps;
  EXPECT_NE(problem(spec).find("policy.pool_warmup_steps 24 leave nothing of 24 recorded steps"),
            std::string::npos)
      << problem(spec);
  spec.pool_warmup_steps = kSteps - kStride;
  EXPECT_EQ(problem(spec), "");
  spec.policy = WantPolicy::kTopkSwap;
  spec.hot_buffer_entries = 2;
  EXPECT_NE(problem(spec), "");
}

}  // namespace
}  // namespace tierscope
