// What the real mode is going to execute: the requests of a scenario, the sizes of everything, and
// the refusal of what it does not execute. Plain data, made once; nothing is allocated.
#ifndef TIERSCOPE_REAL_EXECUTION_PLAN_H_
#define TIERSCOPE_REAL_EXECUTION_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "real/backend.h"
#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"
#include "sim/engine/memory_plan.h"

namespace tierscope {

enum class RealMode {
  kLive,    // synthetic content, the kernels decide
  kReplay,  // want lists of a trace are forced on kernels that run at true sizes
};

// A request: its lengths, the recorded or synthetic profile that it follows from its first step on,
// and where its pages lie in the pools (index keys and cold pool alike; HCA entries).
struct RequestPlan {
  int64_t context_tokens = 0;
  int64_t output_tokens = 0;
  int32_t profile = 0;
  int32_t page_begin = 0;
  int32_t page_count = 0;  // of the history at its end, the page that is open then included
  int32_t hca_page_begin = 0;
  int32_t hca_page_count = 0;
  int64_t promised_blocks = 0;  // of the reserve, from admission to its end
};

struct ExecutionPlan {
  Scenario scenario;  // resolved
  RealMode mode = RealMode::kLive;
  MemoryPlan memory;
  std::vector<RequestPlan> requests;  // in order of admission
  // Of each profile. Live, profile p is made with the lengths of request p.
  std::vector<int64_t> profile_prompt_tokens;

  int32_t csa_layers = 0;
  int32_t hca_layers = 0;
  int32_t swa_layers = 0;
  int32_t tokens_per_entry = 0;
  int32_t tokens_per_hca_entry = 0;
  int32_t top_k = 0;
  int32_t window_tokens = 0;
  int32_t tau_steps = 0;
  int32_t stride_steps = 0;  // of ticks, recorded or replayed
  int32_t code_cutoff = 0;   // an entry is wanted from this score code on
  int32_t page_kmax = 0;
  int64_t step_count = 0;    // of the longest profile: steps 0 .. step_count have content
  int64_t warmup_steps = 0;  // batch steps that no metric counts

  int32_t page_total = 0;  // of index keys of a layer, and of the cold pool
  int32_t hca_page_total = 0;
  int32_t window_pages = 0;       // of one request and layer
  int32_t history_pages_max = 0;  // of one request, a multiple of 16
  int32_t active_pages_max = 0;   // of one request, a multiple of 16
  int32_t reserve_blocks = 0;
  int64_t page_bytes = 0;  // of all CSA layers

  int32_t profile_count() const { return static_cast<int32_t>(profile_prompt_tokens.size()); }
  int32_t request_count() const { return static_cast<int32_t>(requests.size()); }
  // Entries that exist for step `own_step`, the one of its own token included.
  int64_t EntriesAt(const RequestPlan& request, int64_t own_step) const {
    return (request.context_tokens + own_step + 1) / tokens_per_entry;
  }
  int64_t HcaEntriesAt(const RequestPlan& request, int64_t own_step) const {
    return (request.context_tokens + own_step + 1) / tokens_per_hca_entry;
  }
};

// Error: "field: value: the real mode does not ..., set ...". `demand`: of the trace under
// kReplay, else null. The scenario is resolved and valid.
absl::StatusOr<ExecutionPlan> PlanExecution(const Scenario& scenario, RealMode mode,
                                            const WindowDemand* demand);

// Bytes of everything that a run allocates, to a few percent, so that a run that would not fit is
// refused before it begins.
struct MemoryNeeded {
  int64_t device_bytes = 0;
  int64_t cold_pool_bytes = 0;  // pinned, where the backend pins
  int64_t host_bytes = 0;       // beside it
  int64_t total() const { return device_bytes + cold_pool_bytes + host_bytes; }
};
MemoryNeeded CountMemory(const ExecutionPlan& plan, double weight_bytes_each);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_EXECUTION_PLAN_H_
