#include "scenarios/overrides.h"

#include <filesystem>

#include "gtest/gtest.h"

#include "tests/scenarios/scenario_text.h"

namespace tierscope {
namespace {

// "path=value|path=value", or the message of the refusal.
std::string Split(const std::vector<std::string>& sets) {
  const absl::StatusOr<std::vector<Override>> overrides = ParseOverrides(sets);
  if (!overrides.ok()) return std::string(overrides.status().message());
  std::string joined;
  for (const Override& o : *overrides) {
    absl::StrAppend(&joined, joined.empty() ? "" : "|", o.path, "=", o.value);
  }
  return joined;
}

Scenario Set(const std::vector<std::string>& sets, const std::string& rest = "") {
  const absl::StatusOr<Scenario> scenario = ParseScenario(SmallScenario(rest), "s.txtpb", sets);
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  return scenario.ok() ? *scenario : Scenario();
}

std::string SetRefusal(const std::string& set) { return Refusal(SmallScenario(), {set}); }

TEST(OverridesTest, CommasSplitOnlyBeforeAName) {
  EXPECT_EQ(Split({"a.b=1,c=2"}), "a.b=1|c=2");
  EXPECT_EQ(Split({"a=1", "b=2,c=3"}), "a=1|b=2|c=3");
  EXPECT_EQ(Split({"a=x,y,b=2"}), "a=x,y|b=2");
  EXPECT_EQ(Split({"a=1,2,3"}), "a=1,2,3");
  EXPECT_EQ(Split({"a=[1,2,3],b=4"}), "a=[1,2,3]|b=4");
  EXPECT_EQ(Split({"a[0].b=1,a[1].b=2"}), "a[0].b=1|a[1].b=2");
  EXPECT_EQ(Split({"a=\"x,b=1\",c=2"}), "a=\"x,b=1\"|c=2");
  EXPECT_EQ(Split({"a=x=y"}), "a=x=y");
  EXPECT_EQ(Split({"a=1,2=3"}), "a=1,2=3");
  EXPECT_EQ(Split({"a=,b=1"}), "a=|b=1");
}

TEST(OverridesTest, APieceWithoutAValueIsRefused) {
  EXPECT_EQ(Split({"policy.tau_steps"}),
            "--set policy.tau_steps: is not path=value; write for example --set "
            "policy.tau_steps=32");
  EXPECT_EQ(Split({""}), "--set : is not path=value; write for example --set policy.tau_steps=32");
  EXPECT_EQ(Split({"=3"}),
            "--set =3: is not path=value; write for example --set policy.tau_steps=32");
}

TEST(OverridesTest, SetsEveryKindOfField) {
  const Scenario scenario =
      Set({"seed=9,policy.kind=Recency,policy.threshold=.25,policy.index_key_offload=TRUE",
           "hardware.hbm_bytes=141.5e9,description=one, two,workload.arrivals=poisson",
           "workload.requests_per_s=2e-1"});
  EXPECT_EQ(scenario.seed(), 9);
  EXPECT_EQ(scenario.policy().kind(), Policy::RECENCY);
  EXPECT_EQ(scenario.policy().threshold(), 0.25);
  EXPECT_TRUE(scenario.policy().index_key_offload());
  EXPECT_EQ(scenario.hardware().hbm_bytes(), 141'500'000'000);
  EXPECT_EQ(scenario.description(), "one, two");
  EXPECT_EQ(scenario.workload().arrivals(), Workload::POISSON);
  EXPECT_EQ(scenario.workload().requests_per_s(), 0.2);
}

TEST(OverridesTest, TheLastOneHolds) { EXPECT_EQ(Set({"seed=9,seed=10", "seed=11"}).seed(), 11); }

TEST(OverridesTest, Lists) {
  const std::string sizes = "engine { graph_batch_sizes: [1, 2] }";
  for (const char* set : {"engine.graph_batch_sizes=[4,8,16]", "engine.graph_batch_sizes=4,8,16",
                          "engine.graph_batch_sizes=[ 4, 8 ,16 ]"}) {
    const Scenario scenario = Set({set}, sizes);
    ASSERT_EQ(scenario.engine().graph_batch_sizes_size(), 3) << set;
    EXPECT_EQ(scenario.engine().graph_batch_sizes(0), 4);
    EXPECT_EQ(scenario.engine().graph_batch_sizes(2), 16);
  }
  EXPECT_EQ(Set({"engine.graph_batch_sizes=[]"}, sizes).engine().graph_batch_sizes_size(), 0);
  EXPECT_EQ(Set({"engine.graph_batch_sizes[1]=7"}, sizes).engine().graph_batch_sizes(1), 7);
  EXPECT_EQ(SetRefusal("engine.graph_batch_sizes=[4,8"),
            "--set engine.graph_batch_sizes: the list has no closing ]");
  EXPECT_EQ(SetRefusal("engine.graph_batch_sizes=[4,x]"),
            "--set engine.graph_batch_sizes: 'x' is not a number; give a whole one");
  EXPECT_EQ(SetRefusal("engine.graph_batch_sizes[0]=4"),
            "--set engine.graph_batch_sizes[0]: graph_batch_sizes has 0 elements, counted from 0; "
            "write further ones into the file");
}

TEST(OverridesTest, ElementsOfARepeatedMessage) {
  const std::string classes =
      "workload { classes { context_tokens: 1024 output_tokens: 8 }"
      "           classes { context_tokens: 2048 output_tokens: 8 } }";
  const std::string text = absl::StrCat(
      "model { preset: \"v4_flash\" } hardware { preset: \"h20_141\" } node { preset: "
      "\"node_8gpu\" } policy { kind: FULL }",
      classes);
  const auto scenario =
      ParseScenario(text, "s.txtpb", {"workload.classes[1].weight=3,workload.concurrency=1"});
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  EXPECT_EQ(scenario->workload().classes(0).weight(), 1.0);
  EXPECT_EQ(scenario->workload().classes(1).weight(), 3.0);
  EXPECT_EQ(Refusal(text, {"workload.classes[2].weight=3"}),
            "--set workload.classes[2].weight: classes has 2 elements, counted from 0; write "
            "further ones into the file");
  EXPECT_EQ(Refusal(text, {"workload.classes.weight=3"}),
            "--set workload.classes.weight: classes is a list; name an element, such as "
            "classes[0]");
  EXPECT_EQ(Refusal(text, {"workload.concurrency=1,workload.classes[0].weight=0"}),
            "--set workload.classes[0].weight: 0 is out of range; give more than 0 and at most "
            "1000000000");
}

TEST(OverridesTest, UnknownPathsNameTheNearest) {
  const char* const paths[][2] = {
      {"policy.tau", "policy.tau_steps"},
      {"tau_steps", "policy.tau_steps"},
      {"policy.tau_steps.x", "policy.tau_steps"},
      {"policy..tau_steps", "policy.tau_steps"},
      {"policy.tau_steps[", "policy.tau_steps"},
      {"workload.classes[-1].weight", "workload.classes[].weight"},
      {"workload.classes[x].weight", "workload.classes[].weight"},
  };
  for (const auto& [path, nearest] : paths) {
    EXPECT_EQ(SetRefusal(absl::StrCat(path, "=1")),
              absl::StrCat("--set ", path, ": no such field; the nearest is ", nearest));
  }
}

TEST(OverridesTest, AGroupIsNoField) {
  EXPECT_EQ(SetRefusal("policy=lsa"),
            "--set policy: is a group of fields; set one of them, such as policy.kind");
  EXPECT_EQ(SetRefusal("policy.kind[0]=lsa"),
            "--set policy.kind[0]: kind is no list; drop the index");
}

TEST(OverridesTest, WrongValues) {
  const char* const cases[][2] = {
      {"policy.kind=lru",
       "'lru' is none of FULL, LSA, RECENCY, RANDOM, ORACLE, FLASHMEMORY, STREAMING_LLM, H2O, "
       "QUEST, TOPK_SWAP, ESS"},
      {"policy.kind=",
       "'' is none of FULL, LSA, RECENCY, RANDOM, ORACLE, FLASHMEMORY, STREAMING_LLM, H2O, QUEST, "
       "TOPK_SWAP, ESS"},
      {"policy.tau_steps=", "'' is not a number; give a whole one"},
      {"policy.tau_steps=64x", "'64x' is not a number; give a whole one"},
      {"policy.tau_steps=1.5", "'1.5' is not a whole number"},
      {"policy.tau_steps=3000000000",
       "'3000000000' is out of range; give -2147483648 to 2147483647"},
      {"policy.tau_steps=1e300", "'1e300' is out of range; give -2147483648 to 2147483647"},
      {"node.host_bytes=1e16",
       "'1e16' is above 9007199254740992 (2^53), where this notation is not exact; write out all "
       "digits"},
      {"seed=1e19",
       "'1e19' is above 9007199254740992 (2^53), where this notation is not exact; write out all "
       "digits"},
      {"seed=1e20", "'1e20' is out of range; give 0 to 18446744073709551615"},
      {"seed=-1e0", "'-1e0' is out of range; give 0 to 18446744073709551615"},
      {"node.host_bytes=1e19",
       "'1e19' is out of range; give -9223372036854775808 to 9223372036854775807"},
      {"policy.tau_steps=2147483648.0",
       "'2147483648.0' is out of range; give -2147483648 to 2147483647"},
      {"policy.tau_steps=nan", "'nan' is not a number; give a whole one"},
      {"seed=-1", "'-1' is out of range; give 0 to 18446744073709551615"},
      {"policy.threshold=high", "'high' is not a finite number"},
      {"policy.threshold=nan", "'nan' is not a finite number"},
      {"engine.simulated_s=inf", "'inf' is not a finite number"},
      {"engine.simulated_s=1e999", "'1e999' is not a finite number"},
      {"policy.index_key_offload=maybe", "'maybe' is neither true nor false"},
  };
  for (const auto& [set, problem] : cases) {
    const std::string path = std::string(set).substr(0, std::string(set).find('='));
    EXPECT_EQ(SetRefusal(set), absl::StrCat("--set ", path, ": ", problem));
  }
}

// A preset does not fill it again; a value given later does.
TEST(OverridesTest, NoneHoldsAgainstPresets) {
  const std::string rate = "node.host_gather_bytes_per_s";
  EXPECT_TRUE(Set({}).node().has_host_gather_bytes_per_s());
  EXPECT_FALSE(Set({rate + "=none"}).node().has_host_gather_bytes_per_s());
  EXPECT_EQ(Set({rate + "=none", rate + "=5000"}).node().host_gather_bytes_per_s(), 5000);
  EXPECT_FALSE(Set({rate + "=none", "node.preset=node_8gpu"}).node().has_host_gather_bytes_per_s());
  EXPECT_EQ(Refusal(SmallScenario(), {rate + "=none", "policy.kind=flashmemory"}),
            "--set node.host_gather_bytes_per_s: is not given, and policy.recall_path STAGED needs "
            "it; give it or policy.recall_path=COPY_ENGINE");
}

TEST(OverridesTest, NoneUnsets) {
  EXPECT_TRUE(Set({}).workload().has_context_tokens());
  const Scenario scenario =
      Set({"workload.context_tokens=none,workload.output_tokens=none", "workload.trace=t.jsonl",
           "workload.attention.context_tokens=8192"});
  EXPECT_FALSE(scenario.workload().has_context_tokens());
  EXPECT_EQ(Set({"policy.tau_steps=none"}, "policy { tau_steps: 8 }").policy().tau_steps(), 64);
  EXPECT_FALSE(Set({"workload.trace=t.jsonl", "workload.trace="}).workload().has_trace());
  EXPECT_EQ(Set({"engine.prefill=none"}).engine().prefill(), Engine::NONE);
}

TEST(OverridesTest, FileNamesAreRelativeToTheWorkingDirectory) {
  const std::filesystem::path here = std::filesystem::current_path();
  EXPECT_EQ(Set({"workload.attention.trace=x/../a.tsc"}).workload().attention().trace(),
            (here / "a.tsc").string());
  EXPECT_EQ(Set({"workload.attention.trace=/tmp/a.tsc"}).workload().attention().trace(),
            "/tmp/a.tsc");
  EXPECT_EQ(Set({"workload.attention.trace=\"a,seed=1.tsc\""}).workload().attention().trace(),
            (here / "a,seed=1.tsc").string());
}

TEST(OverridesTest, MessagesAreOneLine) {
  for (const char* set : {"policy.k\nind=1", "policy.kind=a\nb", "hardware.preset=a\nb", "a\nb"}) {
    EXPECT_EQ(SetRefusal(set).find('\n'), std::string::npos) << set;
  }
}

}  // namespace
}  // namespace tierscope
