// What the simulator spends its time on. Each benchmark prints a rate; nothing is asserted.
#include <cstdint>
#include <vector>

#include "benchmark/benchmark.h"

#include "sim/base/rng.h"
#include "sim/engine/cache_replay.h"
#include "sim/engine/event_queue.h"
#include "sim/engine/residency.h"

namespace tierscope {
namespace {

// One push and one pop at a steady number of pending events.
void BM_EventQueuePushPop(benchmark::State& state) {
  Rng rng(1);
  EventQueue queue;
  for (int64_t i = 0; i < state.range(0); ++i) {
    queue.Push(static_cast<int64_t>(rng.NextBelow(1'000'000)), 0, 0);
  }
  for (auto _ : state) {
    const Event event = queue.Pop();
    queue.Push(event.key + static_cast<int64_t>(rng.NextBelow(1'000'000)), event.phase(), 0);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_EventQueuePushPop)->Arg(1'000)->Arg(100'000);

constexpr int32_t kSlots = 60;
constexpr int32_t kPages = 2'048;

// Want lists of one slot over 16 windows: 224 of 2,048 pages, of which a third changes per window.
std::vector<std::vector<PageIndex>> WantLists(Rng& rng) {
  std::vector<bool> wanted(kPages);
  for (int32_t page = 0; page < 224; ++page) wanted[static_cast<size_t>(page * 9)] = true;
  std::vector<std::vector<PageIndex>> lists;
  for (int window = 0; window < 16; ++window) {
    for (int change = 0; change < 75; ++change) {
      size_t leaves = rng.NextBelow(kPages);
      size_t enters = rng.NextBelow(kPages);
      while (!wanted[leaves]) leaves = (leaves + 1) % kPages;
      while (wanted[enters]) enters = (enters + 1) % kPages;
      wanted[leaves] = false;
      wanted[enters] = true;
    }
    auto& list = lists.emplace_back();
    for (int32_t page = 0; page < kPages; ++page) {
      if (wanted[static_cast<size_t>(page)]) list.push_back(static_cast<PageIndex>(page));
    }
  }
  return lists;
}

// Pages visited by ticks of 60 requests on a reserve of 15,360 pages.
void BM_ResidencyWant(benchmark::State& state) {
  Rng rng(1);
  Residency residency(15'360, Policy::LRU_PROTECTED, Policy::ON_COMPLETION);
  std::vector<std::vector<std::vector<PageIndex>>> lists;
  for (int32_t slot = 0; slot < kSlots; ++slot) {
    residency.Open(slot, kPages, slot);
    lists.push_back(WantLists(rng));
  }
  int64_t visits = 0;
  size_t window = 0;
  for (auto _ : state) {
    for (int32_t slot = 0; slot < kSlots; ++slot) {
      const auto& list = lists[static_cast<size_t>(slot)][window % 16];
      benchmark::DoNotOptimize(residency.Want(slot, list));
      visits += static_cast<int64_t>(list.size());
    }
    residency.ClearEvicted();
    ++window;
  }
  state.SetItemsProcessed(visits);
}
BENCHMARK(BM_ResidencyWant);

constexpr int64_t kReplayBlocks = 200'000;

// A skewed sequence over kReplayBlocks blocks.
std::vector<uint32_t> SkewedIds(size_t accesses) {
  Rng rng(1);
  std::vector<uint32_t> ids(accesses);
  for (uint32_t& id : ids) {
    const double u = rng.NextDouble();
    id = static_cast<uint32_t>(u * u * u * static_cast<double>(kReplayBlocks));
  }
  return ids;
}

// A million accesses, a cache of a tenth of the blocks.
void BM_Replay(benchmark::State& state, CachePolicy policy) {
  const std::vector<uint32_t> ids = SkewedIds(1'000'000);
  for (auto _ : state) {
    benchmark::DoNotOptimize(CountCacheHits(policy, kReplayBlocks / 10, ids, kReplayBlocks));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(ids.size()));
}
BENCHMARK_CAPTURE(BM_Replay, lru, CachePolicy::kLru);
BENCHMARK_CAPTURE(BM_Replay, fifo, CachePolicy::kFifo);
BENCHMARK_CAPTURE(BM_Replay, clock, CachePolicy::kClock);
BENCHMARK_CAPTURE(BM_Replay, sieve, CachePolicy::kSieve);
BENCHMARK_CAPTURE(BM_Replay, s3fifo, CachePolicy::kS3Fifo);
BENCHMARK_CAPTURE(BM_Replay, belady, CachePolicy::kBelady);

// 20 M accesses, eight capacities in one pass; the rate is that of accesses, not of cache lookups.
void BM_LruCurve(benchmark::State& state) {
  const std::vector<uint32_t> ids = SkewedIds(20'000'000);
  std::vector<int64_t> capacities;
  for (int64_t i = 1; i <= 8; ++i) capacities.push_back(kReplayBlocks * i / 10);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        CountCacheHitsAtEach(CachePolicy::kLru, capacities, ids, kReplayBlocks));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(ids.size()));
}
BENCHMARK(BM_LruCurve)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tierscope
