// Prefix reuse in a run, worked out by hand. The toy world (testing/toy.h): a step takes 10 ms, a
// page holds 256 tokens of 3,906.5 bytes; the network, the way into HBM and the way out move 1
// GB/s. A trace block holds 512 tokens unless a test says otherwise.
#include <array>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "reports/schema/metrics.h"
#include "sim/base/rng.h"
#include "sim/engine/cache_replay.h"
#include "sim/engine/simulate.h"
#include "tests/testing/real_data.h"
#include "tests/testing/request_traces.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

using Ids = std::vector<uint32_t>;

struct Sent {
  int64_t at_ms;
  int64_t input_tokens;
  int64_t output_tokens;
  Ids ids;
  int32_t conversation = -1;
};

RequestTrace TraceOf(const std::vector<Sent>& requests, int32_t block_tokens = 512) {
  RequestTrace trace;
  trace.format = trace.source_name = "toy";
  trace.block_tokens = block_tokens;
  trace.block_begin = {0};
  for (const Sent& sent : requests) {
    trace.requests.push_back({SimTime{sent.at_ms * 1'000'000},
                              sent.input_tokens,
                              sent.output_tokens,
                              {},
                              sent.conversation});
    trace.conversation_count = std::max<int64_t>(trace.conversation_count, sent.conversation + 1);
    trace.block_ids.insert(trace.block_ids.end(), sent.ids.begin(), sent.ids.end());
    trace.block_begin.push_back(trace.block_ids.size());
    for (const uint32_t id : sent.ids) {
      trace.block_count = std::max<int64_t>(trace.block_count, int64_t{id} + 1);
    }
  }
  trace.block_reference_count = static_cast<int64_t>(trace.block_ids.size());
  return trace;
}

Scenario Reusing(const std::string& more) {
  return ToyScenario(absl::StrCat(R"(
    workload { arrivals: TRACE concurrency: 0 trace: "toy" }
    policy { kind: FULL tau_steps: 100000 }
    engine { simulated_s: 0 prefix_store { host_bytes: 100000000000 } } )",
                                  more));
}

constexpr char kPool[] = "engine { prefill: DISAGGREGATED prefill_tokens_per_s: 102400 } ";
constexpr char kChunks[] =
    "engine { prefill: COLOCATED_CHUNKED prefill_tokens_per_s: 1e5 prefill_chunk_tokens: 1024 } ";

// A: 1,024 tokens take 10 ms of prefill, 4,000,256 bytes over the network, and a step. B has its
// two blocks before 256 tokens of its own: 2.5 ms of prefill; A's part comes from the host in
// 4.000256 ms, its own over the network in 1.000064. C is A again; its last token must be computed,
// so three of the four pages are reused: 2.5 ms, 3.000192, 1.000064.
TEST(PrefixReuseTest, BehindAPrefillPool) {
  const RequestTrace trace =
      TraceOf({{0, 1024, 1, {0, 1}}, {1000, 1280, 1, {0, 1, 2}}, {2000, 1024, 1, {0, 1}}});
  const ToyRun run = RunToy(Reusing(kPool), nullptr, &trace);
  const Counters& c = run.outcome.counters;
  EXPECT_EQ(c.ttft_ns.values(), (std::vector<int64_t>{24'000'256, 17'500'320, 16'500'256}));
  EXPECT_EQ(c.prefix_prompt_tokens, 1024 + 1280 + 1024);
  EXPECT_EQ(c.prefix_tokens_reused, 1024 + 768);
  EXPECT_EQ(c.prefix_blocks_matched, 2 + 2);
  EXPECT_EQ(c.prefix_load_bytes, 4'000'256 + 3'000'192);
  EXPECT_EQ(c.swap_in_bytes, 0);
  EXPECT_EQ(run.outcome.peaks.prefix_blocks, 3);
  EXPECT_TRUE(run.outcome.violations.empty());

  Scenario without = Reusing(kPool);
  without.mutable_engine()->clear_prefix_store();
  const ToyRun plain = RunToy(without, nullptr, &trace);
  EXPECT_EQ(plain.outcome.counters.ttft_ns.values(),
            (std::vector<int64_t>{24'000'256, 27'500'320, 24'000'256}));
}

// The same in chunks, 10 us a token: A's 1,024 take 10.24 ms and give its first token. B waits
// 4.000256 ms for its prefix and prefills 256 tokens in 2.56. C: 3.000192 and 256 tokens.
TEST(PrefixReuseTest, InChunks) {
  const RequestTrace trace =
      TraceOf({{0, 1024, 1, {0, 1}}, {1000, 1280, 1, {0, 1, 2}}, {2000, 1024, 1, {0, 1}}});
  const ToyRun run = RunToy(Reusing(kChunks), nullptr, &trace);
  EXPECT_EQ(run.outcome.counters.ttft_ns.values(),
            (std::vector<int64_t>{10'240'000, 6'560'256, 5'560'192}));
  EXPECT_EQ(run.outcome.counters.prefix_tokens_reused, 1024 + 768);
  EXPECT_TRUE(run.outcome.violations.empty());
}

// While A decodes its blocks are in the store already, from the end of its prefill on: B, that
// comes when A's prompt is not there yet, finds nothing, and C does.
TEST(PrefixReuseTest, BlocksAreThereOnceTheirPrefillIs) {
  const RequestTrace trace =
      TraceOf({{0, 1024, 100, {0, 1}}, {10, 1024, 100, {0, 1}}, {30, 1024, 100, {0, 1}}});
  const ToyRun run = RunToy(Reusing(kPool), nullptr, &trace);
  EXPECT_EQ(run.outcome.counters.prefix_tokens_reused, 768);
  EXPECT_TRUE(run.outcome.violations.empty());
}

// Room for two blocks of 2,000,128 bytes. A's stay pinned as long as it decodes, so B, which comes
// meanwhile, leaves nothing and C, B again, finds nothing; A's again is found.
TEST(PrefixReuseTest, ABoundedStore) {
  Scenario scenario = Reusing(kPool);
  scenario.mutable_engine()->mutable_prefix_store()->set_host_bytes(5'000'000);
  RequestTrace trace = TraceOf({{0, 1024, 100, {0, 1}},
                                {100, 1024, 1, {2, 3}},
                                {200, 1024, 1, {2, 3}},
                                {300, 1024, 1, {0, 1}}});
  const ToyRun pinned = RunToy(scenario, nullptr, &trace);
  EXPECT_EQ(pinned.outcome.counters.prefix_tokens_reused, 768);
  EXPECT_EQ(pinned.outcome.peaks.prefix_blocks, 2);
  // A ends at once: B's blocks take the place of A's, C finds them and A's are gone.
  trace.requests[0].output_tokens = 1;
  const ToyRun evicted = RunToy(scenario, nullptr, &trace);
  EXPECT_EQ(evicted.outcome.counters.prefix_tokens_reused, 768);
  EXPECT_EQ(evicted.outcome.counters.ttft_ns.values(),
            (std::vector<int64_t>{24'000'256, 24'000'256, 16'500'256, 24'000'256}));
}

// Blocks of 64 tokens. A: 512 tokens in, 257 out, of which 256 have KV: 12 blocks and 3 pages, if
// the conversation's next request names them. With 256 out, 11 blocks, two whole pages.
TEST(PrefixReuseTest, AnOutputStaysWhereTheNextTurnNamesIt) {
  const Ids first = {0, 1, 2, 3, 4, 5, 6, 7};
  Ids second = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const auto reused = [&](int64_t output, const Ids& ids, int32_t conversation) {
    const RequestTrace trace = TraceOf(
        {{0, 512, output, first, 0}, {9000, 1024, 1, ids, conversation}}, /*block_tokens=*/64);
    const ToyRun run = RunToy(Reusing(kPool), nullptr, &trace);
    EXPECT_TRUE(run.outcome.violations.empty());
    return run.outcome.counters.prefix_tokens_reused;
  };
  EXPECT_EQ(reused(257, second, 0), 768);
  EXPECT_EQ(reused(256, second, 0), 512);
  EXPECT_EQ(reused(257, second, 1), 512) << "of another conversation: who says that it is A's?";
  second[3] = 99;
  EXPECT_EQ(reused(257, second, 0), 0) << "three blocks of 64 make no page";
}

// Tiered, the whole pages that the store holds are not the request's own: A's promise falls from 5
// pages (1,024 + 1 tokens) to 1 once its prompt is there, B's is 6 less the 4 it reuses, 1 once its
// 5 are. Alone each would hold 5 and 6 to the end.
TEST(PrefixReuseTest, PagesInTheStoreAreShared) {
  Scenario scenario = Reusing(kPool);
  scenario.mutable_policy()->set_kind(Policy::LSA);
  scenario.mutable_policy()->set_tau_steps(4);
  const RequestTrace trace = TraceOf({{0, 1024, 100, {0, 1}}, {200, 1280, 60, {0, 1, 2}}});
  const WindowDemand demand = ToyDemand(scenario, 4, 4, {{{0, 1}, {{0, 1}}}, {{1}, {{1, 1}}}});
  const ToyRun run = RunToy(scenario, &demand, &trace);
  EXPECT_EQ(run.outcome.peaks.host_pages_reserved, 5);
  EXPECT_EQ(run.outcome.peaks.requests_admitted, 2);
  EXPECT_EQ(run.outcome.counters.prefix_tokens_reused, 1024);
  EXPECT_EQ(run.outcome.counters.prefix_load_bytes, 256) << "index keys, a byte an entry";
  EXPECT_TRUE(run.outcome.violations.empty());
  scenario.mutable_engine()->clear_prefix_store();
  const ToyRun plain = RunToy(scenario, &demand, &trace);
  EXPECT_EQ(plain.outcome.peaks.host_pages_reserved, 5 + 6);
}

// Host and NVMe have room for two blocks each. B pushes A's down; C is A again and fetches
// 4,000,256 bytes before it is in line: 1 ms of latency and 8.000512 ms at 0.5 GB/s, then 16.500256
// ms as from the host: later than a prefill from nothing would have been (24.000256). At 4 GB/s
// host DRAM is the bound, 2 GB/s: 2.000128 ms. From a remote pool instead, by its own link.
TEST(PrefixReuseTest, AHitInALowerTierCostsItsLink) {
  const RequestTrace trace =
      TraceOf({{0, 1024, 1, {0, 1}}, {1000, 1024, 1, {2, 3}}, {2000, 1024, 1, {0, 1}}});
  const auto run = [&](const char* tier, const char* node) {
    const Scenario scenario =
        Reusing(absl::StrCat(kPool, "engine { prefix_store { host_bytes: 5000000 ", tier,
                             ": 5000000 } } node { ", node, " }"));
    ToyRun ran = RunToy(scenario, nullptr, &trace);
    EXPECT_TRUE(ran.outcome.violations.empty());
    EXPECT_EQ(ran.outcome.counters.prefix_tokens_reused, 768);
    EXPECT_EQ(ran.outcome.counters.prefix_nvme_bytes + ran.outcome.counters.prefix_remote_bytes,
              4'000'256);
    EXPECT_EQ(ran.outcome.counters.queue_ns.values()[2], 0);
    return ran.outcome.counters.ttft_ns.values()[2];
  };
  EXPECT_EQ(run("nvme_bytes", "nvme_read_bytes_per_s: 500000000 nvme_latency_us: 1000"),
            9'000'512 + 16'500'256);
  EXPECT_EQ(run("nvme_bytes", "nvme_read_bytes_per_s: 4000000000 nvme_latency_us: 1000"),
            3'000'128 + 16'500'256);
  EXPECT_EQ(run("remote_bytes", "remote_read_bytes_per_s: 1000000000 remote_latency_us: 2000"),
            6'000'256 + 16'500'256);
}

// C and D are both A again and arrive together: D waits for what is on its way for C and reads
// nothing itself.
TEST(PrefixReuseTest, WhoWantsWhatIsOnItsWayWaitsForIt) {
  const RequestTrace trace = TraceOf({{0, 1024, 1, {0, 1}},
                                      {1000, 1024, 1, {2, 3}},
                                      {2000, 1024, 1, {0, 1}},
                                      {2000, 1024, 1, {0, 1}}});
  const ToyRun run = RunToy(
      Reusing(absl::StrCat(kPool,
                           "engine { prefill_instances: 2 prefix_store { host_bytes: 5000000 "
                           "nvme_bytes: 5000000 } } node { nvme_read_bytes_per_s: 500000000 "
                           "nvme_latency_us: 1000 }")),
      nullptr, &trace);
  EXPECT_EQ(run.outcome.counters.prefix_nvme_bytes, 4'000'256);
  EXPECT_EQ(run.outcome.counters.prefix_tokens_reused, 2 * 768);
  EXPECT_EQ(run.outcome.counters.prefix_fetch_ns.values(),
            (std::vector<int64_t>{9'000'512, 9'000'512}));
  EXPECT_TRUE(run.outcome.violations.empty());
}

TEST(PrefixReuseTest, RefusalsOfASimulation) {
  Scenario scenario = Reusing(kPool);
  RequestTrace trace = TraceOf({{0, 1024, 1, {0, 1}}});
  SimulationInputs inputs;
  inputs.requests = &trace;
  scenario.mutable_engine()->mutable_prefix_store()->set_host_bytes(2'000'127);
  EXPECT_EQ(Simulate(scenario, inputs).status().message(),
            "engine.prefix_store.host_bytes 2000127 holds no block: one of 512 tokens is 2000128 "
            "bytes over 1 ranks; raise it");
  scenario.mutable_engine()->mutable_prefix_store()->set_host_bytes(2'000'128);
  EXPECT_TRUE(Simulate(scenario, inputs).ok());
  scenario.mutable_engine()->mutable_prefix_store()->set_nvme_bytes(2'000'127);
  EXPECT_EQ(Simulate(scenario, inputs).status().message(),
            "engine.prefix_store.nvme_bytes 2000127 holds no block: one of 512 tokens is 2000128 "
            "bytes; raise it or give 0");
  scenario.mutable_engine()->mutable_prefix_store()->set_nvme_bytes(0);
  trace.block_ids.clear();
  EXPECT_EQ(Simulate(scenario, inputs).status().message(),
            "toy: a trace of format toy without block ids shares no prefixes; give one with prefix "
            "ids, such as Mooncake or WEKA, or set engine.prefix_store.host_bytes=0");
}

// One user and no bound: each request ends before the next comes, so what the run matches is what a
// cache without bound hits, Mooncake's ids being of whole prefixes; and TTFT falls.
TEST(PrefixReuseTest, MooncakeOneByOneMatchesTheCacheReplay) {
  TIERSCOPE_SKIP_WITHOUT_REAL_DATA("mooncake/conversation_trace.jsonl");
  const RequestTrace trace = Load(RealDataPath("mooncake/conversation_trace.jsonl"));
  Scenario scenario = Reusing(absl::StrCat(kPool,
                                           "workload { arrivals: CLOSED_LOOP concurrency: 1 "
                                           "output_tokens: 2 }"));
  scenario.mutable_node()->set_host_bytes(1'000'000'000'000'000);
  scenario.mutable_engine()->mutable_prefix_store()->set_host_bytes(900'000'000'000'000);
  const ToyRun run = RunToy(scenario, nullptr, &trace);
  EXPECT_EQ(run.outcome.finished, std::ssize(trace.requests));
  EXPECT_EQ(run.outcome.counters.prefix_blocks_matched,
            CountCacheHits(CachePolicy::kLru, kCacheCapacityInfinite, trace.block_ids,
                           trace.block_count));
  scenario.mutable_engine()->clear_prefix_store();
  ToyRun plain = RunToy(scenario, nullptr, &trace);
  EXPECT_LT(run.outcome.counters.ttft_ns.mean(), 0.8 * plain.outcome.counters.ttft_ns.mean());
}

// Random traces, small stores, every policy: invariants hold, everybody finishes, leaping changes
// nothing, and no token is reused that was not prefilled before.
TEST(PrefixReuseTest, RandomWorlds) {
  Rng rng(11, 3);
  int64_t reused = 0, full_stores = 0, nvme = 0, remote = 0;
  for (int round = 0; round < 2000; ++round) {
    const std::string kind = std::array{"FULL", "LSA", "FLASHMEMORY"}[rng.NextBelow(3)];
    const bool tiered = kind != "FULL";
    const int32_t block_tokens = rng.NextBelow(2) == 0 ? 64 : 512;
    std::vector<Sent> sent(2 + rng.NextBelow(12));
    int64_t at_ms = 0, prompt_tokens = 0;
    for (Sent& s : sent) {
      at_ms += static_cast<int64_t>(rng.NextBelow(300));
      s = {at_ms,
           1 + static_cast<int64_t>(rng.NextBelow(2500)),
           1 + static_cast<int64_t>(rng.NextBelow(80)),
           {},
           static_cast<int32_t>(rng.NextBelow(2))};
      const bool ceil = block_tokens == 512;
      const int64_t count = ceil ? CeilDiv(s.input_tokens, 512) : s.input_tokens / 64;
      const auto family = static_cast<uint32_t>(100 * rng.NextBelow(3));
      const auto fork = static_cast<int64_t>(rng.NextBelow(40));
      for (int64_t i = 0; i < count; ++i) {
        s.ids.push_back(family + static_cast<uint32_t>(i) + (i >= fork ? 50 : 0));
      }
      prompt_tokens += s.input_tokens;
    }
    const RequestTrace trace = TraceOf(sent, block_tokens);
    Scenario scenario = Reusing(absl::StrCat(
        rng.NextBelow(2) == 0 ? kPool : kChunks, "policy { kind: ", kind,
        " reserve_entries: 72000 tau_steps: 8 } engine { prefix_store { eviction: ",
        PrefixTiers::Eviction_Name(static_cast<int>(rng.NextBelow(5))), " host_bytes: ",
        2'000'128 * (1 + rng.NextBelow(12)), " nvme_bytes: ", 2'000'128 * rng.NextBelow(10),
        " remote_bytes: ", 2'000'128 * rng.NextBelow(10),
        " } } node { nvme_read_bytes_per_s: 300000000 nvme_latency_us: 100 "
        "remote_read_bytes_per_s: 100000000 remote_latency_us: 3000 }"));
    const WindowDemand demand =
        ToyDemand(scenario, 8, 4, {{{0, 3}, {{0, 1}}}, {{1, 5}, {{5, 2}}}, {{2}, {{2, 1}}}});
    ReplicaOptions stepping;
    stepping.leap = false;
    const ToyRun run = RunToy(scenario, tiered ? &demand : nullptr, &trace);
    const ToyRun slow = RunToy(scenario, tiered ? &demand : nullptr, &trace, stepping);
    ASSERT_EQ(run.outcome.event_digest, slow.outcome.event_digest);
    ASSERT_EQ(run.diary, slow.diary);
    ASSERT_TRUE(run.outcome.violations.empty())
        << round << ": " << run.outcome.violations.front().what;
    ASSERT_EQ(run.outcome.finished, std::ssize(trace.requests))
        << round << " " << kind << ": " << run.outcome.stuck << run.outcome.rejected;
    ASSERT_EQ(run.outcome.counters.prefix_prompt_tokens, prompt_tokens);
    ASSERT_LE(run.outcome.counters.prefix_tokens_reused,
              run.outcome.counters.prefix_blocks_matched * block_tokens);
    nvme += run.outcome.counters.prefix_nvme_bytes > 0 ? 1 : 0;
    remote += run.outcome.counters.prefix_remote_bytes > 0 ? 1 : 0;
    reused += run.outcome.counters.prefix_tokens_reused > 0 ? 1 : 0;
    const int64_t capacity =
        scenario.engine().prefix_store().host_bytes() * 2 / (block_tokens * 7813);
    ASSERT_LE(run.outcome.peaks.prefix_blocks, capacity);
    full_stores += run.outcome.peaks.prefix_blocks == capacity ? 1 : 0;
  }
  EXPECT_GT(reused, 1000);
  EXPECT_GT(full_stores, 500);
  EXPECT_GT(nvme, 200);
  EXPECT_GT(remote, 40);
}

}  // namespace
}  // namespace tierscope::testing
