// What replicas, layouts and multi-token prediction refuse. Settings without effect:
// unused_test.cc.
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/scenarios/scenario_text.h"

namespace tierscope {
namespace {

std::string SetRefusal(const std::string& set) { return Refusal(SmallScenario(), {set}); }

struct RefusedSet {
  const char* set;
  const char* message;
};

TEST(ParallelTest, Replicas) {
  const RefusedSet cases[] = {
      {"engine.replicas=0", "--set engine.replicas: 0 is out of range; give 1 to 256"},
      {"engine.replicas=257", "--set engine.replicas: 257 is out of range; give 1 to 256"},
      {"engine.replicas=2,engine.routing=prefix_aware",
       "--set engine.routing: PREFIX_AWARE looks for prefixes and there is no prefix store; give "
       "engine.prefix_store.host_bytes or another engine.routing"},
      {"engine.dp_attention=2,engine.routing=prefix_aware",
       "--set engine.routing: PREFIX_AWARE looks for prefixes and there is no prefix store; give "
       "engine.prefix_store.host_bytes or another engine.routing"},
  };
  for (const RefusedSet& c : cases) EXPECT_EQ(SetRefusal(c.set), c.message);
  EXPECT_EQ(SetRefusal("engine.replicas=2,engine.tensor_parallel=4"), "accepted");
  EXPECT_EQ(SetRefusal("engine.replicas=200,engine.routing=least_loaded"), "accepted");
  EXPECT_EQ(SetRefusal("node.gpus=1024,engine.tensor_parallel=1024,engine.dp_attention=1024,"
                       "engine.replicas=256"),
            "--set engine.replicas: 256 replicas with engine.dp_attention 1024 are more than 256 "
            "attention groups; lower one of them");
}

TEST(ParallelTest, LowerTiersAreOfOneStore) {
  const std::string stores =
      "workload.arrivals=trace,workload.trace=t.jsonl,workload.concurrency=0,"
      "workload.context_tokens=none,workload.output_tokens=none,"
      "workload.attention.context_tokens=[8192],engine.prefill=disaggregated,"
      "engine.prefill_tokens_per_s=1e5,engine.prefix_store.host_bytes=1e9,engine.replicas=2";
  EXPECT_EQ(SetRefusal(stores), "accepted");
  EXPECT_EQ(SetRefusal(absl::StrCat(stores, ",engine.routing=prefix_aware")), "accepted");
  EXPECT_EQ(SetRefusal(absl::StrCat(stores, ",engine.prefix_store.remote_bytes=1e9")),
            "--set engine.prefix_store.remote_bytes: is modelled for one prefix store, and "
            "engine.replicas and engine.dp_attention make several; remove it or give both as 1");
}

TEST(ParallelTest, Layouts) {
  const RefusedSet cases[] = {
      {"engine.dp_attention=0", "--set engine.dp_attention: 0 is out of range; give 1 to 1024"},
      {"engine.dp_attention=3",
       "--set engine.dp_attention: 3 does not divide engine.tensor_parallel (8); give a divisor of "
       "it"},
      {"engine.expert_parallel=16",
       "--set engine.expert_parallel: 16 does not divide engine.tensor_parallel (8); give a "
       "divisor "
       "of it"},
      {"model.experts=255,engine.expert_parallel=2",
       "--set engine.expert_parallel: 2 does not divide model.experts (255); give a divisor of it"},
      {"engine.dp_attention=2,model.attention_weight_bytes_sharded=1e12",
       "--set model.attention_weight_bytes_sharded: 1000000000000 is more than "
       "model.weight_bytes_sharded (144800000000); give at most that"},
      {"engine.dp_attention=2,engine.prefill=colocated_chunked,engine.prefill_tokens_per_s=1e4",
       "--set engine.dp_attention: is not modelled with prefill COLOCATED_CHUNKED, whose rate is "
       "of "
       "all ranks together; give engine.dp_attention=1 or another engine.prefill"},
  };
  for (const RefusedSet& c : cases) EXPECT_EQ(SetRefusal(c.set), c.message);
  Scenario unknown = *ParseScenario(SmallScenario(), "s.txtpb", {"engine.dp_attention=2"});
  unknown.mutable_model()->clear_attention_weight_bytes_sharded();
  EXPECT_EQ(Refusal(ScenarioText(unknown)),
            "s.txtpb: model.attention_weight_bytes_sharded: is not given, and engine.dp_attention "
            "splits these "
            "weights over fewer ranks than the others; give it or engine.dp_attention=1");
  for (const char* groups : {"1", "2", "4", "8"}) {
    EXPECT_EQ(SetRefusal(
                  absl::StrCat("engine.dp_attention=", groups, ",engine.expert_parallel=", groups)),
              "accepted");
  }
}

TEST(ParallelTest, Mtp) {
  const std::string mtp = "engine.mtp.draft_tokens=2,engine.mtp.acceptance=0.7";
  EXPECT_EQ(SetRefusal(mtp), "accepted");
  const RefusedSet cases[] = {
      {"engine.mtp.draft_tokens=9",
       "--set engine.mtp.draft_tokens: 9 is out of range; give 0 to 8"},
      {"engine.mtp.draft_tokens=1,engine.mtp.acceptance=1.01",
       "--set engine.mtp.acceptance: 1.01 is out of range; give 0 to 1"},
      {"engine.mtp.draft_tokens=1,engine.mtp.acceptance=-0.1",
       "--set engine.mtp.acceptance: -0.1 is out of range; give 0 to 1"},
      {"engine.mtp.draft_tokens=1",
       "s.txtpb: engine.mtp.acceptance: is not given, and engine.mtp.draft_tokens needs it; give "
       "it or "
       "engine.mtp.draft_tokens=0"},
  };
  for (const RefusedSet& c : cases) EXPECT_EQ(SetRefusal(c.set), c.message);
  const RefusedSet beside[] = {
      {"engine.admit=optimistic,engine.preemption=swap", "is not modelled with admit OPTIMISTIC"},
      {"policy.kind=oracle", "is not modelled with policy ORACLE"},
      {"policy.kind=flashmemory", "is not modelled with policy FLASHMEMORY"},
      {"policy.eviction=belady", "is not modelled with eviction BELADY"},
  };
  for (const RefusedSet& c : beside) {
    const std::string refusal = SetRefusal(absl::StrCat(mtp, ",", c.set));
    EXPECT_EQ(refusal.rfind("--set engine.mtp.draft_tokens: ", 0), 0u) << refusal;
    EXPECT_NE(refusal.find(c.message), std::string::npos) << refusal;
  }
}

}  // namespace
}  // namespace tierscope
