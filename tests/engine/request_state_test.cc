// The account of a request's selections against counting entry by entry and step by step.
#include "sim/engine/request_state.h"

#include <algorithm>
#include <map>
#include <set>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/demand/distil.h"

namespace tierscope {
namespace {

constexpr int32_t kStride = 4;
constexpr int32_t kPositions = 12;
constexpr int64_t kTau = 2 * kStride;

struct World {
  ProfileDemand demand;
  ProfileHeader header;
  // Per sub-window: entry -> votes, over all its steps.
  std::vector<std::map<uint32_t, int64_t>> selected;

  int64_t EntriesAt(int64_t window) const {
    return (header.prompt_tokens() + window * kStride + 1) / 4;
  }
};

World RandomWorld(Rng& rng, WantPolicy policy) {
  World world;
  // Few prompt tokens short of a page, so that pages fill up and open while the request runs.
  world.header.set_prompt_tokens(256 * static_cast<int64_t>(2 + rng.NextBelow(6)) -
                                 static_cast<int64_t>(rng.NextBelow(60)));
  world.header.set_step_count(kPositions * kStride);
  world.header.set_tick_stride_steps(kStride);
  world.header.set_tokens_per_entry(4);
  world.header.set_csa_layer_count(3);
  world.header.set_selections(SELECTIONS_FULL_HISTORY);
  DemandSpec spec;
  spec.policy = policy;
  spec.tau_steps = kTau;
  spec.page_kmax = 1 + static_cast<int32_t>(rng.NextBelow(4));
  spec.recency_entries = static_cast<int64_t>(rng.NextBelow(80));
  ProfileDistiller distiller(spec);
  EXPECT_TRUE(distiller.Begin(world.header, 0).ok());
  world.selected.resize(kPositions);
  for (int32_t step = 0; step <= kPositions * kStride; ++step) {
    const int64_t entries = (world.header.prompt_tokens() + step + 1) / 4;
    std::set<uint32_t> chosen = {static_cast<uint32_t>(entries - 1)};  // the newest, always
    for (int i = 0; i < 8; ++i) {
      chosen.insert(static_cast<uint32_t>(rng.NextBelow(static_cast<uint64_t>(entries))));
    }
    const std::vector<uint32_t> list(chosen.begin(), chosen.end());
    const std::vector<uint8_t> votes(list.size(), static_cast<uint8_t>(1 + rng.NextBelow(3)));
    distiller.Select(step, list, votes);
    for (size_t i = 0; step > 0 && i < list.size(); ++i) {
      world.selected[static_cast<size_t>((step - 1) / kStride)][list[i]] += votes[i];
    }
    if (step % kStride == 0) distiller.Tick(step, -1, list, std::vector<uint8_t>(list.size(), 200));
  }
  world.demand = distiller.Finish();
  return world;
}

// What is active and held at one step, told in full.
struct Moment {
  int64_t active_window = -1;
  std::map<PageIndex, bool> lost;  // page -> overflowed
};

struct Counts {
  SelectionCount selections, inactive, evicted;
};

Counts CountSlowly(const World& world, const RequestState& request,
                   const std::vector<Moment>& moments) {
  Counts counts;
  const bool flashmemory = !world.demand.late.empty();
  for (size_t step = 0; step < moments.size(); ++step) {
    const Moment& now = moments[step];
    const auto window = static_cast<int64_t>(step) / kStride;
    const auto at = static_cast<size_t>((request.start.position + window) % kPositions);
    for (const auto& [entry, votes] : world.selected[at]) {
      const auto page = static_cast<PageIndex>(entry / 64);
      if (page < request.first_page) continue;
      const SelectionCount add{votes, page < world.demand.prompt_page_count ? votes : 0};
      counts.selections += add;
      if (now.active_window < 0) {
        counts.inactive += add;
        continue;
      }
      const int64_t tick = (request.start.position + now.active_window) % kPositions;
      const auto list = world.demand.WantList(static_cast<int32_t>(tick));
      bool active = std::count(list.begin(), list.end(), page) > 0;
      if (flashmemory) {
        active = active && entry < world.EntriesAt(tick);
      } else {
        active = active || page >= (world.EntriesAt(tick) + 63) / 64 - 1;
      }
      const auto lost = now.lost.find(page);
      if (!active || (lost != now.lost.end() && lost->second)) {
        counts.inactive += add;
      } else if (lost != now.lost.end()) {
        counts.evicted += add;
      }
    }
  }
  return counts;
}

class RequestStateTest : public ::testing::TestWithParam<WantPolicy> {};

TEST_P(RequestStateTest, AccountsAgreeWithCountingEntryByEntry) {
  Rng rng(23);
  int64_t evicted = 0;
  for (int round = 0; round < 600; ++round) {
    const World world = RandomWorld(rng, GetParam());
    RequestState request;
    request.demand = &world.demand;
    request.start.position = static_cast<int32_t>(rng.NextBelow(kPositions));  // wraps
    request.arrival.context_tokens = rng.NextBelow(2) == 0 ? 256 : world.header.prompt_tokens();
    request.ClipToOwnHistory();
    Counters counters;
    std::vector<Moment> moments;
    Moment now;
    const auto account = [&](int64_t steps) {
      request.Account(steps, counters);
      moments.resize(static_cast<size_t>(steps), now);
    };
    int64_t tick = 0;  // own step of the last tick
    for (int64_t step = 0; step < 30; ++step) {
      if (step == tick + kTau) tick = step;
      // The set of the last tick is published at some step before the next one.
      if (now.active_window * kStride < tick || now.active_window < 0) {
        const bool due = step + 1 == tick + kTau || rng.NextBelow(4) == 0;
        if (due) {
          account(step);
          request.active_window = now.active_window = tick / kStride;
          request.lost.clear();
          now.lost.clear();
        }
      }
      // Pages of the active list get lost, now and then one that is lost already.
      if (now.active_window >= 0 && rng.NextBelow(2) == 0) {
        const auto list = request.WantList(now.active_window);
        if (!list.empty()) {
          const PageIndex page = list[rng.NextBelow(list.size())];
          const bool overflowed = now.lost.count(page) > 0 ? now.lost[page] : rng.NextBelow(4) == 0;
          moments.resize(static_cast<size_t>(step), now);
          request.lost.push_back({page, step, overflowed});
          now.lost.insert({page, overflowed});
        }
      }
      if (rng.NextBelow(10) == 0) account(step);  // as at the end of a warm-up
      moments.resize(static_cast<size_t>(step) + 1, now);
    }
    request.Account(30, counters);
    const Counts counts = CountSlowly(world, request, moments);
    ASSERT_EQ(counters.selections, counts.selections) << round;
    ASSERT_EQ(counters.inactive, counts.inactive) << round;
    ASSERT_EQ(counters.evicted, counts.evicted) << round;
    evicted += counts.evicted.all;
  }
  EXPECT_GT(evicted, 0);
}

INSTANTIATE_TEST_SUITE_P(Policies, RequestStateTest,
                         ::testing::Values(WantPolicy::kLsa, WantPolicy::kFlashMemory));

}  // namespace
}  // namespace tierscope
