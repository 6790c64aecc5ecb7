// The engine as a whole against a slow, obvious model (slow_world.h), over thousands of small
// random worlds: every want list, victim, missing page, growth and selection of every policy.
//
// The engine takes the selections of a sub-window as spread evenly over its steps, so the worlds
// select the same entries in each step of one, which makes that exact. A second test lets them
// vary and has sets change between sub-windows only.
#include "tests/engine/slow_world.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

#include "sim/engine/memory_plan.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

class Dice {
 public:
  explicit Dice(uint64_t seed) : rng_(seed, /*stream=*/0x736c6f77) {}
  int64_t Below(int64_t n) {
    return static_cast<int64_t>(rng_.NextBelow(static_cast<uint64_t>(n)));
  }
  int64_t In(int64_t low, int64_t high) { return low + Below(high - low + 1); }
  bool One(int64_t in) { return Below(in) == 0; }
  std::string Of(const std::vector<std::string>& choices) {
    return choices[static_cast<size_t>(Below(std::ssize(choices)))];
  }

 private:
  Rng rng_;
};

struct World {
  Scenario scenario;
  std::vector<RawProfile> profiles;
  std::vector<SlowWorld::Request> requests;  // in order of arrival, which is that of admission
  RequestTrace trace;                        // the same
  MemoryPlan plan;
};

// The entries of one step out of `entries`: few pages, so that want lists hit some of them.
std::map<uint32_t, int> Draw(Dice& dice, int64_t entries, int64_t most, int64_t value_max) {
  std::map<uint32_t, int> drawn;
  for (int64_t n = dice.Below(most + 1); n > 0; --n) {
    const int64_t newest = std::min<int64_t>(entries, 80);
    const int64_t entry = dice.One(3) ? entries - 1 - dice.Below(newest) : dice.Below(entries);
    drawn[static_cast<uint32_t>(entry)] = static_cast<int>(dice.In(1, value_max));
  }
  return drawn;
}

RawProfile RandomProfile(Dice& dice, int32_t stride, int32_t tokens_per_entry, int64_t pages_max,
                         bool constant) {
  RawProfile p;
  p.tokens_per_entry = tokens_per_entry;
  p.stride = stride;
  p.positions = static_cast<int32_t>(1 + dice.In(10, 140) / stride);
  p.prompt_tokens = dice.In(1, pages_max) * p.page_tokens();
  if (!dice.One(3)) p.prompt_tokens -= dice.Below(p.page_tokens() - tokens_per_entry);
  p.ticks.resize(static_cast<size_t>(p.positions));
  const bool layered = dice.One(3);
  for (int32_t at = 0; at < p.positions; ++at) {
    const int64_t entries = p.EntriesAfter(int64_t{at} * stride);
    for (int32_t layer = 0; layer < (layered ? 2 : 1); ++layer) {
      if (dice.One(8)) continue;  // a tick without a record
      p.ticks[static_cast<size_t>(at)].push_back(
          {layered ? layer : -1, Draw(dice, entries, 14, 255)});
    }
    for (int32_t k = 1; k <= stride; ++k) {
      if (constant && k > 1) {
        p.selected.push_back(std::map<uint32_t, int>(p.selected.back()));
      } else {
        p.selected.push_back(Draw(dice, p.EntriesAfter(int64_t{at} * stride + k - 1), 7, 3));
      }
    }
  }
  return p;
}

std::string PolicyText(Dice& dice, bool flashmemory, int32_t stride) {
  const std::string kind =
      flashmemory ? "FLASHMEMORY" : dice.Of({"LSA", "LSA", "RECENCY", "RANDOM", "ORACLE"});
  const int64_t windows = dice.One(4) ? dice.In(1, 200 / stride) : dice.In(1, 4);
  const int64_t rate_halvings = dice.Below(9);  // from a page in 0.2 ms to one in 50
  return absl::StrCat(
      " policy { kind: ", kind, " tau_steps: ", stride * windows, " page_kmax: ", dice.In(1, 6),
      " threshold: ", dice.Of({"0.1", "0.5", "0.7"}),
      " recency_entries: ", dice.One(2) ? 0 : dice.Below(200),
      " sink_entries: ", dice.One(2) ? 0 : dice.Below(100), " eviction: ",
      dice.Of(
          {"LRU_PROTECTED", "LRU_PROTECTED", "LRU", "FIFO", "CLOCK", "S3FIFO", "SIEVE", "BELADY"}),
      " publish: ", dice.Of({"ON_COMPLETION", "NEXT_TICK"}),
      " phase: ", dice.Of({"OWN_STEPS", "ALIGNED", "STAGGERED"}),
      " level1: ", dice.Of({"SYNC", "ASYNC", "ASYNC"}),
      " recall_path: ", dice.Of({"COPY_ENGINE", "STAGED", "GATHER_KERNEL"}),
      " publish_fixed_ms: ", dice.Below(3), dice.One(2) ? " level1_fixed_ms: 14" : "", " }",
      " hardware { host_link { peak_bytes_per_s: ", 5'000'000'000 >> rate_halvings,
      " gather_bytes_per_s: ", 5'000'000'000 >> rate_halvings, " gather_unaligned_factor: 0.1 ",
      "pageable_bytes_per_s: ", 5'000'000'000 >> rate_halvings, " copy_submit_us: 6 } }",
      " node { host_gather_bytes_per_s: 1000000000 }");
}

std::string EngineText(Dice& dice, bool flashmemory) {
  const std::string prefill = dice.Of({"NONE", "NONE", "DISAGGREGATED", "COLOCATED_CHUNKED"});
  std::string text = absl::StrCat(" engine { simulated_s: ", dice.One(6) ? dice.In(1, 2) : 0,
                                  " prefill: ", prefill);
  if (prefill != "NONE") absl::StrAppend(&text, " prefill_tokens_per_s: ", dice.In(5'000, 200'000));
  if (prefill == "COLOCATED_CHUNKED") {
    absl::StrAppend(&text, " prefill_chunk_tokens: ", dice.In(30, 900));
  }
  const bool optimistic = !flashmemory && dice.One(2);
  if (optimistic) {
    const bool swap = prefill == "NONE" || dice.One(2);
    absl::StrAppend(&text, " admit: OPTIMISTIC preemption: ", swap ? "SWAP" : "RECOMPUTE");
  }
  // The token that a prefill gives after a preemption belongs to no batch step: whether the warm-up
  // had ended is known to the engine alone.
  const bool warm = !(optimistic && prefill == "COLOCATED_CHUNKED");
  return absl::StrCat(text, " warmup_windows: ", warm && dice.One(3) ? dice.In(1, 2) : 0, " }");
}

void AddRequests(Dice& dice, World& world, bool flashmemory) {
  const bool overflows = flashmemory && dice.One(25);   // the decode region
  const int64_t output_max = dice.One(12) ? 600 : 150;  // windows in which pages open and are full
  SimTime arrival;
  for (int64_t n = dice.In(1, 7); n > 0; --n) {
    const auto& near = world.profiles[static_cast<size_t>(dice.Below(std::ssize(world.profiles)))];
    const int64_t context = dice.One(2) ? near.prompt_tokens : dice.In(1, near.prompt_tokens + 50);
    const int64_t output = overflows     ? near.tokens_per_entry * dice.In(500, 600)
                           : dice.One(3) ? dice.In(1, 10)
                                         : dice.In(10, output_max);
    world.requests.push_back({context, output});
    world.trace.requests.push_back({arrival, context, output, {}, -1});
    arrival = arrival + SimDuration{1'000'000 * dice.Below(400)};
  }
}

// A reserve of what one request can need or a little more; where nothing live is protected also one
// that lists cannot fit, beyond what a plan allows. And HBM for one request or a little more.
void SetMemory(Dice& dice, World& world, bool flashmemory) {
  Policy* policy = world.scenario.mutable_policy();
  policy->set_reserve_entries(1'000'000);
  int64_t live_max = MakeMemoryPlan(world.scenario)->live_pages_max;
  const bool protects = policy->eviction() == Policy::LRU_PROTECTED;
  const bool tiny = !protects && !flashmemory && dice.One(2);
  int64_t blocks = flashmemory ? 1 : live_max + 1;
  if (protects) blocks = live_max;
  blocks += dice.Below(dice.One(2) ? 3 : 14);
  policy->set_reserve_entries(blocks * 64 + (flashmemory ? 128 * 512 + 1 : 0));
  const MemoryPlan plan = *MakeMemoryPlan(world.scenario);
  int64_t need = 0;
  for (const SlowWorld::Request& r : world.requests) {
    need = std::max(need, r.context_tokens + r.output_tokens);
  }
  // An entry takes an index key of one byte.
  const int64_t fixed = plan.hbm_weight_bytes + plan.hbm_fixed_bytes + plan.hbm_index_fixed_bytes +
                        plan.hbm_reserve_bytes;
  const int64_t tokens = need + dice.Below(2 * need);
  world.scenario.mutable_hardware()->set_hbm_bytes(
      fixed + tokens / world.scenario.model().csa_tokens_per_entry() + 1);
  world.plan = *MakeMemoryPlan(world.scenario);
  if (!tiny) return;
  world.plan.live_pages_max = 1;  // all that a request needs to go on, beside its open page
  world.plan.reserve_blocks = dice.In(3, 9);
}

// Worlds where rare things are common: pages that open and are full within a window and lose their
// block before its set is published; two protected lists of requests that are preempted; requests
// that come back under BELADY.
void Sharpen(Dice& dice, World& world, int32_t stride) {
  Policy* policy = world.scenario.mutable_policy();
  Engine* engine = world.scenario.mutable_engine();
  const int64_t rare = dice.Below(8);
  if (rare > 2) return;
  if (rare == 0) {
    policy->set_tau_steps(static_cast<int32_t>(stride * dice.In(100 / stride, 200 / stride)));
    policy->set_publish(Policy::NEXT_TICK);
    policy->set_eviction(dice.One(2) ? Policy::LRU : Policy::FIFO);
    for (size_t i = 0; i < world.requests.size(); ++i) {
      world.trace.requests[i].output_tokens = world.requests[i].output_tokens += 350;
    }
    return;
  }
  engine->set_prefill(Engine::NONE);
  engine->clear_prefill_chunk_tokens();
  engine->set_admit(Engine::OPTIMISTIC);
  engine->set_preemption(Engine::SWAP);
  engine->set_simulated_s(0);
  world.scenario.mutable_workload()->set_concurrency(6);
  policy->set_recency_entries(0);
  policy->set_sink_entries(0);
  if (rare == 1) {
    policy->set_eviction(Policy::LRU_PROTECTED);
    policy->set_publish(Policy::NEXT_TICK);
    policy->set_tau_steps(stride);
    policy->set_page_kmax(6);
  } else {
    policy->set_eviction(Policy::BELADY);
    policy->set_phase(dice.One(2) ? Policy::ALIGNED : Policy::STAGGERED);
    policy->set_tau_steps(4 * stride);
  }
}

World ConstantWorld(uint64_t seed) {
  Dice dice(seed);
  World world;
  const int32_t stride = int32_t{1} << dice.Below(5);
  const int32_t tokens_per_entry = dice.One(5) ? 4 : 1;
  const int64_t pages_max = dice.One(2) ? 2 : 9;
  for (int64_t n = dice.In(1, 3); n > 0; --n) {
    world.profiles.push_back(
        RandomProfile(dice, stride, tokens_per_entry, pages_max, /*constant=*/true));
  }
  const bool flashmemory = dice.One(3);
  AddRequests(dice, world, flashmemory);
  const bool closed = dice.One(2);
  world.scenario = ToyScenario(
      absl::StrCat("seed: ", dice.In(1, 1000), " model { csa_tokens_per_entry: ", tokens_per_entry,
                   " }", " workload { arrivals: ", closed ? "CLOSED_LOOP" : "TRACE",
                   " trace: \"toy\" concurrency: ", closed ? dice.In(1, 6) : dice.Below(5),
                   " attention { random_offset: ", dice.Of({"true", "false"}), " } }",
                   PolicyText(dice, flashmemory, stride), EngineText(dice, flashmemory)));
  if (!flashmemory) Sharpen(dice, world, stride);
  SetMemory(dice, world, flashmemory);
  return world;
}

// One request at a time, so that only its own ticks move pages; no growth but where live pages are
// protected; steps behind the first in whole sub-windows.
World VaryingWorld(uint64_t seed) {
  Dice dice(seed);
  World world;
  const int32_t stride = int32_t{1} << dice.In(1, 4);
  const int32_t tokens_per_entry = dice.One(3) ? 4 : 1;
  const int64_t pages_max = dice.One(2) ? 2 : 9;
  for (int64_t n = dice.In(1, 3); n > 0; --n) {
    world.profiles.push_back(
        RandomProfile(dice, stride, tokens_per_entry, pages_max, /*constant=*/false));
  }
  const bool flashmemory = dice.One(2);
  AddRequests(dice, world, flashmemory);
  for (size_t i = 0; i < world.requests.size(); ++i) {
    int64_t& output = world.requests[i].output_tokens;
    world.trace.requests[i].output_tokens = output = 1 + stride * (1 + output / stride);
  }
  world.scenario = ToyScenario(
      absl::StrCat("seed: ", dice.In(1, 1000), " model { csa_tokens_per_entry: ", tokens_per_entry,
                   " }", " workload { arrivals: CLOSED_LOOP concurrency: 1 trace: \"toy\"",
                   " attention { random_offset: true } } engine { simulated_s: 0 }",
                   PolicyText(dice, flashmemory, stride)));
  Policy* policy = world.scenario.mutable_policy();
  policy->set_level1(Policy::SYNC);
  if (!flashmemory) policy->set_eviction(Policy::LRU_PROTECTED);
  SetMemory(dice, world, flashmemory);
  return world;
}

// A rival that ticks: nothing is recalled, a tick takes no time. Settings are those that it may
// have; HBM for one request or a little more.
World RivalWorld(uint64_t seed) {
  Dice dice(seed);
  World world;
  const int32_t stride = int32_t{1} << dice.Below(5);
  const int32_t tokens_per_entry = dice.One(5) ? 4 : 1;
  for (int64_t n = dice.In(1, 3); n > 0; --n) {
    RawProfile& p = world.profiles.emplace_back(
        RandomProfile(dice, stride, tokens_per_entry, dice.One(2) ? 2 : 9, /*constant=*/true));
    p.selected_first = Draw(dice, p.EntriesAfter(0), 7, 3);
  }
  AddRequests(dice, world, /*flashmemory=*/false);
  const bool closed = dice.One(2);
  const std::string prefill = dice.Of({"NONE", "DISAGGREGATED", "COLOCATED_CHUNKED"});
  world.scenario = ToyScenario(absl::StrCat(
      "seed: ", dice.In(1, 1000), " model { csa_tokens_per_entry: ", tokens_per_entry,
      " hca_layers: 1 hca_tokens_per_entry: 4 } workload { trace: \"toy\" arrivals: ",
      closed ? "CLOSED_LOOP" : "TRACE", " concurrency: ", closed ? dice.In(1, 6) : dice.Below(5),
      " attention { random_offset: ", dice.Of({"true", "false"}), " } } engine { simulated_s: 0",
      " prefill: ", prefill, prefill == "NONE" ? "" : " prefill_tokens_per_s: 50000",
      " warmup_windows: ", dice.One(3) ? 1 : 0, " } policy { kind: ",
      dice.Of({"STREAMING_LLM", "H2O", "QUEST"}), " tau_steps: ", stride * dice.In(1, 4),
      " page_kmax: ", dice.In(1, 6), " recency_entries: ", dice.One(2) ? 0 : dice.Below(200),
      " sink_entries: ", dice.One(2) ? 0 : dice.Below(100),
      " phase: ", dice.Of({"OWN_STEPS", "ALIGNED", "STAGGERED"}), " }"));
  Policy* policy = world.scenario.mutable_policy();
  policy->set_reserve_entries(1'000'000);
  const MemoryPlan wide = *MakeMemoryPlan(world.scenario);
  policy->set_reserve_entries((wide.live_pages_max + dice.Below(14)) * 64 + 64);
  const MemoryPlan plan = *MakeMemoryPlan(world.scenario);
  int64_t need = 0;
  for (const SlowWorld::Request& r : world.requests) {
    need = std::max(need, r.context_tokens + r.output_tokens);
  }
  world.scenario.mutable_hardware()->set_hbm_bytes(plan.hbm_usable_bytes - plan.hbm_left_bytes +
                                                   plan.BudgetBytes(need + dice.Below(2 * need)) +
                                                   1000);
  world.plan = *MakeMemoryPlan(world.scenario);
  return world;
}

struct Verdict {
  std::string error;
  SlowCounts counts;
};

Verdict Judge(const World& world) {
  Verdict verdict;
  const WindowDemand demand = Distil(world.scenario, world.profiles);
  for (size_t i = 0; i < world.profiles.size(); ++i) {
    for (int32_t at = 0; at < world.profiles[i].positions; ++at) {
      const auto list = demand.profiles[i].WantList(at);
      const auto slow = SlowWantList(world.scenario.policy(), world.scenario.seed(),
                                     world.profiles[i], static_cast<int32_t>(i), at);
      if (std::equal(list.begin(), list.end(), slow.begin(), slow.end())) continue;
      verdict.error = absl::StrCat("want list of profile ", i, ", position ", at, ": expected ",
                                   absl::StrJoin(slow, " "), ", engine ", absl::StrJoin(list, " "));
      return verdict;
    }
  }
  SlowWorld slow(world.scenario, world.profiles, world.plan.reserve_blocks, world.requests);
  Fleet fleet(world.scenario, world.plan, &demand, &world.trace, &slow);
  const ReplicaOutcome outcome = fleet.Run();
  slow.Compare(outcome);
  verdict.counts = slow.counts();
  verdict.error = slow.error();
  if (verdict.error.empty()) verdict.error = outcome.stuck;
  if (verdict.error.empty() && outcome.rejected > 0) verdict.error = "a request was rejected";
  for (const InvariantViolation& v : outcome.violations) verdict.error += v.what;
  return verdict;
}

std::string Describe(const World& world) {
  const Scenario& s = world.scenario;
  std::string text = absl::StrCat(
      "blocks ", world.plan.reserve_blocks, ", seed ", s.seed(), ", hbm ", s.hardware().hbm_bytes(),
      ", link ", s.hardware().host_link().peak_bytes_per_s(), "\n", s.workload().ShortDebugString(),
      "\n", s.policy().ShortDebugString(), "\n", s.engine().ShortDebugString());
  for (const RawProfile& p : world.profiles) {
    absl::StrAppend(&text, "\nprofile: prompt ", p.prompt_tokens, ", steps ", p.steps(),
                    ", stride ", p.stride);
  }
  for (const SlowWorld::Request& r : world.requests) {
    absl::StrAppend(&text, "\nrequest: ", r.context_tokens, " + ", r.output_tokens);
  }
  return text;
}

// SLOW_WORLDS=N runs as many, SLOW_WORLD=SEED one alone.
uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

// A floor that holds for `of` worlds, for as many as are run; a few have luck of their own.
int64_t Floor(int64_t floor, uint64_t of) {
  const uint64_t count = FromEnvironment("SLOW_WORLDS", of);
  return count >= of ? floor : floor * static_cast<int64_t>(count) / static_cast<int64_t>(of) / 2;
}

// The sum over worlds of the seeds; at most five of those that do not agree are told.
SlowCounts JudgeAll(World (*world_of)(uint64_t), uint64_t count) {
  const uint64_t one = FromEnvironment("SLOW_WORLD", 0);
  const uint64_t last = one > 0 ? one : FromEnvironment("SLOW_WORLDS", count);
  SlowCounts seen;
  int failed = 0;
  for (uint64_t seed = std::max<uint64_t>(one, 1); seed <= last && failed < 5; ++seed) {
    const World world = world_of(seed);
    const Verdict verdict = Judge(world);
    if (!verdict.error.empty()) {
      ++failed;
      ADD_FAILURE() << "SLOW_WORLD=" << seed << ": " << verdict.error << "\n" << Describe(world);
    }
    const SlowCounts& c = verdict.counts;
    seen.selections += c.selections;
    seen.inactive += c.inactive;
    seen.evicted += c.evicted;
    seen.taken += c.taken;
    seen.written_back += c.written_back;
    seen.entries_lost += c.entries_lost;
    seen.preemptions += c.preemptions;
  }
  return seen;
}

TEST(SlowWorldTest, TheEngineDecidesAsTheSlowModel) {
  constexpr uint64_t kWorlds = 4000;
  const SlowCounts seen = JudgeAll(ConstantWorld, kWorlds);
  if (HasFailure() || FromEnvironment("SLOW_WORLD", 0) > 0) return;
  // The worlds are tight enough for everything to happen.
  EXPECT_GT(seen.evicted.all, seen.selections.all / 100);
  EXPECT_GT(seen.inactive.all, seen.selections.all / 10);
  EXPECT_GE(seen.taken, Floor(10'000, kWorlds));
  EXPECT_GE(seen.written_back, Floor(1000, kWorlds));
  EXPECT_GE(seen.entries_lost, Floor(100, kWorlds));
  EXPECT_GE(seen.preemptions, Floor(150, kWorlds));
}

// StreamingLLM, H2O and Quest, whose lists a slow model makes from the past alone.
TEST(SlowWorldTest, RivalsDecideAsTheSlowModel) {
  const SlowCounts seen = JudgeAll(RivalWorld, 2000);
  if (HasFailure() || FromEnvironment("SLOW_WORLD", 0) > 0) return;
  EXPECT_GT(seen.inactive.all, seen.selections.all / 40);
  EXPECT_LT(seen.inactive.all, seen.selections.all / 10 * 9);
  EXPECT_EQ(seen.evicted.all, 0);
  EXPECT_EQ(seen.written_back, 0);
}

// Selections that differ from step to step are exact over whole sub-windows: level 1 is synchronous
// and ends with whole sub-windows, and nobody takes a page in the midst of one.
TEST(SlowWorldTest, VaryingSelectionsAgreeOverWholeWindows) {
  const SlowCounts seen = JudgeAll(VaryingWorld, 600);
  if (HasFailure() || FromEnvironment("SLOW_WORLD", 0) > 0) return;
  EXPECT_GT(seen.evicted.all, seen.selections.all / 100);
  EXPECT_GT(seen.inactive.all, seen.selections.all / 10);
}

}  // namespace
}  // namespace tierscope::testing
