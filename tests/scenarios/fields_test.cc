#include "scenarios/fields.h"

#include <algorithm>

#include "gtest/gtest.h"

#include "scenarios/scenario.pb.h"

namespace tierscope {
namespace {

std::string Nearest(const std::string& path) { return NearestPath(*Scenario::descriptor(), path); }

TEST(FieldsTest, VisitsInOrderOfDeclaration) {
  Scenario scenario;
  scenario.mutable_engine()->add_graph_batch_sizes(4);
  scenario.mutable_engine()->add_graph_batch_sizes(8);
  scenario.mutable_workload()->add_classes()->set_weight(0.25);
  scenario.set_seed(3);
  std::vector<std::string> visited;
  VisitSetFields(scenario, "", [&](const std::string& path, const FieldValue& value) {
    visited.push_back(path);
    if (path == "engine.graph_batch_sizes[1]") {
      EXPECT_EQ(NumericValue(value), 8);
    }
    if (path == "workload.classes[0].weight") {
      EXPECT_EQ(NumericValue(value), 0.25);
    }
  });
  EXPECT_EQ(visited, (std::vector<std::string>{
                         "seed", "workload", "workload.classes[0]", "workload.classes[0].weight",
                         "engine", "engine.graph_batch_sizes[0]", "engine.graph_batch_sizes[1]"}));
}

TEST(FieldsTest, SchemaPathsNameEveryScalar) {
  const std::vector<std::string> paths = SchemaPaths(*Scenario::descriptor());
  for (const char* path :
       {"seed", "policy.tau_steps", "workload.classes[].weight", "engine.graph_batch_sizes[]",
        "engine.slo.ttft_ms", "hardware.host_link.batched_copy[].piece_bytes"}) {
    EXPECT_EQ(std::count(paths.begin(), paths.end(), path), 1) << path;
  }
  EXPECT_EQ(std::count(paths.begin(), paths.end(), "policy"), 0);
}

TEST(FieldsTest, WithoutIndices) {
  EXPECT_EQ(WithoutIndices("workload.classes[12].weight"), "workload.classes[].weight");
  EXPECT_EQ(WithoutIndices("seed"), "seed");
}

TEST(FieldsTest, NearestPath) {
  EXPECT_EQ(Nearest("policy.tau_step"), "policy.tau_steps");
  EXPECT_EQ(Nearest("polcy.tau_steps"), "policy.tau_steps");
  EXPECT_EQ(Nearest("tau_steps"), "policy.tau_steps");
  EXPECT_EQ(Nearest("workload.tau_steps"), "policy.tau_steps");
  EXPECT_EQ(Nearest("engine.simulated"), "engine.simulated_s");
  EXPECT_EQ(Nearest("workload.classes[0].wieght"), "workload.classes[].weight");
}

TEST(FieldsTest, DefaultsFillOnlyWhatDeclaresOne) {
  Scenario scenario;
  scenario.mutable_workload()->add_classes();
  FillDefaults(&scenario);
  EXPECT_TRUE(scenario.has_seed());
  EXPECT_TRUE(scenario.policy().has_kind());
  EXPECT_EQ(scenario.policy().tau_steps(), 64);
  EXPECT_TRUE(scenario.workload().attention().has_steps());
  EXPECT_EQ(scenario.workload().classes(0).weight(), 1.0);
  EXPECT_TRUE(scenario.workload().classes(0).has_weight());
  EXPECT_FALSE(scenario.workload().has_context_tokens());
  EXPECT_FALSE(scenario.engine().has_slo());
  EXPECT_FALSE(scenario.hardware().has_host_link());
}

TEST(FieldsTest, FillUnsetKeepsWhatIsSet) {
  Hardware preset, mine;
  preset.set_hbm_bytes(1);
  preset.set_gpu("preset");
  preset.mutable_host_link()->set_peak_bytes_per_s(10);
  preset.mutable_host_link()->add_batched_copy()->set_piece_bytes(4);
  preset.mutable_host_link()->add_batched_copy()->set_piece_bytes(8);
  preset.mutable_step_model()->set_base_ms(14);
  mine.set_hbm_bytes(2);
  mine.mutable_host_link()->add_batched_copy()->set_piece_bytes(16);
  mine.mutable_step_model()->set_base_ms(0);
  FillUnset(preset, &mine);
  EXPECT_EQ(mine.hbm_bytes(), 2);
  EXPECT_EQ(mine.gpu(), "preset");
  EXPECT_EQ(mine.host_link().peak_bytes_per_s(), 10);
  ASSERT_EQ(mine.host_link().batched_copy_size(), 1);
  EXPECT_EQ(mine.host_link().batched_copy(0).piece_bytes(), 16);
  EXPECT_EQ(mine.step_model().base_ms(), 0);
}

}  // namespace
}  // namespace tierscope
