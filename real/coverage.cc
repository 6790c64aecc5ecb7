#include "real/coverage.h"

#include <algorithm>

namespace tierscope {
namespace {

bool Contains(const std::vector<PageIndex>& pages, PageIndex page) {
  return std::binary_search(pages.begin(), pages.end(), page);
}

void CountStep(const ProfileDemand& profile, int64_t step, const ActiveSet& set,
               MissCounts* counts) {
  const auto window = static_cast<size_t>((step - 1) / profile.stride_steps);
  for (uint32_t i = profile.touched_begin[window]; i < profile.touched_begin[window + 1]; ++i) {
    const PageIndex page = profile.touched_pages[i];
    const int64_t count = profile.touched_selections[i];
    const SelectionCount add{count, page < profile.prompt_page_count ? count : 0};
    counts->selections += add;
    if (!Contains(set.pages, page)) {
      counts->inactive += add;
    } else if (Contains(set.lost, page)) {
      counts->evicted += add;
    }
  }
}

}  // namespace

MissCounts CountMisses(const ExecutionPlan& plan, const PassRecord& pass,
                       const WindowDemand& demand, int64_t first_batch_step) {
  MissCounts counts;
  const ActiveSet nothing;
  for (size_t r = 0; r < plan.requests.size(); ++r) {
    const RequestPlan& request = plan.requests[r];
    const ProfileDemand& profile = demand.profiles[static_cast<size_t>(request.profile)];
    const std::vector<ActiveSet>& sets = pass.requests[r].sets;
    size_t next = 0;
    for (int64_t step = 1; step < request.output_tokens; ++step) {
      while (next < sets.size() && sets[next].from_step <= step) ++next;
      if (step + pass.requests[r].step_offset < first_batch_step) continue;
      CountStep(profile, step, next == 0 ? nothing : sets[next - 1], &counts);
    }
  }
  return counts;
}

}  // namespace tierscope
