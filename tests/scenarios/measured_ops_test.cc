// Refusals of hardware.measured_ops, on a made-up profile.
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"

#include "scenarios/loader.h"
#include "tests/testing/temp_folder.h"

namespace tierscope {
namespace {

using testing::TempFolder;

std::string Profile() {
  std::string text =
      "gpu: \"a machine\" hbm_bytes: 16000000000 hbm_bytes_per_s: 10000000000 fp8_flop_per_s: 2e10 "
      "bf16_flop_per_s: 2e10\n"
      "host_link { peak_bytes_per_s: 9000000000 device_to_host_bytes_per_s: 9000000000 "
      "gather_bytes_per_s: 9000000000 gather_unaligned_factor: 1 pageable_bytes_per_s: 9000000000 "
      "copy_submit_us: 0 evidence: MEASURED batched_copy { piece_bytes: 112128 descriptors: 1 "
      "bytes_per_s: 8000000000 } }\n"
      "step_model { base_ms: 0 per_request_ms: 0 memory_efficiency: 1 level1_launch_ms: 0 "
      "fitted_model: \"v4_tiny\" fitted_tensor_parallel: 1 fitted_to: \"nothing\" }\n"
      "measured_ops { device: \"a machine\" taken: \"a test\" sha256: \"00\" step_beside_score: 1 "
      "score_beside_step: 1 step_beside_copy: 1 copy_beside_step: 1\n";
  for (const char* op : {"BALLAST", "NATIVE_SCORE", "NATIVE_TOP_K", "CSA_ATTENTION",
                         "HCA_ATTENTION", "SCORE", "SELECT"}) {
    absl::StrAppend(&text, "tables { op: ", op,
                    " x: [1, 10] batch: [1, 4] us: [1, 2, 3, 4] spread: [0, 0, 0, 0] }\n");
  }
  return text + "}\n";
}

// The message for cpu_small on the profile, "accepted" without one.
std::string Refusal(const std::string& profile, const std::string& sets = "seed=1") {
  const TempFolder folder;
  const std::string path = folder.File("profile.txtpb");
  std::ofstream(path) << profile;
  const auto scenario =
      LoadScenario(absl::StrCat(TIERSCOPE_SOURCE_DIR, "/scenarios/cpu_small.txtpb"),
                   {absl::StrCat("hardware.preset=", path), sets});
  return scenario.ok() ? "accepted" : std::string(scenario.status().message());
}

TEST(MeasuredOpsValidationTest, EachDamageIsNamed) {
  ASSERT_EQ(Refusal(Profile()), "accepted");
  const char* const cases[][3] = {
      {"op: SCORE x: [1, 10]", "op: SCORE x: [10, 1]", "tables[5].x: is empty or does not rise"},
      {"op: SCORE x: [1, 10]", "op: SCORE", "tables[5].x: is empty or does not rise"},
      {"op: BALLAST x: [1, 10] batch: [1, 4]", "op: BALLAST x: [1, 10] batch: [4, 4]",
       "tables[0].batch: is empty or does not rise"},
      {"op: SELECT x: [1, 10] batch: [1, 4] us: [1, 2, 3, 4]",
       "op: SELECT x: [1, 10] batch: [1, 4] us: [1, 2, 3]", "tables[6].us: has 3 values for 4"},
      {"op: SELECT x: [1, 10] batch: [1, 4] us: [1, 2, 3, 4] spread: [0, 0, 0, 0]",
       "op: SELECT x: [1, 10] batch: [1, 4] us: [1, 2, 3, 4] spread: [0]",
       "tables[6].spread: has 1 values for 4"},
      {"op: SELECT x: [1, 10]", "op: SELECT flop: [1] x: [1, 10]",
       "tables[6].flop: has 1 values for 4"},
      {"op: SELECT x: [1, 10]", "op: SELECT bytes: [1, 2] x: [1, 10]",
       "tables[6].bytes: has 2 values for 4"},
      {"op: SELECT x", "op: SCORE x", "tables[6].op: SCORE has a table already"},
      {"op: SCORE x", "op: PUBLISH x", "tables: has none of SCORE"},
      {"tables { op: BALLAST ", "tables { ", "tables[0].op: is not given"},
      {"us: [1, 2, 3, 4]", "us: [1, 2, 3, 0]", "0 is out of range; give 1e-06"},
  };
  for (const auto& [from, to, message] : cases) {
    const std::string damaged = absl::StrReplaceAll(Profile(), {{from, to}});
    ASSERT_NE(damaged, Profile()) << from;
    EXPECT_TRUE(absl::StrContains(Refusal(damaged), message)) << to << "\n" << Refusal(damaged);
  }
}

TEST(MeasuredOpsValidationTest, OneRankKnowsNothingOfOthers) {
  const char* const cases[][2] = {
      {"engine.dp_attention=2,engine.tensor_parallel=2,model.attention_weight_bytes_sharded=1",
       "engine.dp_attention: is not modelled with hardware.measured_ops; give 1"},
      {"engine.executed_ranks=1,engine.replicas=2",
       "engine.replicas: is not modelled with engine.executed_ranks=1; give 1"},
      {"engine.executed_ranks=1,engine.expert_parallel=2,engine.tensor_parallel=2",
       "engine.expert_parallel: is not modelled with engine.executed_ranks=1; give 1"},
      {"engine.mtp.draft_tokens=1,engine.mtp.acceptance=0.5",
       "engine.mtp.draft_tokens: is not modelled with hardware.measured_ops; give 0"},
  };
  for (const auto& [sets, message] : cases) {
    EXPECT_TRUE(absl::StrContains(Refusal(Profile(), sets), message)) << Refusal(Profile(), sets);
  }
  EXPECT_EQ(Refusal(Profile(), "engine.replicas=2"), "accepted") << "each by itself";
}

}  // namespace
}  // namespace tierscope
