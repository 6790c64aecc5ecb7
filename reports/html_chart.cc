#include "reports/html_chart.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"

#include "reports/format.h"
#include "reports/html_style.h"
#include "reports/text.h"

namespace tierscope {
namespace {

constexpr double kLabelColumnsOfWidth =
    125;  // characters that fit into the whole bar, for short labels
constexpr double kLabelPadding = 2;

// A share of the width, e.g. "12.345%".
std::string Width(double share) {
  char buffer[40];
  const std::to_chars_result end =
      std::to_chars(buffer, buffer + sizeof(buffer), std::clamp(share, 0.0, 1.0) * 100,
                    std::chars_format::fixed, 3);
  return absl::StrCat(absl::string_view(buffer, static_cast<size_t>(end.ptr - buffer)), "%");
}

std::string ColorClass(size_t pool_position) {
  return absl::StrCat("c", std::min<size_t>(pool_position, kPoolColorCount - 1));
}

// Only the first colour is dark enough for white text.
absl::string_view LabelClass(size_t pool_position) {
  return pool_position == 0 ? " class=\"on-dark\"" : "";
}

std::string Rect(double from, double width, absl::string_view classes) {
  return absl::StrCat("<rect class=\"", classes, "\" x=\"", Width(from), "\" width=\"",
                      Width(width), "\" height=\"100%\"/>");
}

// One pool: in use, the pale rest, its name where it fits; an inner svg cuts what would stick out.
std::string Segment(const PoolRow& pool, size_t position, size_t run, double from, double width) {
  const int64_t allocated = pool.allocated_bytes[run].value_or(0);
  const int64_t in_use = std::clamp<int64_t>(pool.in_use_bytes[run].value_or(0), 0, allocated);
  const double used = static_cast<double>(in_use) / static_cast<double>(allocated);
  const std::string name = OneLine(pool.pool);
  std::string out =
      absl::StrCat("<svg x=\"", Width(from), "\" width=\"", Width(width),
                   "\" height=\"100%\"><title>", HtmlEscaped(name), ": ", FormatGib(allocated),
                   ", in use ", FormatGib(in_use), "</title>", Rect(0, used, ColorClass(position)),
                   Rect(used, 1 - used, absl::StrCat(ColorClass(position), " spare")));
  if (static_cast<double>(ColumnsOf(name)) + kLabelPadding <= width * kLabelColumnsOfWidth) {
    absl::StrAppend(&out, "<text x=\"8\" y=\"23\"", LabelClass(position), ">", HtmlEscaped(name),
                    "</text>");
  }
  return absl::StrCat(out, "</svg>");
}

std::string BarLabel(const TierView& tier, size_t run) {
  std::string out = absl::StrCat(tier.title, ": ", FormatGib(tier.allocated_bytes[run]));
  if (tier.capacity_bytes[run] > 0) {
    absl::StrAppend(&out, " of ", FormatGib(tier.capacity_bytes[run]));
  }
  for (const PoolRow& pool : tier.pools) {
    if (pool.allocated_bytes[run]) {
      absl::StrAppend(&out, "; ", OneLine(pool.pool), " ", FormatGib(*pool.allocated_bytes[run]));
    }
  }
  return HtmlEscaped(out);
}

}  // namespace

std::string StackedBar(const TierView& tier, size_t run, int64_t full_bytes) {
  const double full = static_cast<double>(full_bytes);
  const int64_t capacity = tier.capacity_bytes[run];
  std::string out =
      absl::StrCat("<svg class=\"bar\" role=\"img\" aria-label=\"", BarLabel(tier, run), "\">");
  absl::StrAppend(&out, Rect(0, static_cast<double>(capacity) / full, "track"));
  double from = 0;
  for (size_t i = 0; i < tier.pools.size(); ++i) {
    const int64_t bytes = tier.pools[i].allocated_bytes[run].value_or(0);
    if (bytes <= 0) continue;
    const double width = static_cast<double>(bytes) / full;
    absl::StrAppend(&out, Segment(tier.pools[i], i, run, from, width));
    from += width;
  }
  if (capacity > 0 && capacity < full_bytes) {
    const std::string at = Width(static_cast<double>(capacity) / full);
    absl::StrAppend(&out, "<line class=\"limit\" x1=\"", at, "\" x2=\"", at,
                    "\" y1=\"0\" y2=\"100%\"/>");
  }
  return absl::StrCat(out, "</svg>\n");
}

std::string ShareBar(double share) {
  return absl::StrCat("<svg class=\"small\" aria-hidden=\"true\">", Rect(0, 1, "track"),
                      Rect(0, share, "value"), "</svg>");
}

std::string Swatch(size_t pool_position) {
  return absl::StrCat("<svg class=\"swatch\" aria-hidden=\"true\"><rect class=\"",
                      ColorClass(pool_position), "\" width=\"100%\" height=\"100%\"/></svg>");
}

}  // namespace tierscope
