#include "sim/planner/ceilings.h"

#include <algorithm>
#include <limits>

namespace tierscope {
namespace {

// Requests that the reserve admits (Replica::BlocksFit). Unprotected, each pins the page it fills
// and one want list must find its victims; in a decode region nothing is pinned.
int64_t ReserveRequests(const MemoryPlan& plan, int64_t live_pages) {
  return plan.protects_live ? plan.reserve_blocks / live_pages
                            : plan.reserve_blocks - plan.live_pages_max;
}

// Requests of so many tokens that HBM admits (Replica::HbmFits).
int64_t HbmRequests(const MemoryPlan& plan, int64_t tokens) {
  const int64_t by_tokens = plan.tokens_max / tokens;
  int64_t low = 0, high = by_tokens;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    const bool fits = plan.PromisedBytes(middle, middle * tokens) <= plan.hbm_left_bytes;
    (fits ? low : high) = fits ? middle : middle - 1;
  }
  return low;
}

}  // namespace

std::vector<Ceiling> AdmissionCeilings(const Scenario& scenario, const MemoryPlan& plan,
                                       int64_t context_tokens, int64_t output_tokens,
                                       int64_t grown_pages_max) {
  const int64_t output = plan.OutputTokens(output_tokens);
  std::vector<Ceiling> ceilings = {
      {"HBM", HbmRequests(plan, context_tokens + output), Bottleneck::kHbm}};
  if (plan.has_cold_pool) {
    ceilings.push_back({"host DRAM", plan.host_pages_max / plan.HostPages(context_tokens, output),
                        Bottleneck::kHost});
  }
  if (plan.has_reserve) {
    if (plan.protects_live || plan.decode_region_entries == 0) {
      const int64_t live_pages = plan.LivePages(context_tokens, grown_pages_max);
      ceilings.push_back({"page reserve", ReserveRequests(plan, live_pages), Bottleneck::kReserve});
    }
    if (plan.request_slots > 0) {
      ceilings.push_back({"request slots", plan.request_slots, Bottleneck::kRequestSlots});
    }
  }
  for (Ceiling& ceiling : ceilings) ceiling.load *= plan.groups;
  for (Ceiling& graph : GraphCeilings(scenario)) ceilings.push_back(std::move(graph));
  return ceilings;
}

std::vector<Ceiling> GraphCeilings(const Scenario& scenario) {
  const auto& graphs = scenario.engine().graph_batch_sizes();
  if (graphs.empty()) return {};
  const Engine& engine = scenario.engine();
  const int64_t groups = int64_t{engine.replicas()} * engine.dp_attention();
  return {{"CUDA graph batch", groups * *std::max_element(graphs.begin(), graphs.end()),
           Bottleneck::kGraphBatch}};
}

int64_t WholeHostCeiling(const Scenario& scenario, const MemoryPlan& plan, int64_t context_tokens,
                         int64_t output_tokens) {
  if (!plan.has_cold_pool) return std::numeric_limits<int64_t>::max();
  const int64_t bytes = scenario.node().host_bytes() / plan.groups_of_node;
  const int64_t pages = bytes / plan.host_page_bytes_node;
  return plan.groups * (pages / plan.HostPages(context_tokens, plan.OutputTokens(output_tokens)));
}

}  // namespace tierscope
