#include "sim/engine/request_state.h"

#include <algorithm>

#include "sim/base/check.h"
#include "sim/base/units.h"

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

void RequestState::ClipToOwnHistory() {
  const int64_t own = CeilDiv(context_tokens(), demand->tokens_per_page);
  first_page = static_cast<PageIndex>(std::max<int64_t>(0, demand->prompt_page_count - own));
}

std::span<const PageIndex> RequestState::WantList(int64_t window) const {
  const std::span<const PageIndex> list = demand->WantList(PositionOf(window));
  if (first_page == 0) return list;
  const auto own = std::lower_bound(list.begin(), list.end(), first_page);
  return list.subspan(static_cast<size_t>(own - list.begin()));
}

bool RequestState::IsActive(PageIndex page) const {
  if (active_window < 0) return false;
  const int32_t position = PositionOf(active_window);
  return page >= demand->formed_page[static_cast<size_t>(position)] ||
         demand->Wants(position, page);
}

// The tables count the whole profile; a request that owns a part of its pages is counted page by
// page.
void RequestState::AccountClipped(int64_t window, Counters& counters) const {
  for (int64_t w = accounted_window; w < window; ++w) {
    const auto at = static_cast<size_t>(PositionOf(w));
    for (uint32_t i = demand->touched_begin[at]; i < demand->touched_begin[at + 1]; ++i) {
      const PageIndex page = demand->touched_pages[i];
      if (page < first_page) continue;
      const int64_t count = demand->touched_selections[i];
      const SelectionCount add{count, page < demand->prompt_page_count ? count : 0};
      counters.selections += add;
      if (!IsActive(page)) counters.inactive += add;
    }
  }
}

void RequestState::Account(int64_t window, Counters& counters) {
  if (active_window < 0 || window <= accounted_window) return;
  const int32_t position = PositionOf(active_window);
  const auto from = static_cast<int32_t>(accounted_window - active_window);
  const auto to = static_cast<int32_t>(window - active_window);
  TIERSCOPE_CHECK(from >= 0 && to <= demand->lag_count);
  if (first_page > 0) {
    AccountClipped(window, counters);
  } else {
    counters.selections += demand->Selections(position, to) - demand->Selections(position, from);
    counters.inactive += demand->Inactive(position, to) - demand->Inactive(position, from);
  }
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
