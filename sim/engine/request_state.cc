#include "sim/engine/request_state.h"

#include <algorithm>

#include "sim/base/check.h"

namespace tierscope {

PageIndex RequestState::OpenPageAfter(int64_t step) const {
  const int64_t profile_step =
      (int64_t{start.position} * demand->stride_steps + step) % demand->step_count();
  const int64_t page = (demand->prompt_tokens + profile_step) / demand->tokens_per_page;
  return static_cast<PageIndex>(std::min<int64_t>(page, demand->page_count - 1));
}

int64_t RequestState::StepsToNextPage(int64_t step) const {
  const int64_t tokens =
      demand->prompt_tokens +
      (int64_t{start.position} * demand->stride_steps + step) % demand->step_count();
  return demand->tokens_per_page - tokens % demand->tokens_per_page;
}

void RequestState::Account(int64_t window, Counters& counters) {
  if (active_window < 0 || window <= accounted_window) return;
  const int32_t position = PositionOf(active_window);
  const auto from = static_cast<int32_t>(accounted_window - active_window);
  const auto to = static_cast<int32_t>(window - active_window);
  TIERSCOPE_CHECK(from >= 0 && to <= demand->lag_count);
  counters.selections += demand->Selections(position, to) - demand->Selections(position, from);
  counters.inactive += demand->Inactive(position, to) - demand->Inactive(position, from);
  for (const LostPage& page : lost) {
    for (int64_t w = std::max(accounted_window, page.from_window); w < window; ++w) {
      const int64_t missed = demand->SelectionsOfPage(PositionOf(w), page.page);
      counters.evicted +=
          SelectionCount{missed, page.page < demand->prompt_page_count ? missed : 0};
    }
  }
  accounted_window = window;
}

}  // namespace tierscope
