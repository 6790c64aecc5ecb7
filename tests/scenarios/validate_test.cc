// Each refusal with its whole message, and that its neighbour inside the range is accepted.
#include "scenarios/validate.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

#include "scenarios/fields.h"
#include "tests/scenarios/scenario_text.h"

namespace tierscope {
namespace {

std::string SetRefusal(const std::string& set) { return Refusal(SmallScenario(), {set}); }

TEST(ValidateTest, Names) {
  for (const char* name : {"a", "h20_lsa", "a-b.c", "2026"}) {
    EXPECT_EQ(SetRefusal(absl::StrCat("name=", name)), "accepted") << name;
  }
  for (const char* name : {"a b", "a/b", "..", ".hidden", "a:b", "\"a\tb\""}) {
    EXPECT_EQ(SetRefusal(absl::StrCat("name=", name)),
              "--set name: is not a plain name; give up to 100 letters, digits, _ - and ., no "
              "leading .");
  }
}

struct RefusedSet {
  const char* set;
  const char* message;
};

TEST(ValidateTest, AdmissionAndChunkedPrefill) {
  const RefusedSet cases[] = {
      {"engine.admit=optimistic",
       "s.txtpb: engine.preemption: RECOMPUTE prefills again, and engine.prefill is NONE; give "
       "engine.preemption=SWAP or another engine.prefill"},
      {"engine.preemption=swap",
       "--set engine.preemption: has no effect with admit FULL, which never preempts; remove it or "
       "choose engine.admit=OPTIMISTIC"},
      {"engine.prefill_chunk_tokens=512",
       "--set engine.prefill_chunk_tokens: has no effect with prefill NONE; remove it or choose "
       "COLOCATED_CHUNKED"},
      {"engine.prefill=disaggregated,engine.prefill_tokens_per_s=1,engine.prefill_chunk_tokens=512",
       "--set engine.prefill_chunk_tokens: has no effect with prefill DISAGGREGATED; remove it or "
       "choose COLOCATED_CHUNKED"},
      {"engine.prefill=colocated_chunked",
       "s.txtpb: engine.prefill_tokens_per_s: is not given, and chunked prefill needs the rate of "
       "the "
       "replica; give it or engine.prefill=NONE"},
      {"engine.prefill=colocated_chunked,engine.prefill_tokens_per_s=1,engine.prefill_instances=2",
       "--set engine.prefill_instances: has no effect with prefill COLOCATED_CHUNKED, where the "
       "replica itself prefills; remove it or choose DISAGGREGATED"},
      {"engine.prefill=colocated_chunked,engine.prefill_chunk_tokens=0",
       "--set engine.prefill_chunk_tokens: 0 is out of range; give 1 to 16777216"},
  };
  for (const RefusedSet& c : cases) EXPECT_EQ(SetRefusal(c.set), c.message);
  for (const char* set :
       {"engine.admit=optimistic,engine.preemption=swap",
        "engine.admit=optimistic,engine.prefill=disaggregated,engine.prefill_tokens_per_s=1e4",
        "engine.admit=optimistic,engine.prefill=colocated_chunked,engine.prefill_tokens_per_s=1e4",
        "engine.prefill=colocated_chunked,engine.prefill_tokens_per_s=1e4,"
        "engine.prefill_chunk_tokens=512"}) {
    EXPECT_EQ(SetRefusal(set), "accepted") << set;
  }
}

TEST(ValidateTest, PrefixStore) {
  const std::string pool =
      "engine.prefill=disaggregated,engine.prefill_tokens_per_s=1e4,workload.trace=t.jsonl,"
      "workload.context_tokens=8192,workload.output_tokens=64,engine.prefix_store.host_bytes=1e11";
  EXPECT_EQ(SetRefusal(pool), "accepted");
  EXPECT_EQ(SetRefusal(pool + ",engine.prefix_store.nvme_bytes=1e12"), "accepted");
  EXPECT_EQ(SetRefusal(pool + ",engine.prefix_store.remote_bytes=1e12"), "accepted");
  const std::pair<std::string, const char*> cases[] = {
      {pool + ",engine.prefill=none,engine.prefill_tokens_per_s=none",
       "--set engine.prefix_store.host_bytes: has no effect with prefill NONE, where a request's "
       "KV is there when it arrives; remove it or choose DISAGGREGATED or COLOCATED_CHUNKED"},
      {pool + ",engine.admit=optimistic",
       "--set engine.prefix_store.host_bytes: is not modelled with admit OPTIMISTIC, whose "
       "preempted requests would hold blocks; remove it or choose engine.admit=FULL"},
      {pool + ",workload.trace=",
       "--set engine.prefix_store.host_bytes: has no effect without a request trace with block "
       "ids; remove it or give workload.trace"},
      {pool + ",engine.prefix_store.host_bytes=1925250000000",
       "--set engine.prefix_store.host_bytes: 1925.2 GB leave nothing of the 1925.2 GB of host "
       "DRAM (node.host_bytes x host_usable_fraction); lower it"},
      {pool + ",engine.prefix_store.host_bytes=-1",
       "--set engine.prefix_store.host_bytes: -1 is out of range; give 0 to 1e+18"},
      {"engine.prefix_store.eviction=fifo",
       "--set engine.prefix_store.eviction: has no effect without engine.prefix_store.host_bytes; "
       "give that or remove it"},
      {"engine.prefix_store.nvme_bytes=1e12",
       "--set engine.prefix_store.nvme_bytes: has no effect without "
       "engine.prefix_store.host_bytes; give that or remove it"},
      {"engine.prefix_store.remote_bytes=1e12",
       "--set engine.prefix_store.remote_bytes: has no effect without "
       "engine.prefix_store.host_bytes; give that or remove it"},
  };
  for (const auto& [set, message] : cases) EXPECT_EQ(SetRefusal(set), message) << set;
}

TEST(ValidateTest, ATierBelowTheHostNeedsItsLink) {
  Scenario scenario = ParseScenario(SmallScenario(), "s.txtpb", {}).value();
  Node* node = scenario.mutable_node();
  node->clear_nvme_read_bytes_per_s();
  node->clear_nvme_latency_us();
  node->clear_remote_read_bytes_per_s();
  node->clear_remote_latency_us();
  const std::string bare = ScenarioText(scenario);
  const std::string fields[] = {"nvme_read_bytes_per_s", "nvme_latency_us",
                                "remote_read_bytes_per_s", "remote_latency_us"};
  for (const std::string& field : fields) {
    const std::string tier = field.substr(0, field.find('_')) + "_bytes";
    std::vector<std::string> sets = {
        "engine.prefill=disaggregated,engine.prefill_tokens_per_s=1e4,workload.trace=t.jsonl",
        "engine.prefix_store.host_bytes=1e11,engine.prefix_store.nvme_bytes=1e12,"
        "engine.prefix_store.remote_bytes=1e12"};
    for (const std::string& other : fields) {
      if (other != field) sets.push_back(absl::StrCat("node.", other, "=1000"));
    }
    EXPECT_EQ(Refusal(bare, sets),
              absl::StrCat("s.txtpb: node.", field, ": is not given, and engine.prefix_store.",
                           tier, " needs it; give it or ", tier, "=0"));
    sets.push_back(absl::StrCat("node.", field, "=1000"));
    EXPECT_EQ(Refusal(bare, sets), "accepted");
  }
}

TEST(ValidateTest, Workload) {
  const RefusedSet cases[] = {
      {"workload.concurrency=0",
       "--set workload.concurrency: a closed loop needs a number of users; give 1 to 1000000"},
      {"workload.arrivals=poisson",
       "s.txtpb: workload.requests_per_s: arrivals POISSON need a rate; give "
       "workload.requests_per_s"},
      {"workload.arrivals=gamma",
       "s.txtpb: workload.requests_per_s: arrivals GAMMA need a rate; give "
       "workload.requests_per_s"},
      {"workload.requests_per_s=2",
       "--set workload.requests_per_s: has no effect with arrivals CLOSED_LOOP; remove it or "
       "choose "
       "POISSON or GAMMA"},
      {"workload.think_s=1,workload.trace=t.jsonl",
       "--set workload.think_s: has no effect: it is the pause of a closed loop without a trace; "
       "remove it"},
      {"workload.arrival_cv=2",
       "--set workload.arrival_cv: has no effect with arrivals CLOSED_LOOP; remove it or choose "
       "GAMMA"},
      {"workload.arrivals=poisson,workload.requests_per_s=1e6",
       "--set workload.requests_per_s: 1e+06 a second for 3600 s are more than 2e+07 requests; "
       "lower it, engine.simulated_s, or set workload.request_limit"},
      {"workload.arrivals=trace",
       "s.txtpb: workload.trace: is not given, and arrivals TRACE replay one; give --set "
       "workload.trace=FILE"},
      {"workload.context_tokens=none",
       "--set workload.context_tokens: is not given; give it, or workload.classes, or "
       "workload.trace"},
      {"workload.output_tokens=none",
       "--set workload.output_tokens: is not given; give it, or workload.classes, or "
       "workload.trace"},
      {"workload.attention.generator_preset=",
       "s.txtpb: workload.attention.trace: is not given, and policy LSA needs one; give it or "
       "workload.attention.generator_preset"},
      {"workload.trace=t.jsonl,workload.context_tokens=none",
       "s.txtpb: workload.attention.context_tokens: is empty, and a request trace has too many "
       "contexts for "
       "a profile each; give a ladder such as [8192,65536,524288]"},
      {"engine.simulated_s=0",
       "--set engine.simulated_s: 0 runs to the end of the workload, and this one has none; give "
       "engine.simulated_s, workload.request_limit or workload.trace"},
  };
  for (const RefusedSet& c : cases) EXPECT_EQ(SetRefusal(c.set), c.message);
  for (const char* set :
       {"engine.simulated_s=0,workload.request_limit=5", "workload.think_s=1",
        "workload.arrivals=gamma,workload.requests_per_s=1,workload.arrival_cv=2",
        "workload.arrivals=poisson,workload.requests_per_s=1e6,workload.request_limit=5",
        "engine.simulated_s=0,workload.trace=t.jsonl",
        "workload.arrivals=poisson,workload.requests_per_s=1,workload.concurrency=0",
        "workload.arrivals=trace,workload.trace=t.jsonl,workload.concurrency=0",
        "workload.attention.generator_preset=,workload.attention.trace=a.tsc",
        "workload.attention.generator_preset=,policy.kind=full",
        "workload.trace=t.jsonl,workload.context_tokens=none,workload.attention.context_tokens="
        "1024"}) {
    EXPECT_EQ(SetRefusal(set), "accepted") << set;
  }
}

std::string WithClasses(const std::string& classes, const std::string& rest = "") {
  return absl::StrCat(
      "model { preset: \"v4_flash\" } hardware { preset: \"h20_141\" } node { preset: "
      "\"node_8gpu\" }\n"
      "workload { concurrency: 2 ",
      rest, "\n", classes, " attention { generator_preset: \"v4_flash\" } }\n");
}

TEST(ValidateTest, Classes) {
  EXPECT_EQ(Refusal(WithClasses("classes { context_tokens: 1 output_tokens: 1 }")), "accepted");
  EXPECT_EQ(Refusal(WithClasses("classes { output_tokens: 1 }")),
            "s.txtpb: workload.classes[0].context_tokens: is not given; give it, or "
            "workload.context_tokens "
            "for all classes");
  EXPECT_EQ(Refusal(WithClasses("classes { context_tokens: 1 }")),
            "s.txtpb: workload.classes[0].output_tokens: is not given; give it, or "
            "workload.output_tokens "
            "for all classes");
  EXPECT_EQ(Refusal(WithClasses("classes { }", "context_tokens: 1 output_tokens: 1")), "accepted");
  EXPECT_EQ(Refusal(WithClasses("classes { context_tokens: 1 output_tokens: 1 weight: 0 }")),
            "s.txtpb:3:46: workload.classes[0].weight: 0 is out of range; give more than 0 and at "
            "most 1000000000");
  EXPECT_EQ(Refusal(WithClasses("classes { context_tokens: 1 output_tokens: 1 }"),
                    {"workload.trace=t.jsonl"}),
            "--set workload.trace: a trace and workload.classes exclude each other; remove one of "
            "them");
}

TEST(ValidateTest, WeightsThatExceedTheHbm) {
  EXPECT_EQ(SetRefusal("engine.tensor_parallel=1"),
            "--set engine.tensor_parallel: model DeepSeek-V4-Flash needs 148.4 GB of weights per "
            "rank at tensor_parallel=1, hardware NVIDIA H20 141GB offers 126.9 GB (141.0 GB x "
            "hbm_usable_fraction 0.9): raise engine.tensor_parallel or choose other hardware");
  EXPECT_EQ(SetRefusal("model.preset=v4_pro,hardware.preset=h100_sxm"),
            "s.txtpb: engine.tensor_parallel: model DeepSeek-V4-Pro needs 122.3 GB of weights per "
            "rank at "
            "tensor_parallel=8, hardware NVIDIA H100 SXM offers 72.0 GB (80.0 GB x "
            "hbm_usable_fraction 0.9): raise engine.tensor_parallel or choose other hardware");
  EXPECT_EQ(SetRefusal("engine.tensor_parallel=2"), "accepted");
}

TEST(ValidateTest, PoolsThatLeaveNoRoom) {
  // 80 GB: 76.0 of weights at TP2 fit, the reserve does not fit beside them.
  EXPECT_EQ(
      SetRefusal("hardware.hbm_bytes=80e9,engine.hbm_usable_fraction=1,"
                 "engine.tensor_parallel=2"),
      "s.txtpb: policy.reserve_entries: 983040 entries are 12.1 GB; with 76.0 GB of weights and "
      "5.3 GB "
      "of fixed pools no request fits the 80.0 GB that the engine may use per rank: lower it, "
      "raise engine.tensor_parallel or choose other hardware");
  EXPECT_EQ(SetRefusal("hardware.hbm_bytes=80e9,engine.hbm_usable_fraction=1,"
                       "engine.tensor_parallel=2,policy.kind=full"),
            "accepted");
}

TEST(ValidateTest, TheReserveHoldsOneRequest) {
  // 96 + 2,048 / 64 + 1 open = 129 pages of 64 entries.
  EXPECT_EQ(SetRefusal("policy.reserve_entries=8256"), "accepted");
  EXPECT_EQ(
      SetRefusal("policy.reserve_entries=8255"),
      "--set policy.reserve_entries: 8255 entries are 128 pages, and one request may hold 129 "
      "(page_kmax, recency, sink and one open); raise it to 8256 or lower policy.page_kmax");
}

TEST(ValidateTest, Engine) {
  const RefusedSet cases[] = {
      {"engine.tensor_parallel=3",
       "--set engine.tensor_parallel: 3 does not divide node.gpus (8); give a divisor of it"},
      {"engine.tensor_parallel=16",
       "--set engine.tensor_parallel: 16 does not divide node.gpus (8); give a divisor of it"},
      {"engine.prefill=disaggregated",
       "s.txtpb: engine.prefill_tokens_per_s: is not given, and disaggregated prefill needs the "
       "rate of one "
       "instance; give it or engine.prefill=NONE"},
      {"engine.graph_batch_sizes=[1,4,4]",
       "--set engine.graph_batch_sizes: 4 does not exceed the size before it; list sizes rising"},
      {"engine.graph_batch_sizes=[1,0]",
       "--set engine.graph_batch_sizes: 0 is out of range; give 1 to 1000000"},
  };
  for (const RefusedSet& c : cases) EXPECT_EQ(SetRefusal(c.set), c.message);
  EXPECT_EQ(SetRefusal("engine.prefill=disaggregated,engine.prefill_tokens_per_s=1e5"), "accepted");
  EXPECT_EQ(SetRefusal("engine.graph_batch_sizes=[1,4,8]"), "accepted");
  EXPECT_EQ(Refusal(SmallScenario("engine { graph_batch_sizes: 4\n graph_batch_sizes: 2 }")),
            "s.txtpb:6:2: engine.graph_batch_sizes[1]: 2 does not exceed the size before it; list "
            "sizes rising");
}

TEST(ValidateTest, Hardware) {
  EXPECT_EQ(SetRefusal("model.target_layers=22"),
            "--set model.target_layers: 22 is more than model.csa_layers (21); give at most that");
  EXPECT_EQ(SetRefusal("hardware.host_link.peak_bytes_per_s=5e10"),
            "hardware/h20_141.txtpb:37:3: hardware.host_link.batched_copy[11]: 51800000000 bytes/s "
            "is more than peak_bytes_per_s (50000000000); lower it or raise the peak");
  const auto curve = [](const std::string& points) {
    return absl::StrCat(
        "model { preset: \"v4_flash\" } node { preset: \"node_8gpu\" }"
        "workload { concurrency: 1 context_tokens: 1024 output_tokens: 1 } policy { kind: FULL }\n"
        "hardware { preset: \"h20_141\" host_link {\n",
        points, " } }");
  };
  const std::string point = "batched_copy { piece_bytes: 4 descriptors: 1 bytes_per_s: 8000 }";
  EXPECT_EQ(Refusal(curve(point)), "accepted");
  EXPECT_EQ(Refusal(curve(point + "\n" + point)),
            "s.txtpb:4:1: hardware.host_link.batched_copy[1]: repeats a piece size and descriptor "
            "count; remove one of the two");
  EXPECT_EQ(Refusal(curve("batched_copy { piece_bytes: 4 descriptors: 1 }\n" + point)),
            "s.txtpb:3:1: hardware.host_link.batched_copy[0]: is incomplete; give piece_bytes, "
            "descriptors and bytes_per_s");
}

// FlashMemory's decode region of 128 x 512 entries and one cell comes out of its reserve.
TEST(ValidateTest, FlashMemoryNeedsPagesToRecallInto) {
  const std::string fm = "policy.kind=flashmemory,policy.reserve_entries=";
  EXPECT_EQ(SetRefusal(fm + "65601"), "accepted");
  EXPECT_EQ(
      SetRefusal(fm + "65600"),
      "--set policy.reserve_entries: 65600 entries, less FlashMemory's decode region of 65537, "
      "are 0 pages to recall into; give at least 65601");
  EXPECT_EQ(
      SetRefusal(fm + "65601,policy.eviction=lru_protected"),
      "--set policy.reserve_entries: 65601 entries, less FlashMemory's decode region of 65537, "
      "are 1 pages to recall into; give at least 71681");
}

TEST(ValidateTest, ARecallPathNeedsItsRates) {
  const struct {
    const char* path;
    const char* rate;
    const char* value;
  } needs[] = {{"STAGED", "node.host_gather_bytes_per_s", "=1000"},
               {"STAGED", "hardware.host_link.pageable_bytes_per_s", "=1000"},
               {"STAGED", "hardware.host_link.copy_submit_us", "=1"},
               {"GATHER_KERNEL", "hardware.host_link.gather_bytes_per_s", "=1000"},
               {"GATHER_KERNEL", "hardware.host_link.gather_unaligned_factor", "=1"}};
  for (const auto& [path, rate, value] : needs) {
    Scenario scenario = ParseScenario(SmallScenario(), "s.txtpb", {}).value();
    scenario.mutable_node()->clear_host_gather_bytes_per_s();
    Link* link = scenario.mutable_hardware()->mutable_host_link();
    link->clear_pageable_bytes_per_s();
    link->clear_copy_submit_us();
    link->clear_gather_bytes_per_s();
    link->clear_gather_unaligned_factor();
    const std::string bare = ScenarioText(scenario);
    EXPECT_EQ(Refusal(bare), "accepted");
    std::vector<std::string> sets = {absl::StrCat("policy.recall_path=", path)};
    for (const auto& other : needs) {
      if (other.rate != rate) sets.push_back(absl::StrCat(other.rate, other.value));
    }
    EXPECT_EQ(Refusal(bare, sets),
              absl::StrCat("s.txtpb: ", rate, ": is not given, and policy.recall_path ", path,
                           " needs it; give it or policy.recall_path=COPY_ENGINE"));
    sets.push_back(absl::StrCat(rate, value));
    EXPECT_EQ(Refusal(bare, sets), "accepted");
  }
}

TEST(ValidateTest, KernelsOrRooflines) {
  EXPECT_EQ(SetRefusal("hardware.step_model.scoring_efficiency=0.6"),
            "--set hardware.step_model.scoring_efficiency: has no effect beside "
            "hardware.step_model.kernels; give one of the two");
  // A card that nobody calibrated, written out.
  Scenario scenario = *ParseScenario(SmallScenario(), "s.txtpb", {});
  scenario.mutable_hardware()->mutable_step_model()->clear_kernels();
  EXPECT_EQ(Refusal(ScenarioText(scenario)),
            "s.txtpb: hardware.step_model.scoring_efficiency: is not given; give it or "
            "hardware.step_model.kernels.preset");
  scenario.mutable_hardware()->mutable_step_model()->set_scoring_efficiency(0.6);
  scenario.mutable_hardware()->mutable_step_model()->set_attention_efficiency(0.8);
  EXPECT_EQ(Refusal(ScenarioText(scenario)), "accepted");
}

TEST(ValidateTest, KernelsAreComplete) {
  EXPECT_EQ(SetRefusal("hardware.step_model.topk_version=V2"), "accepted");
  Scenario scenario = *ParseScenario(SmallScenario(), "s.txtpb", {});
  KernelCalibration* kernels = scenario.mutable_hardware()->mutable_step_model()->mutable_kernels();
  kernels->mutable_attention()->clear_block_us();
  EXPECT_EQ(Refusal(ScenarioText(scenario)),
            "s.txtpb: hardware.step_model.kernels.attention.block_us: is not given; a calibration "
            "names every "
            "number of a kernel");
  kernels->mutable_attention()->set_block_us(1.0);
  kernels->clear_top_k();
  EXPECT_NE(Refusal(ScenarioText(scenario))
                .find("hardware.step_model.topk_version: V1 on FLAT scores is not among "
                      "hardware.step_model.kernels.top_k; choose one that is"),
            std::string::npos);
}

TEST(ValidateTest, KernelsNeedTheShapesOfTheModel) {
  Scenario scenario = *ParseScenario(SmallScenario(), "s.txtpb", {});
  scenario.mutable_model()->clear_hidden_size();
  EXPECT_EQ(Refusal(ScenarioText(scenario)),
            "s.txtpb: model.hidden_size: is not given, and hardware.step_model.kernels times the "
            "products of "
            "a layer; give it (scenarios/models/v4_flash.txtpb shows all shapes)");
  scenario.mutable_model()->set_hidden_size(4096);
  scenario.mutable_model()->set_dense_layers(44);
  scenario.mutable_model()->set_dense_intermediate(1);
  EXPECT_NE(Refusal(ScenarioText(scenario)).find("44 is more than the model's 43 layers"),
            std::string::npos);
}

}  // namespace
}  // namespace tierscope
