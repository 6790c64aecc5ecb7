// The prefix store alone: what a look finds, what leaves, what stays.
#include "sim/engine/prefix_store.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/engine/cache_replay.h"
#include "tests/testing/real_data.h"
#include "tests/testing/request_traces.h"

namespace tierscope::testing {
namespace {

using Ids = std::vector<uint32_t>;

// A trace whose only use is its ids: prompts of whole blocks of 512 tokens.
RequestTrace TraceOf(const std::vector<Ids>& requests) {
  RequestTrace trace;
  trace.block_tokens = 512;
  trace.block_begin = {0};
  for (const Ids& ids : requests) {
    trace.requests.push_back({SimTime{0}, static_cast<int64_t>(ids.size()) * 512, 1, {}, -1});
    trace.block_ids.insert(trace.block_ids.end(), ids.begin(), ids.end());
    trace.block_begin.push_back(trace.block_ids.size());
    for (const uint32_t id : ids) trace.block_count = std::max<int64_t>(trace.block_count, id + 1);
  }
  trace.block_reference_count = static_cast<int64_t>(trace.block_ids.size());
  return trace;
}

// Serves every request of the trace alone, from its look to its end: blocks matched by each.
std::vector<int32_t> ServeInTurn(const RequestTrace& trace, int64_t host_blocks,
                                 PrefixTiers::Eviction eviction) {
  PrefixStore store(eviction, trace, {host_blocks, {}});
  std::vector<int32_t> matched;
  for (size_t i = 0; i < trace.requests.size(); ++i) {
    const auto ids = store.IdsOf(static_cast<int64_t>(i));
    const auto size = static_cast<int32_t>(ids.size());
    matched.push_back(store.Match(ids, 0));
    const int32_t kept = store.Keep(ids, matched.back(), size, trace.requests[i].input_tokens);
    EXPECT_LE(store.host_blocks(), host_blocks);
    store.Release(ids, 0, kept);
    EXPECT_EQ(store.pins(), 0);
  }
  return matched;
}

// The third starts with a new block: its other two are in the store, and behind a gap. So is the
// last one of the fourth.
TEST(PrefixStoreTest, OnlyAContiguousPrefixCounts) {
  const RequestTrace trace = TraceOf({{0, 1, 2}, {0, 1, 3}, {4, 1, 2}, {0, 5, 2}});
  EXPECT_EQ(ServeInTurn(trace, 100, PrefixTiers::LRU), (std::vector<int32_t>{0, 2, 0, 1}));
  // A cache of single blocks would have hit 0 + 2 + 2 + 2 = 6 of 12.
  EXPECT_EQ(
      CountCacheHits(CachePolicy::kLru, kCacheCapacityInfinite, trace.block_ids, trace.block_count),
      6);
}

// Four blocks fit. A B C, then D E: two must leave. A request is used from its end, so the oldest
// are C and then B; A is found again, and B C is not.
TEST(PrefixStoreTest, APrefixIsGivenUpAtItsTail) {
  const RequestTrace trace = TraceOf({{0, 1, 2}, {3, 4}, {0, 1, 2}});
  for (const auto eviction : {PrefixTiers::LRU, PrefixTiers::FIFO}) {
    EXPECT_EQ(ServeInTurn(trace, 4, eviction), (std::vector<int32_t>{0, 0, 2}));
    EXPECT_EQ(ServeInTurn(trace, 3, eviction), (std::vector<int32_t>{0, 0, 1}));
  }
}

// Two blocks fit: A is used again between B and C. LRU gives up B, FIFO gives up A.
TEST(PrefixStoreTest, ThePolicyDecides) {
  const RequestTrace trace = TraceOf({{0}, {1}, {0}, {2}, {0}, {1}});
  EXPECT_EQ(ServeInTurn(trace, 2, PrefixTiers::LRU), (std::vector<int32_t>{0, 0, 1, 0, 1, 0}));
  EXPECT_EQ(ServeInTurn(trace, 2, PrefixTiers::FIFO), (std::vector<int32_t>{0, 0, 1, 0, 0, 0}));
}

// Room for three. A B is pinned; C D finds room for C only, and E none while both run. Once A B is
// released, its tail B leaves for E.
TEST(PrefixStoreTest, PinnedBlocksStay) {
  for (const auto eviction : {PrefixTiers::LRU, PrefixTiers::FIFO, PrefixTiers::CLOCK,
                              PrefixTiers::S3FIFO, PrefixTiers::SIEVE}) {
    const RequestTrace trace = TraceOf({{0, 1}, {2, 3}, {4}});
    PrefixStore store(eviction, trace, {3, {}});
    EXPECT_EQ(store.Keep(store.IdsOf(0), 0, 2, 1024), 2);
    EXPECT_EQ(store.Keep(store.IdsOf(1), 0, 2, 1024), 1);
    EXPECT_EQ(store.Keep(store.IdsOf(2), 0, 1, 512), 0);
    EXPECT_EQ(store.host_blocks(), 3);
    store.Release(store.IdsOf(0), 0, 2);
    EXPECT_EQ(store.Keep(store.IdsOf(2), 0, 1, 512), 1);
    EXPECT_EQ(store.Match(store.IdsOf(0), 0), 1) << PrefixTiers::Eviction_Name(eviction);
    EXPECT_EQ(store.Match(store.IdsOf(1), 0), 1);
    EXPECT_EQ(store.pins(), 1 + 1 + 1 + 1);
  }
}

// A block may be partly filled: 700 tokens are one of 512 and one of 188. The match ends there,
// until somebody fills it.
TEST(PrefixStoreTest, APartialBlockEndsTheMatch) {
  RequestTrace trace = TraceOf({{0, 1}, {0, 1, 2}});
  trace.requests[0].input_tokens = 700;
  PrefixStore store(PrefixTiers::LRU, trace, {10, {}});
  store.Release(store.IdsOf(0), 0, store.Keep(store.IdsOf(0), 0, 2, 700));
  const auto ids = store.IdsOf(1);
  const int32_t end = store.Match(ids, 0);
  EXPECT_EQ(end, 2);
  EXPECT_EQ(store.TokensIn(ids, end, 1536), 700);
  EXPECT_EQ(store.TokensIn(ids, end, 600), 600);
  EXPECT_EQ(store.Keep(ids, end, 3, 1536), 3);
  store.Release(ids, 0, 3);
  EXPECT_EQ(store.Match(store.IdsOf(0), 0), 2);
  EXPECT_EQ(store.Match(ids, 0), 3);
}

// An id that stands twice in a prompt takes one block and is pinned twice.
TEST(PrefixStoreTest, AnIdMayStandTwice) {
  const RequestTrace trace = TraceOf({{0, 1, 0, 1}});
  PrefixStore store(PrefixTiers::LRU, trace, {10, {}});
  const auto ids = store.IdsOf(0);
  EXPECT_EQ(store.Keep(ids, 0, 4, 2048), 4);
  EXPECT_EQ(store.host_blocks(), 2);
  EXPECT_EQ(store.tokens_inserted(), 1024);
  EXPECT_EQ(store.pins(), 4);
  store.Release(ids, 0, 4);
  EXPECT_EQ(store.Match(ids, 0), 4);
}

// Host, NVMe and remote pool hold two blocks each. A B, C D, E F, G H each push the ones before a
// tier down; A B leave for good. E F come up from NVMe: G H go down there. C D come up from the
// remote pool, and whoever looks meanwhile finds them on their way.
TEST(PrefixStoreTest, WhatIsEvictedGoesDownAndComesUp) {
  const RequestTrace trace = TraceOf({{0, 1}, {2, 3}, {4, 5}, {6, 7}});
  PrefixStore store(PrefixTiers::LRU, trace, {2, {2, 2}});
  for (int64_t i = 0; i < 4; ++i) {
    store.Release(store.IdsOf(i), 0, store.Keep(store.IdsOf(i), 0, 2, 1024));
  }
  const PrefixStore::Fetch gone = store.StartFetch(store.IdsOf(0));
  EXPECT_EQ(gone.end, 0);
  EXPECT_FALSE(gone.arriving);
  const PrefixStore::Fetch up = store.StartFetch(store.IdsOf(2));
  EXPECT_EQ(up.end, 2);
  EXPECT_EQ(up.blocks, (std::array<int64_t, 2>{2, 0}));
  EXPECT_TRUE(up.arriving);
  EXPECT_EQ(store.Match(store.IdsOf(2), 0), 0) << "on their way";
  const PrefixStore::Fetch behind = store.StartFetch(store.IdsOf(2));
  EXPECT_EQ(behind.end, 2);
  EXPECT_EQ(behind.blocks, (std::array<int64_t, 2>{0, 0}));
  EXPECT_TRUE(behind.arriving);
  store.FinishFetch(store.IdsOf(2), 2);
  EXPECT_EQ(store.Match(store.IdsOf(2), 0), 2);
  EXPECT_EQ(store.StartFetch(store.IdsOf(3)).end, 0) << "the host is pinned";
  EXPECT_EQ(store.lower_blocks(LowerTier::kNvme), 2);
  for (int i = 0; i < 3; ++i) store.Release(store.IdsOf(2), 0, 2);
  EXPECT_EQ(store.pins(), 0);
  const PrefixStore::Fetch remote = store.StartFetch(store.IdsOf(1));
  EXPECT_EQ(remote.end, 2);
  EXPECT_EQ(remote.blocks, (std::array<int64_t, 2>{0, 2}));
  EXPECT_EQ(store.lower_blocks(LowerTier::kNvme), 2);
  EXPECT_EQ(store.lower_blocks(LowerTier::kRemote), 2);
}

// A B C in turn, room for two: A went down. Who wants A B fetches A, and C makes room for it, not
// B, which is the older.
TEST(PrefixStoreTest, AFetchDoesNotEvictItsOwnBlocks) {
  const RequestTrace trace = TraceOf({{0}, {1}, {2}, {0, 1}});
  PrefixStore store(PrefixTiers::LRU, trace, {2, {4, 0}});
  for (int64_t i = 0; i < 3; ++i) {
    store.Release(store.IdsOf(i), 0, store.Keep(store.IdsOf(i), 0, 1, 512));
  }
  const PrefixStore::Fetch fetch = store.StartFetch(store.IdsOf(3));
  EXPECT_EQ(fetch.end, 2);
  EXPECT_EQ(fetch.blocks, (std::array<int64_t, 2>{1, 0}));
  EXPECT_EQ(store.Match(store.IdsOf(2), 0), 0);
  EXPECT_EQ(store.pins(), 2);
}

// Matched blocks of a store without bound, against a slow count: the leading ids seen before. Where
// equal ids mean equal prefixes, as Mooncake's do, that is every hit of a cache without bound.
int64_t LeadingSeen(const RequestTrace& trace) {
  std::vector<bool> seen(static_cast<size_t>(trace.block_count));
  int64_t leading = 0;
  for (size_t i = 0; i < trace.requests.size(); ++i) {
    const Ids ids = IdsOf(trace, i);
    size_t end = 0;
    while (end < ids.size() && seen[ids[end]]) ++end;
    leading += static_cast<int64_t>(end);
    for (const uint32_t id : ids) seen[id] = true;
  }
  return leading;
}

int64_t Sum(const std::vector<int32_t>& values) {
  return std::accumulate(values.begin(), values.end(), int64_t{0});
}

TEST(PrefixStoreTest, WithoutABoundEveryPolicyMatchesWhatWasSeen) {
  Rng rng(7, 1);
  for (int round = 0; round < 200; ++round) {
    std::vector<Ids> requests(1 + rng.NextBelow(12));
    for (Ids& ids : requests) {
      ids.resize(1 + rng.NextBelow(6));
      for (uint32_t& id : ids) id = static_cast<uint32_t>(rng.NextBelow(10));
    }
    const RequestTrace trace = TraceOf(requests);
    for (const auto eviction : {PrefixTiers::LRU, PrefixTiers::FIFO, PrefixTiers::CLOCK,
                                PrefixTiers::S3FIFO, PrefixTiers::SIEVE}) {
      const int64_t unbounded = Sum(ServeInTurn(trace, 100, eviction));
      EXPECT_EQ(unbounded, LeadingSeen(trace));
      EXPECT_LE(Sum(ServeInTurn(trace, 3, eviction)), unbounded);
    }
  }
}

TEST(PrefixStoreTest, MooncakeMatchesTheCacheReplay) {
  TIERSCOPE_SKIP_WITHOUT_REAL_DATA("mooncake/conversation_trace.jsonl");
  RequestTrace trace = Load(RealDataPath("mooncake/conversation_trace.jsonl"));
  // Whole blocks only: a partial one at a prompt's end would end a later match.
  for (size_t i = 0; i < trace.requests.size(); ++i) {
    trace.requests[i].input_tokens = static_cast<int64_t>(BlockIds(trace, i).size()) * 512;
  }
  const int64_t hits =
      CountCacheHits(CachePolicy::kLru, kCacheCapacityInfinite, trace.block_ids, trace.block_count);
  EXPECT_GT(hits, 100'000);
  EXPECT_EQ(LeadingSeen(trace), hits);
  EXPECT_EQ(Sum(ServeInTurn(trace, trace.block_count, PrefixTiers::LRU)), hits);
  const int64_t bounded = Sum(ServeInTurn(trace, 20'000, PrefixTiers::LRU));
  EXPECT_GT(bounded, hits / 4);
  EXPECT_LT(bounded, hits);
}

TEST(PrefixStoreTest, WekaMatchesWhatWasSeen) {
  TIERSCOPE_SKIP_WITHOUT_REAL_DATA("weka-kv-cache-tester/traces_dev.tar.xz");
  const RequestTrace trace = Load(UnpackedWeka());
  const int64_t matched = Sum(ServeInTurn(trace, trace.block_count, PrefixTiers::LRU));
  EXPECT_EQ(matched, LeadingSeen(trace));
  EXPECT_GT(matched, trace.block_reference_count / 2);
  EXPECT_LE(matched, CountCacheHits(CachePolicy::kLru, kCacheCapacityInfinite, trace.block_ids,
                                    trace.block_count));
}

}  // namespace
}  // namespace tierscope::testing
