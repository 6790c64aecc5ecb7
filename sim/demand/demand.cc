#include "sim/demand/demand.h"

#include <algorithm>

namespace tierscope {

int64_t ProfileDemand::SelectionsOfPage(int32_t position, PageIndex page) const {
  const auto p = static_cast<size_t>(position);
  const auto begin = touched_pages.begin() + touched_begin[p];
  const auto end = touched_pages.begin() + touched_begin[p + 1];
  const auto found = std::lower_bound(begin, end, page);
  if (found == end || *found != page) return 0;
  return touched_selections[static_cast<size_t>(found - touched_pages.begin())];
}

bool ProfileDemand::Wants(int32_t position, PageIndex page) const {
  const std::span<const PageIndex> list = WantList(position);
  return std::binary_search(list.begin(), list.end(), page);
}

}  // namespace tierscope
