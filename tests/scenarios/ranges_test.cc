// Every number of the schema has a range: its ends are accepted and what lies beyond is refused
// with a whole message.
#include "scenarios/ranges.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "scenarios/fields.h"
#include "tests/scenarios/scenario_text.h"

namespace tierscope {
namespace {

std::string SetRefusal(const std::string& set) { return Refusal(SmallScenario(), {set}); }

TEST(RangesTest, EveryNumberOfTheSchemaHasOneRange) {
  size_t numbers = 0;
  for (const std::string& path : SchemaPaths(*Scenario::descriptor())) {
    const auto is_path = [&](const Range& range) { return range.path == path; };
    const auto rows = std::count_if(FieldRanges().begin(), FieldRanges().end(), is_path);
    // The numeric ones, found by setting them: text, enums and flags refuse a real.
    const std::string plain(path.substr(0, path.find("[]")));
    const bool is_list_of_messages = absl::StrContains(path, "[].");
    const std::string message =
        is_list_of_messages ? "number" : SetRefusal(absl::StrCat(plain, "=nan"));
    const bool text_of_list = absl::EndsWith(path, ".name") || absl::EndsWith(path, ".version") ||
                              absl::EndsWith(path, ".scores") || absl::EndsWith(path, ".op");
    const bool numeric = absl::StrContains(message, "number") && !text_of_list;
    EXPECT_EQ(rows, numeric ? 1 : 0) << path << ": " << message;
    numbers += numeric ? 1 : 0;
  }
  EXPECT_EQ(numbers, FieldRanges().size());
}

TEST(RangesTest, DefaultsAndPresetsLieWithin) { EXPECT_EQ(Refusal(SmallScenario()), "accepted"); }

TEST(RangesTest, EndsOfTheRanges) {
  const char* const cases[][3] = {
      // accepted, refused, what the message demands
      {"policy.tau_steps=1", "policy.tau_steps=0", "1 to 65536"},
      {"policy.tau_steps=65536", "policy.tau_steps=65537", "1 to 65536"},
      {"policy.threshold=0.001", "policy.threshold=0", "more than 0 and less than 1"},
      {"policy.threshold=0.999", "policy.threshold=1", "more than 0 and less than 1"},
      {"policy.page_kmax=1", "policy.page_kmax=0", "1 to 16777216"},
      {"policy.recency_entries=0", "policy.recency_entries=-1", "0 to 16777216"},
      {"workload.concurrency=1000000", "workload.concurrency=1000001", "0 to 1000000"},
      {"workload.context_tokens=16777216", "workload.context_tokens=16777217", "1 to 16777216"},
      {"workload.context_tokens=1", "workload.context_tokens=0", "1 to 16777216"},
      {"workload.output_tokens=1", "workload.output_tokens=0", "1 to 16777216"},
      {"workload.think_s=0", "workload.think_s=-1", "0 to 100000000"},
      {"workload.attention.steps=1", "workload.attention.steps=0", "1 to 16777216"},
      {"workload.attention.tick_stride_steps=8", "workload.attention.tick_stride_steps=0",
       "1 to 65536"},
      {"workload.attention.window_churn=1", "workload.attention.window_churn=1.01", "0 to 1"},
      {"workload.attention.score_floor=0.004", "workload.attention.score_floor=0.51",
       "0.004 to 0.5"},
      {"engine.simulated_s=100000000", "engine.simulated_s=100000001", "0 to 100000000"},
      {"engine.hbm_usable_fraction=1", "engine.hbm_usable_fraction=1.5",
       "more than 0 and at most 1"},
      {"engine.hbm_usable_fraction=0.5", "engine.hbm_usable_fraction=0",
       "more than 0 and at most 1"},
      {"node.host_usable_fraction=1", "node.host_usable_fraction=0", "more than 0 and at most 1"},
      {"hardware.host_link.peak_bytes_per_s=6e10", "hardware.host_link.peak_bytes_per_s=999",
       "1000 to 1e+18"},
      {"hardware.step_model.kernels.gemm_fp8.memory_efficiency=1",
       "hardware.step_model.kernels.gemm_fp8.memory_efficiency=1e-300", "1e-06 to 4"},
      {"policy.level1_fixed_ms=0", "policy.level1_fixed_ms=-1", "0 to 1000000"},
      {"policy.publish_fixed_ms=1000000", "policy.publish_fixed_ms=1000001", "0 to 1000000"},
      {"policy.gather_item_bytes=1", "policy.gather_item_bytes=0", "1 to 65536"},
      {"engine.host_contention_ms_per_step=0", "engine.host_contention_ms_per_step=-1",
       "0 to 1000000"},
      {"engine.gather_interference=100", "engine.gather_interference=101", "0 to 100"},
      {"node.host_gather_bytes_per_s=1000", "node.host_gather_bytes_per_s=1", "1000 to 1e+18"},
      {"hardware.host_link.gather_bytes_per_s=1000", "hardware.host_link.gather_bytes_per_s=1",
       "1000 to 1e+18"},
      {"hardware.host_link.gather_unaligned_factor=1",
       "hardware.host_link.gather_unaligned_factor=0", "1e-06 to 1"},
      {"hardware.host_link.pageable_bytes_per_s=1000", "hardware.host_link.pageable_bytes_per_s=1",
       "1000 to 1e+18"},
      {"hardware.fp8_flop_per_s=1e6", "hardware.fp8_flop_per_s=2", "1000000 to 1e+18"},
      {"hardware.hbm_bytes_per_s=1000", "hardware.hbm_bytes_per_s=1", "1000 to 1e+18"},
      {"engine.prefill_tokens_per_s=0.001,engine.prefill=DISAGGREGATED",
       "engine.prefill_tokens_per_s=1e-05", "0.001 to 1000000000000"},
      {"workload.arrivals=POISSON,workload.requests_per_s=1e-6", "workload.requests_per_s=9e-07",
       "1e-06 to 1000000"},
      {"workload.arrivals=GAMMA,workload.requests_per_s=1,workload.arrival_cv=0.001",
       "workload.arrival_cv=0.0001", "0.001 to 100"},
      {"hardware.host_link.copy_submit_us=0", "hardware.host_link.copy_submit_us=-1",
       "0 to 1000000"},
      {"engine.slo.ttft_ms=1", "engine.slo.ttft_ms=0", "more than 0 and at most 1000000000"},
  };
  for (const auto& [accepted, refused, demanded] : cases) {
    EXPECT_EQ(SetRefusal(accepted), "accepted");
    const std::string set = refused;
    const size_t equals = set.find('=');
    EXPECT_EQ(SetRefusal(set),
              absl::StrCat("--set ", set.substr(0, equals), ": ", set.substr(equals + 1),
                           " is out of range; give ", demanded));
  }
}

TEST(RangesTest, AFilesValueIsNamedByItsPlace) {
  EXPECT_EQ(Refusal(SmallScenario("policy {\n  tau_steps: 0\n}")),
            "s.txtpb:6:3: policy.tau_steps: 0 is out of range; give 1 to 65536");
  EXPECT_EQ(Refusal(SmallScenario("engine { graph_batch_sizes: [1, 0] }")).substr(0, 44),
            "s.txtpb:5:10: engine.graph_batch_sizes[1]: 0");
}

TEST(RangesTest, NothingButFiniteNumbers) {
  const char* const fields[] = {
      "policy { threshold: ", "engine { simulated_s: ", "engine { level1_interference: ",
      "engine { slo { tpot_ms: ", "engine { prefill_tokens_per_s: "};
  for (const std::string field : fields) {
    for (const char* value : {"nan", "inf", "-inf", "1e999"}) {
      const std::string close = absl::StrContains(field, "slo") ? " } }" : " }";
      const std::string message = Refusal(SmallScenario(absl::StrCat(field, value, close)));
      EXPECT_TRUE(absl::StrContains(message, "is not finite; give a number")) << message;
      EXPECT_TRUE(absl::StartsWith(message, "s.txtpb:5:")) << message;
    }
  }
}

TEST(RangesTest, WhatNoPresetGivesIsRequired) {
  EXPECT_EQ(Refusal("workload { concurrency: 1 context_tokens: 1 output_tokens: 1 }"),
            "s.txtpb: model.csa_layers: is not given; give 1 to 1000 or name a model.preset");
  EXPECT_EQ(Refusal("model { preset: \"v4_flash\" } hardware { preset: \"h200\" }"),
            "s.txtpb: node.gpus: is not given; give 1 to 1024 or name a node.preset");
  EXPECT_EQ(Refusal("model { preset: \"v4_flash\" } hardware { hbm_bytes: 80000000000 }"),
            "s.txtpb: hardware.hbm_bytes_per_s: is not given; give 1000 to 1e+18 or name a "
            "hardware.preset");
}

}  // namespace
}  // namespace tierscope
