// The charts of report.html as inline SVG: positions in percent, so that they fit any width without
// a script. Every string is escaped here. Pure functions.
#ifndef TIERSCOPE_REPORTS_HTML_CHART_H_
#define TIERSCOPE_REPORTS_HTML_CHART_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

#include "reports/view.h"

namespace tierscope {

// The pools of `run` stacked from the left against the capacity; what is allocated and not in use
// is pale. `full_bytes` (> 0) is the width of the chart, the same for the bars that are to be
// compared.
std::string StackedBar(const TierView& tier, size_t run, int64_t full_bytes);

// A bar of `share` (clamped to [0, 1]) of the width, hidden from screen readers: its number stands
// beside it.
std::string ShareBar(double share);

// The colour that StackedBar gives the pool at this position of its tier.
std::string Swatch(size_t pool_position);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_HTML_CHART_H_
