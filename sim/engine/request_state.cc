#include "sim/engine/request_state.h"

#include <algorithm>
#include <utility>

#include "sim/base/check.h"
#include "sim/base/units.h"
#include "sim/engine/coverage_tally.h"
#include "sim/policy/page_selection.h"

namespace tierscope {

void RequestState::Renew() {
  std::vector<LostPage> memory = std::move(lost);
  memory.clear();
  const int32_t next = generation + 1;
  *this = RequestState();
  generation = next;
  lost = std::move(memory);
}

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

void RequestState::PlaceDecodeRegion(int64_t region_entries) {
  const int64_t tokens_per_entry = demand->tokens_per_page / kPageEntries;
  const int64_t prompt_tokens =
      demand->prompt_tokens + int64_t{start.position} * demand->stride_steps;
  const int64_t first_entry = prompt_tokens / tokens_per_entry;
  decode_page = static_cast<int32_t>(CeilDiv(first_entry, kPageEntries));
  overflow_page = static_cast<int32_t>(CeilDiv(first_entry + region_entries, kPageEntries));
}

std::span<const PageIndex> RequestState::BlockPages(std::span<const PageIndex> list) const {
  if (list.empty() || list.back() < decode_page) return list;
  const auto end = std::lower_bound(list.begin(), list.end(), decode_page);
  return list.first(static_cast<size_t>(end - list.begin()));
}

int64_t RequestState::EntriesOverflowed(int64_t steps, int64_t region_entries) const {
  const int64_t tokens_per_entry = demand->tokens_per_page / kPageEntries;
  const int64_t formed =
      (context_tokens() + steps) / tokens_per_entry - context_tokens() / tokens_per_entry;
  return std::max<int64_t>(0, formed - region_entries);
}

bool RequestState::FormedSinceTick(PageIndex page) const {
  return active_window >= 0 &&
         page >= demand->formed_page[static_cast<size_t>(PositionOf(active_window))];
}

bool RequestState::IsActive(PageIndex page) const {
  return FormedSinceTick(page) ||
         (active_window >= 0 && demand->Wants(PositionOf(active_window), page));
}

void RequestState::KeepLostSinceTick() {
  const PageIndex newest = demand->formed_page[static_cast<size_t>(PositionOf(active_window))];
  const int64_t tick_step = active_window * demand->stride_steps;
  std::erase_if(lost, [&](const LostPage& page) {
    return page.page <= newest || page.from_step <= tick_step || page.overflowed;
  });
}

namespace {

// Steps of sub-window `window` that lie in [begin, end).
int64_t StepsInside(int64_t window, int64_t stride, int64_t begin, int64_t end) {
  return std::min(end, (window + 1) * stride) - std::max(begin, window * stride);
}

}  // namespace

SelectionCount RequestState::SelectionsOfPage(PageIndex page, int64_t begin, int64_t end) const {
  const int64_t stride = demand->stride_steps;
  int64_t count = 0;
  for (int64_t w = begin / stride; w * stride < end; ++w) {
    count += demand->SelectionsOfPage(PositionOf(w), page) * StepsInside(w, stride, begin, end);
  }
  return {count, page < demand->prompt_page_count ? count : 0};
}

// Selections of a lost page that nothing else counts as missed: of the page that was open at the
// tick, those of entries formed since are inactive already.
SelectionCount RequestState::MissesOfLost(const LostPage& lost_page, int64_t begin,
                                          int64_t end) const {
  SelectionCount missed = SelectionsOfPage(lost_page.page, begin, end);
  const int64_t tokens =
      demand->prompt_tokens + PositionOf(active_window) * demand->stride_steps + 1;
  if (lost_page.page != tokens / demand->tokens_per_page) return missed;
  const int32_t position = PositionOf(active_window);
  return missed -
         (demand->Late(position, SinceTick(end)) - demand->Late(position, SinceTick(begin)));
}

// The tables count the whole profile; a request that owns a part of its pages is counted page by
// page.
void RequestState::AccountClipped(int64_t steps, Counters& counters) const {
  const int64_t stride = demand->stride_steps;
  for (int64_t w = accounted_steps / stride; w * stride < steps; ++w) {
    const auto at = static_cast<size_t>(PositionOf(w));
    const int64_t inside = StepsInside(w, stride, accounted_steps, steps);
    for (uint32_t i = demand->touched_begin[at]; i < demand->touched_begin[at + 1]; ++i) {
      const PageIndex page = demand->touched_pages[i];
      if (page < first_page) continue;
      const int64_t count = demand->touched_selections[i] * inside;
      const SelectionCount add{count, page < demand->prompt_page_count ? count : 0};
      counters.selections += add;
      if (!IsActive(page)) counters.inactive += add;
    }
  }
  if (active_window < 0) return;
  const int32_t position = PositionOf(active_window);
  counters.inactive +=
      demand->Late(position, SinceTick(steps)) - demand->Late(position, SinceTick(accounted_steps));
}

// A page can be lost twice between two publishes; it is missed from the first time on.
void RequestState::AccountLost(int64_t steps, Counters& counters, CoverageTally* tally) {
  std::sort(lost.begin(), lost.end(), [](const LostPage& a, const LostPage& b) {
    return a.page != b.page ? a.page < b.page : a.from_step < b.from_step;
  });
  for (size_t i = 0; i < lost.size(); ++i) {
    if (i > 0 && lost[i].page == lost[i - 1].page) continue;
    const int64_t begin = std::max(accounted_steps, lost[i].from_step);
    if (begin >= steps) continue;
    SelectionCount& misses = lost[i].overflowed ? counters.inactive : counters.evicted;
    const SelectionCount missed = MissesOfLost(lost[i], begin, steps);
    misses += missed;
    if (tally != nullptr && first_page == 0) TellLost(lost[i], begin, steps, *tally);
  }
}

void RequestState::TellLost(const LostPage& page, int64_t begin, int64_t end,
                            CoverageTally& tally) const {
  const int64_t stride = demand->stride_steps;
  while (begin < end) {
    const int64_t lag = SinceTick(begin) / stride;
    const int64_t until = std::min(end, begin + (lag + 1) * stride - SinceTick(begin));
    tally.AddLost(*demand, lag, page.page, MissesOfLost(page, begin, until).all);
    begin = until;
  }
}

void RequestState::Account(int64_t steps, Counters& counters, CoverageTally* tally) {
  if (steps <= accounted_steps) return;
  const bool published = active_window >= 0;
  const int32_t position = PositionOf(published ? active_window : 0);
  const int64_t from = SinceTick(accounted_steps);
  const int64_t to = SinceTick(steps);
  TIERSCOPE_CHECK(from >= 0 && to <= int64_t{demand->lag_count} * demand->stride_steps);
  if (first_page > 0) {
    AccountClipped(steps, counters);
  } else {
    const SelectionCount all =
        demand->Selections(position, to) - demand->Selections(position, from);
    counters.selections += all;
    counters.inactive +=
        published ? demand->Inactive(position, to) - demand->Inactive(position, from) : all;
    if (tally != nullptr) tally->AddSteps(*demand, position, published, from, to);
  }
  AccountLost(steps, counters, tally);
  accounted_steps = steps;
}

}  // namespace tierscope
