#include "tests/testing/toy.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"

#include "sim/base/check.h"
#include "sim/engine/simulate.h"

namespace tierscope::testing {
namespace {

constexpr char kToy[] = R"(
  seed: 1
  model {
    csa_layers: 1 hca_layers: 0 csa_tokens_per_entry: 4 hca_tokens_per_entry: 128 page_entries: 64
    kv_entry_bytes: 15625 index_key_bytes: 1 target_layers: 1 top_k: 1 window_tokens: 0
    query_heads: 1 head_dim: 1 index_heads: 1 index_head_dim: 1
    memory_index_heads: 1 memory_index_head_dim: 1
    weight_bytes_sharded: 0 weight_bytes_replicated: 0 gflop_per_token_constant: 1
    fixed_hbm_bytes: 0 full_kv_budget_bytes_per_token: 1000
  }
  hardware {
    gpu: "toy" hbm_bytes: 1000000000000 hbm_bytes_per_s: 1000000000000000000
    fp8_flop_per_s: 1e30 bf16_flop_per_s: 1e30
    host_link { peak_bytes_per_s: 1000000000 device_to_host_bytes_per_s: 1000000000 }
    step_model {
      base_ms: 10 per_request_ms: 0 scoring_efficiency: 1 attention_efficiency: 1
      memory_efficiency: 1 level1_launch_ms: 1
    }
  }
  node {
    gpus: 1 sockets: 1 gpus_per_switch: 1 switch_bytes_per_s: 1000000000000
    host_bytes: 1000000000000 dram_bytes_per_s_per_socket: 2000000000
    network_bytes_per_s_per_gpu: 1000000000
  }
  workload { concurrency: 1 ramp_start: false }
  policy { recency_entries: 0 page_kmax: 4 reserve_entries: 6400 phase: OWN_STEPS }
  engine { tensor_parallel: 1 hbm_usable_fraction: 1 level1_interference: 0 recall_interference: 0
    warmup_windows: 0 }
)";

std::string Ms(SimTime t) { return absl::StrFormat("%g", ToMilliseconds(t)); }
std::string Ms(SimDuration d) { return absl::StrFormat("%g", ToMilliseconds(d)); }

}  // namespace

Scenario ToyScenario(const std::string& more) {
  Scenario scenario;
  TIERSCOPE_CHECK(google::protobuf::TextFormat::ParseFromString(kToy, &scenario));
  TIERSCOPE_CHECK(google::protobuf::TextFormat::MergeFromString(more, &scenario));
  return scenario;
}

WindowDemand ToyDemand(const Scenario& scenario, int32_t prompt_pages, int32_t stride,
                       const std::vector<ToyWindow>& windows) {
  ProfileHeader header;
  header.set_prompt_tokens(prompt_pages * 256);
  header.set_step_count(static_cast<int32_t>(windows.size()) * stride);
  header.set_tick_stride_steps(stride);
  header.set_tokens_per_entry(4);
  header.set_csa_layer_count(1);
  header.set_selections(SELECTIONS_FULL_HISTORY);
  ProfileDistiller distiller(DemandSpecOf(scenario));
  TIERSCOPE_CHECK(distiller.Begin(header, 0).ok());
  for (size_t w = 0; w < windows.size(); ++w) {
    std::vector<uint32_t> entries;
    for (PageIndex page : windows[w].scored_pages) entries.push_back(page * 64u);
    const std::vector<uint8_t> codes(entries.size(), 255);
    distiller.Tick(static_cast<int32_t>(w) * stride, -1, entries, codes);
    for (int32_t step = 1; step <= stride; ++step) {
      for (const auto& [page, count] : windows[w].selections) {
        std::vector<uint32_t> selected;
        for (int i = 0; i < count; ++i) selected.push_back(page * 64u + static_cast<uint32_t>(i));
        distiller.Select(static_cast<int32_t>(w) * stride + step, selected, {});
      }
    }
  }
  WindowDemand demand;
  demand.profiles.push_back(distiller.Finish());
  return demand;
}

std::string Diary::text() const { return absl::StrJoin(lines_, "\n"); }

void Diary::WarmupEnded(SimTime now) {
  if (now > SimTime{}) lines_.push_back(absl::StrCat(Ms(now), " warm-up ended"));
}

void Diary::Step(SimTime begin, SimDuration length, SimDuration interference, int64_t requests) {
  lines_.push_back(absl::StrCat(Ms(begin), " step of ", requests, " for ", Ms(length)));
  if (interference.ns > 0)
    absl::StrAppend(&lines_.back(), " (interference ", Ms(interference), ")");
}

void Diary::Wait(SimTime begin, SimTime end, const char* cause) {
  lines_.push_back(absl::StrCat(Ms(begin), " waited for ", cause, " until ", Ms(end)));
}

void Diary::Level1(int64_t, SimTime begin, SimTime scored, int64_t requests) {
  lines_.push_back(absl::StrCat(Ms(begin), " scored ", requests, " until ", Ms(scored)));
}

void Diary::Recall(int64_t, SimTime begin, SimTime end, int64_t pages) {
  lines_.push_back(absl::StrCat(Ms(begin), " recalled ", pages, " until ", Ms(end)));
}

void Diary::Publish(int64_t, SimTime now) { lines_.push_back(absl::StrCat(Ms(now), " published")); }

ToyRun RunToy(const Scenario& scenario, const WindowDemand* demand, const RequestTrace* trace,
              const ReplicaOptions& options) {
  const absl::StatusOr<MemoryPlan> plan = MakeMemoryPlan(scenario);
  TIERSCOPE_CHECK(plan.ok());
  Diary diary;
  Fleet fleet(scenario, *plan, demand, trace, &diary, options);
  ToyRun run;
  run.outcome = fleet.Run();
  run.diary = diary.text();
  return run;
}

}  // namespace tierscope::testing
