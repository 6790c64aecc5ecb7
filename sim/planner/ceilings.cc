#include "sim/planner/ceilings.h"

#include <algorithm>
#include <limits>

#include "sim/base/units.h"

namespace tierscope {

std::vector<Ceiling> AdmissionCeilings(const Scenario& scenario, const MemoryPlan& plan,
                                       int64_t tokens) {
  std::vector<Ceiling> ceilings = {{"HBM", plan.tokens_max / tokens}};
  if (plan.tiered) {
    const int64_t pages = CeilDiv(tokens, plan.page_tokens);
    ceilings.push_back({"host DRAM", plan.host_pages_max / pages});
    if (plan.protects_live) {
      ceilings.push_back({"page reserve", plan.reserve_blocks / plan.live_pages_max});
    }
  }
  const auto& graphs = scenario.engine().graph_batch_sizes();
  if (!graphs.empty()) {
    ceilings.push_back({"CUDA graph batch", *std::max_element(graphs.begin(), graphs.end())});
  }
  return ceilings;
}

int64_t WholeHostCeiling(const Scenario& scenario, const MemoryPlan& plan, int64_t tokens) {
  if (!plan.tiered) return std::numeric_limits<int64_t>::max();
  const int64_t pages = scenario.node().host_bytes() / plan.host_page_bytes_node;
  return pages / CeilDiv(tokens, plan.page_tokens);
}

}  // namespace tierscope
