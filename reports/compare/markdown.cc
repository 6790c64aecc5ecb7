#include <vector>

#include "absl/strings/str_cat.h"

#include "reports/compare/documents.h"
#include "reports/compare/rows.h"
#include "reports/text.h"

namespace tierscope {
namespace {

constexpr absl::string_view kTableHead =
    "| scenario | metric | verdict | base | new | change | why |\n|---|---|---|--:|--:|--:|---|\n";
constexpr size_t kCellColumnsMax = 300;

// Text in which nothing is markup: no table cell ends, no one is mentioned, no link is made.
std::string Plain(absl::string_view text) {
  std::string out;
  for (const char c : Shortened(OneLine(text), kCellColumnsMax)) {
    switch (c) {
      case '&':
      case '<':
      case '>':
      case '|':
      case '\\':
      case '`':
      case '*':
      case '[':
      case ']':
      case '#':
      case '@':
      case '~':
      case ':':
      case '$':
      case '!':
        absl::StrAppend(&out, "&#", static_cast<int>(c), ";");
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string RowOf(const MetricComparison& comparison) {
  const ComparisonCells cells = CellsOf(comparison);
  const std::string unit = comparison.unit.empty() ? "" : " " + Plain(comparison.unit);
  return absl::StrCat("| ", Plain(comparison.scenario), " | ", Plain(comparison.metric), " | ",
                      comparison.fails ? "**" : "", VerdictName(comparison.verdict),
                      comparison.fails ? "**" : "", " | ", cells.base, " | ", cells.next, unit,
                      " | ", cells.change, " | ", Plain(cells.why), " |\n");
}

// Rows while they fit; `end` is what must still fit behind them.
class Limited {
 public:
  Limited(size_t bytes_max, absl::string_view end) : bytes_max_(bytes_max - end.size()) {}

  // A table of `rows` under `title`, or as much of it as fits; counts what does not.
  void AddTable(absl::string_view title, const std::vector<std::string>& rows) {
    if (rows.empty()) return;
    const std::string head = absl::StrCat("\n", title, "\n\n", kTableHead);
    if (text_.size() + head.size() + rows[0].size() > bytes_max_) {
      left_off_ += rows.size();
      return;
    }
    text_ += head;
    for (const std::string& row : rows) AddLine(row);
  }
  void AddLine(absl::string_view line) {
    if (left_off_ == 0 && text_.size() + line.size() <= bytes_max_) {
      absl::StrAppend(&text_, line);
    } else {
      ++left_off_;
    }
  }
  size_t left_off() const { return left_off_; }
  std::string Take() { return std::move(text_); }

 private:
  size_t bytes_max_;
  std::string text_;
  size_t left_off_ = 0;
};

std::string LeftOff(size_t count) {
  return absl::StrCat("\n", count,
                      " more lines do not fit here; the HTML and JSON reports have "
                      "them.\n");
}

}  // namespace

std::string ComparisonMarkdown(const Comparison& comparison, size_t bytes_max) {
  std::vector<std::string> failing, differing;
  for (const MetricComparison& metric : comparison.metrics) {
    if (metric.fails) {
      failing.push_back(RowOf(metric));
    } else if (!IsDull(metric)) {
      differing.push_back(RowOf(metric));
    }
  }
  Limited out(bytes_max, LeftOff(comparison.metrics.size() + comparison.problems.size() +
                                 comparison.notes.size()));
  out.AddLine(absl::StrCat("### tierscope compare ", Headline(comparison), "\n\n",
                           CountsText(comparison), ". Base ", Plain(comparison.base_version),
                           ", new ", Plain(comparison.next_version), ".\n"));
  if (!comparison.problems.empty()) out.AddLine("\n");
  for (const Problem& problem : comparison.problems) {
    out.AddLine(absl::StrCat("- **fails** ", Plain(problem.scenario),
                             problem.scenario.empty() ? "" : ": ", Plain(problem.what), "\n"));
  }
  out.AddTable("**What fails**", failing);
  out.AddTable("What else differs", differing);
  if (!comparison.notes.empty()) out.AddLine("\n");
  for (const std::string& note : comparison.notes) {
    out.AddLine(absl::StrCat("- ", Plain(note), "\n"));
  }
  const size_t left_off = out.left_off();
  return out.Take() + (left_off > 0 ? LeftOff(left_off) : "");
}

}  // namespace tierscope
