#include "scenarios/unused.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

#include "scenarios/fields.h"
#include "tests/scenarios/scenario_text.h"

namespace tierscope {
namespace {

// "path, path": of the fields that `sets` gives, those that nothing reads.
std::string UnusedSets(const std::vector<std::string>& sets, const std::string& rest = "") {
  std::vector<UnusedField> unused;
  const auto scenario = ParseScenario(SmallScenario(rest), "s.txtpb", sets, &unused);
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  return absl::StrJoin(unused, ", ",
                       [](std::string* out, const UnusedField& field) { out->append(field.path); });
}

TEST(UnusedTest, NamesWhatIsGivenAndNotRead) {
  // Prefix stores, which routing can ask.
  const std::string stores =
      "workload.arrivals=trace,workload.trace=t.jsonl,workload.concurrency=0,"
      "workload.context_tokens=none,workload.output_tokens=none,"
      "workload.attention.context_tokens=[8192],engine.prefill=disaggregated,"
      "engine.prefill_tokens_per_s=1e5,engine.prefix_store.host_bytes=1e9";
  const struct {
    std::string set;  // is read under `used` and not under `unused`
    std::string used;
    std::string unused;
  } cases[] = {
      {"policy.staged_pieces=per_entry", "policy.recall_path=staged",
       "policy.recall_path=copy_engine"},
      {"policy.gather_item_bytes=584", "policy.recall_path=gather_kernel",
       "policy.recall_path=staged"},
      {"engine.gather_interference=1", "policy.recall_path=gather_kernel",
       "policy.recall_path=copy_engine"},
      {"policy.layout=layer_major", "policy.recall_path=staged",
       "policy.recall_path=gather_kernel"},
      {"policy.layout=layer_major", "policy.recall_path=staged",
       "policy.recall_path=staged,policy.staged_pieces=per_entry"},
      {"policy.index_key_pool_entries=2000000", "policy.index_key_offload=true",
       "policy.index_key_offload=false"},
      {"engine.prefill_instances=2",
       "engine.prefill=disaggregated,engine.prefill_tokens_per_s=1000", "engine.prefill=none"},
      {"node.network_bytes_per_s_per_gpu=1e9",
       "engine.prefill=disaggregated,engine.prefill_tokens_per_s=1000",
       "engine.prefill=colocated_chunked,engine.prefill_tokens_per_s=1000"},
      {"workload.attention.window_churn=0.3", "seed=2", "workload.attention.trace=t.trace"},
      {"workload.attention.score_floor=0.3", "seed=2", "workload.attention.trace=t.trace"},
      {"policy.threshold=0.4", "policy.kind=flashmemory", "policy.kind=oracle"},
      {"policy.threshold=0.4", "policy.kind=lsa", "policy.kind=recency"},
      {"policy.threshold=0.4", "policy.kind=lsa", "policy.kind=random"},
      {"policy.eviction=lru", "policy.kind=recency", "policy.kind=full"},
      {"engine.routing=least_loaded", "engine.replicas=2", "engine.replicas=1"},
      {"engine.routing=least_loaded", "engine.replicas=2", "engine.dp_attention=2"},
      {"engine.routing=prefix_aware", stores + ",engine.replicas=2", stores},
      {"engine.routing=prefix_aware", stores + ",engine.dp_attention=2", stores},
      {"engine.routing_imbalance_requests=3",
       stores + ",engine.replicas=2,engine.routing=prefix_aware",
       "engine.replicas=2,engine.routing=least_loaded"},
      {"engine.routing_imbalance_factor=2",
       stores + ",engine.replicas=2,engine.routing=prefix_aware",
       stores + ",engine.dp_attention=2,engine.routing=prefix_aware"},
      {"engine.mtp.acceptance=0.7", "engine.mtp.draft_tokens=1", "engine.mtp.draft_tokens=0"},
  };
  for (const auto& c : cases) {
    const std::string path = c.set.substr(0, c.set.find('='));
    EXPECT_EQ(UnusedSets({c.set, c.used}), "") << c.set << " " << c.used;
    EXPECT_EQ(UnusedSets({c.set, c.unused}), path) << c.set << " " << c.unused;
  }
}

// Neither defaults nor what a file or a preset gives are the user's --set.
TEST(UnusedTest, OnlySetsAreNamed) {
  EXPECT_EQ(UnusedSets({"policy.kind=full"}), "");
  EXPECT_EQ(UnusedSets({"policy.kind=oracle"}, "policy { threshold: 0.7 }"), "");
  EXPECT_EQ(UnusedSets({"policy.kind=oracle,policy.threshold=0.5"}), "policy.threshold");
}

// What a run mentions follows from the resolved scenario: its text says the same.
TEST(UnusedTest, SettingsAreThoseOffTheirDefault) {
  const auto text = [](const Scenario& scenario) {
    std::string out;
    for (const UnusedField& field : UnusedSettings(scenario)) {
      absl::StrAppend(&out, field.path, " because ", field.because, ";");
    }
    return out;
  };
  const auto resolved = [](const std::string& rest) {
    const auto scenario = ParseScenario(SmallScenario(rest), "s.txtpb", {});
    EXPECT_TRUE(scenario.ok()) << scenario.status();
    return *scenario;
  };
  EXPECT_EQ(text(resolved("")), "");
  EXPECT_EQ(text(resolved("policy { kind: FULL }")), "");
  const Scenario scenario = resolved("policy { kind: ORACLE threshold: 0.7 }");
  EXPECT_EQ(text(scenario),
            "policy.threshold because policy.kind ORACLE reads no scores: only the "
            "indexer_ metrics follow it;");
  const auto again = ParseScenario(ScenarioText(scenario), "again.txtpb", {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(text(*again), text(scenario));
}

// A name that is misspelt here would never be found.
TEST(UnusedTest, EveryPathIsAField) {
  std::set<std::string> known;
  for (const std::string& path : SchemaPaths(*Scenario::descriptor())) known.insert(path);
  for (const char* sets : {"policy.kind=full", "policy.kind=oracle", "policy.recall_path=staged",
                           "policy.recall_path=gather_kernel", "workload.attention.trace=t"}) {
    const auto scenario = ParseScenario(SmallScenario(), "s.txtpb", {sets});
    ASSERT_TRUE(scenario.ok()) << scenario.status();
    EXPECT_FALSE(UnusedFields(*scenario).empty());
    for (const UnusedField& field : UnusedFields(*scenario)) {
      EXPECT_EQ(known.count(field.path), 1u) << field.path;
    }
  }
}

}  // namespace
}  // namespace tierscope
