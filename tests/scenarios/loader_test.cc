#include "scenarios/loader.h"

#include <filesystem>
#include <fstream>
#include <functional>

#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

#include "scenarios/fields.h"
#include "tests/scenarios/scenario_text.h"

namespace tierscope {
namespace {

using google::protobuf::util::MessageDifferencer;

Scenario Parse(const std::string& text, const std::vector<std::string>& sets = {}) {
  const absl::StatusOr<Scenario> scenario = ParseScenario(text, "s.txtpb", sets);
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  return scenario.ok() ? *scenario : Scenario();
}

// A folder of files that the test writes.
class LoaderFilesTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_ / "sub"); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }

  std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) /
      absl::StrCat("loader_", testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST(LoaderTest, SyntaxErrorsNameLineAndColumn) {
  EXPECT_EQ(Refusal("seed: 1\npolicy { tau_stps: 3 }"),
            "s.txtpb:2:18: Message type \\\"tierscope.Policy\\\" has no field named "
            "\\\"tau_stps\\\".");
  EXPECT_EQ(Refusal("seed: 1\n  policy { kind: LRU }").substr(0, 14), "s.txtpb:2:22: ");
  EXPECT_EQ(Refusal("policy { ").substr(0, 13), "s.txtpb:1:10:");
  EXPECT_EQ(Refusal("seed: 1\nseed: 2").substr(0, 12), "s.txtpb:2:5:");
}

TEST(LoaderTest, TheTextRoundTrips) {
  const Scenario scenario =
      Parse(SmallScenario("policy { threshold: 0.30000000000000004 index_key_offload: true }\n"
                          "engine { graph_batch_sizes: [1, 2, 4] slo { tpot_ms: 0.1 } }\n"
                          "description: \"\\303\\251 \\\"quoted\\\"\\n\\001 end\""),
            {"seed=18446744073709551615,workload.attention.trace=a b.tsc"});
  const std::string text = ScenarioText(scenario);
  const absl::StatusOr<Scenario> again = ParseScenario(text, "elsewhere/run.txtpb", {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*again, scenario));
  EXPECT_EQ(ScenarioText(*again), text);
  EXPECT_EQ(ScenarioDigest(*again), ScenarioDigest(scenario));
}

TEST(LoaderTest, TheResolvedTextIsComplete) {
  const Scenario scenario = Parse(SmallScenario());
  EXPECT_FALSE(scenario.model().has_preset());
  EXPECT_FALSE(scenario.hardware().has_preset());
  EXPECT_FALSE(scenario.node().has_preset());
  std::set<std::string> given;
  VisitSetFields(scenario, "", [&](const std::string& path, const FieldValue&) {
    given.insert(WithoutIndices(path));
  });
  // Nothing but what has no default and was not given.
  const std::set<std::string> absent = {"description",
                                        "model.preset",
                                        "hardware.preset",
                                        "node.preset",
                                        "model.kv_lora_rank",
                                        "model.qk_head_dim",
                                        "model.v_head_dim",
                                        "hardware.step_model.scoring_efficiency",
                                        "hardware.step_model.attention_efficiency",
                                        "hardware.step_model.kernels.preset",
                                        "hardware.measured_ops.device",
                                        "hardware.measured_ops.taken",
                                        "hardware.measured_ops.sha256",
                                        "hardware.measured_ops.tables[].op",
                                        "hardware.measured_ops.tables[].x[]",
                                        "hardware.measured_ops.tables[].batch[]",
                                        "hardware.measured_ops.tables[].us[]",
                                        "hardware.measured_ops.tables[].spread[]",
                                        "hardware.measured_ops.tables[].flop[]",
                                        "hardware.measured_ops.tables[].bytes[]",
                                        "hardware.measured_ops.step_beside_score",
                                        "hardware.measured_ops.score_beside_step",
                                        "hardware.measured_ops.step_beside_copy",
                                        "hardware.measured_ops.copy_beside_step",
                                        "hardware.measured_ops.recall_beside_writeback",
                                        "hardware.measured_ops.writeback_beside_recall",
                                        "hardware.measured_ops.attention_tile_entries",
                                        "engine.executed_ranks",
                                        "workload.requests_per_s",
                                        "workload.classes[].name",
                                        "workload.classes[].weight",
                                        "workload.classes[].context_tokens",
                                        "workload.classes[].output_tokens",
                                        "workload.trace",
                                        "workload.attention.trace",
                                        "workload.attention.context_tokens[]",
                                        "workload.attention.window_churn",
                                        "workload.attention.score_floor",
                                        "policy.level1_fixed_ms",
                                        "policy.hot_buffer_entries",
                                        "policy.pool_ratio",
                                        "policy.pool_warmup_steps",
                                        "policy.fetch_overlap",
                                        "policy.fetch_layer_us",
                                        "engine.prefill_tokens_per_s",
                                        "engine.graph_batch_sizes[]",
                                        "engine.mtp.acceptance",
                                        "engine.slo.ttft_ms",
                                        "engine.slo.tpot_ms"};
  for (const std::string& path : SchemaPaths(*Scenario::descriptor())) {
    EXPECT_EQ(given.count(path) == 0, absent.count(path) == 1) << path;
  }
}

// A rival's defaults, and that its resolved text loads to the same scenario.
TEST(LoaderTest, DefaultsOfTheRivals) {
  const auto of = [](const std::string& kind) {
    const Scenario scenario = Parse(SmallScenario(), {"policy.kind=" + kind});
    const absl::StatusOr<Scenario> again = ParseScenario(ScenarioText(scenario), "r.txtpb", {});
    EXPECT_TRUE(again.ok()) << kind << again.status();
    if (again.ok()) {
      EXPECT_EQ(ScenarioDigest(*again), ScenarioDigest(scenario)) << kind;
    }
    return scenario.policy();
  };
  EXPECT_EQ(of("streaming_llm").sink_entries(), 4);
  EXPECT_EQ(of("h2o").sink_entries(), 0);
  EXPECT_EQ(of("quest").eviction(), Policy::LRU_PROTECTED);
  const Policy swap = of("topk_swap");
  EXPECT_EQ(swap.recall_path(), Policy::GATHER_KERNEL);
  EXPECT_EQ(swap.hot_buffer_entries(), 4096);
  EXPECT_EQ(swap.fetch_overlap(), 0);
  EXPECT_EQ(swap.fetch_layer_us(), 20);
  EXPECT_FALSE(swap.has_pool_ratio());
  const Policy ess = of("ess");
  EXPECT_EQ(ess.recall_path(), Policy::GATHER_KERNEL);
  EXPECT_EQ(ess.pool_ratio(), 0.2);
  EXPECT_EQ(ess.pool_warmup_steps(), 32);
  EXPECT_EQ(ess.fetch_overlap(), 1);
  EXPECT_FALSE(ess.has_hot_buffer_entries());
  EXPECT_EQ(Parse(SmallScenario(), {"policy.kind=ess,policy.pool_ratio=0.5"}).policy().pool_ratio(),
            0.5);
}

// What the scenario leaves unset takes the kind's default; what it sets holds.
TEST(LoaderTest, DefaultsThatDependOnTheKindOfPolicy) {
  const Policy lsa = Parse(SmallScenario()).policy();
  EXPECT_EQ(lsa.eviction(), Policy::LRU_PROTECTED);
  EXPECT_EQ(lsa.recall_path(), Policy::COPY_ENGINE);
  EXPECT_EQ(lsa.phase(), Policy::STAGGERED);
  EXPECT_EQ(lsa.reserve_entries(), 983040);
  EXPECT_FALSE(lsa.has_level1_fixed_ms());
  const Policy fm = Parse(SmallScenario(), {"policy.kind=flashmemory"}).policy();
  EXPECT_EQ(fm.eviction(), Policy::FIFO);
  EXPECT_EQ(fm.recall_path(), Policy::STAGED);
  EXPECT_EQ(fm.phase(), Policy::OWN_STEPS);
  EXPECT_EQ(fm.reserve_entries(), 524288);
  EXPECT_EQ(fm.level1_fixed_ms(), 14);
  const std::string set =
      "policy { kind: FLASHMEMORY eviction: LRU_PROTECTED recall_path: COPY_ENGINE "
      "level1_fixed_ms: 0\n"
      "         phase: STAGGERED reserve_entries: 983040 }\n";
  const Policy ablation = Parse(SmallScenario(set)).policy();
  EXPECT_EQ(ablation.eviction(), Policy::LRU_PROTECTED);
  EXPECT_EQ(ablation.recall_path(), Policy::COPY_ENGINE);
  EXPECT_EQ(ablation.phase(), Policy::STAGGERED);
  EXPECT_EQ(ablation.reserve_entries(), 983040);
  EXPECT_EQ(ablation.level1_fixed_ms(), 0);
  EXPECT_EQ(ScenarioDigest(Parse(ScenarioText(Parse(SmallScenario(set))))),
            ScenarioDigest(Parse(SmallScenario(set))));
}

TEST(LoaderTest, ANamelessScenarioIsCalledAsItsFile) {
  const std::string text = SmallScenario();
  const auto scenario = ParseScenario(text.substr(text.find('\n')), "some/where/my_run.txtpb", {});
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  EXPECT_EQ(scenario->name(), "my_run");
}

TEST(LoaderTest, TheDigestSeesWhatARunDependsOn) {
  const std::string base = ScenarioDigest(Parse(SmallScenario()));
  const std::string traced = ScenarioDigest(Parse(SmallScenario(), {"workload.attention.trace=a"}));
  EXPECT_EQ(ScenarioDigest(Parse(SmallScenario(), {"name=other,description=x"})), base);
  EXPECT_EQ(ScenarioDigest(Parse(SmallScenario(), {"workload.attention.trace=b"})), traced);
  EXPECT_EQ(ScenarioDigest(Parse(SmallScenario(), {"workload.trace=a"})),
            ScenarioDigest(Parse(SmallScenario(), {"workload.trace=b"})));
  EXPECT_EQ(ScenarioDigest(Parse(SmallScenario(), {"policy.tau_steps=64"})), base);
  for (const char* set :
       {"seed=2", "policy.tau_steps=65", "hardware.step_model.base_ms=14.000001",
        "hardware.preset=h200", "engine.graph_batch_sizes=[1]", "workload.concurrency=3"}) {
    EXPECT_NE(ScenarioDigest(Parse(SmallScenario(), {set})), base) << set;
  }
}

TEST_F(LoaderFilesTest, FileNamesAreRelativeToTheScenario) {
  const std::string path =
      Write("sub/s.txtpb",
            "model { preset: \"../m.txtpb\" } hardware { preset: \"hw.txtpb\" }"
            "node { preset: \"node_8gpu\" }"
            "workload { arrivals: TRACE trace: \"../t.jsonl\""
            "           attention { trace: \"a.tsc\" } }");
  Write("sub/hw.txtpb", "gpu: \"mine\"");
  Write("m.txtpb", "name: \"mine too\"");
  const std::vector<std::string> sets = {"model.preset=v4_flash", "hardware.preset=h200"};
  const absl::StatusOr<Scenario> scenario = LoadScenario(path, sets);
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  EXPECT_EQ(scenario->workload().trace(), (folder_ / "t.jsonl").string());
  EXPECT_EQ(scenario->workload().attention().trace(), (folder_ / "sub/a.tsc").string());
  // Run from elsewhere, the resolved file means the same.
  const std::string resolved = Write("resolved.txtpb", ScenarioText(*scenario));
  EXPECT_TRUE(MessageDifferencer::Equals(LoadScenario(resolved, {}).value(), *scenario));
  // Without the overrides the files are read: what they lack is missing.
  EXPECT_EQ(LoadScenario(path, {}).status().message(),
            path + ": model.csa_layers: is not given; give 1 to 1000 or name a model.preset");
}

TEST_F(LoaderFilesTest, PresetFiles) {
  const std::string preset = Write("mine.txtpb", "gpu: \"mine\"\nhbm_bytes: 0\n");
  const std::string whole = ScenarioText(Parse(SmallScenario()));
  const std::string path = Write("s.txtpb", SmallScenario());
  EXPECT_EQ(
      LoadScenario(path, {absl::StrCat("hardware.preset=", preset)}).status().message(),
      absl::StrCat(preset, ":2:1: hardware.hbm_bytes: 0 is out of range; give 1 to ", "1e+18"));
  Write("mine.txtpb", "gpu: \"mine\"\nhbm_byte: 0\n");
  const absl::StatusOr<Scenario> typo =
      LoadScenario(path, {absl::StrCat("hardware.preset=", preset)});
  EXPECT_EQ(std::string(typo.status().message()).find(absl::StrCat(preset, ":2:9: ")), 0u)
      << typo.status();
  EXPECT_EQ(LoadScenario(path, {"hardware.preset=./none.txtpb"}).status().message(),
            absl::StrCat("--set hardware.preset: ",
                         (std::filesystem::current_path() / "none.txtpb").string(),
                         ": cannot be opened (No such file or directory); check the path"));
  Write("mine.txtpb", "preset: \"h200\"");
  EXPECT_EQ(LoadScenario(path, {absl::StrCat("hardware.preset=", preset)}).status().message(),
            absl::StrCat(preset, ": a preset cannot name a preset; write its fields out"));
}

}  // namespace
}  // namespace tierscope
