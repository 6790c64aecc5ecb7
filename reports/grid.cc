#include "reports/grid.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "reports/text.h"

namespace tierscope {
namespace {

constexpr size_t kLabelColumnsMax = 36;
constexpr size_t kCellColumnsMax = 16;
constexpr absl::string_view kBold = "\x1b[1m";
constexpr absl::string_view kPlain = "\x1b[0m";

std::string Spaces(size_t columns, absl::string_view text) {
  const size_t used = ColumnsOf(text);
  return std::string(columns > used ? columns - used : 0, ' ');
}

}  // namespace

void Grid::Section(absl::string_view title, std::vector<std::string> column_titles) {
  lines_.push_back({true, std::string(title), std::move(column_titles), ""});
}

void Grid::Row(int level, absl::string_view label, std::vector<std::string> cells,
               absl::string_view note) {
  const std::string indented =
      absl::StrCat(std::string(static_cast<size_t>(level) * 2, ' '), label);
  lines_.push_back({false, indented, std::move(cells), std::string(note)});
}

std::string Grid::Text() const {
  size_t label_columns = 0;
  std::vector<size_t> cell_columns;
  for (const Line& line : lines_) {
    label_columns = std::max(label_columns, std::min(ColumnsOf(line.label), kLabelColumnsMax));
    if (cell_columns.size() < line.cells.size()) cell_columns.resize(line.cells.size());
    for (size_t i = 0; i < line.cells.size(); ++i) {
      cell_columns[i] =
          std::max(cell_columns[i], std::min(ColumnsOf(line.cells[i]), kCellColumnsMax));
    }
  }
  std::string out;
  for (const Line& line : lines_) {
    absl::StrAppend(&out, LineText(line, label_columns, cell_columns));
  }
  return out;
}

std::string Grid::LineText(const Line& line, size_t label_columns,
                           const std::vector<size_t>& cell_columns) const {
  const std::string label = Shortened(line.label, label_columns);
  std::string text = absl::StrCat(label, Spaces(label_columns, label));
  for (size_t i = 0; i < line.cells.size(); ++i) {
    const std::string cell = Shortened(line.cells[i], cell_columns[i]);
    absl::StrAppend(&text, "  ", Spaces(cell_columns[i], cell), cell);
  }
  if (!line.note.empty()) absl::StrAppend(&text, "  ", line.note);
  const std::string whole = Shortened(absl::StripTrailingAsciiWhitespace(text), kGridColumns);
  if (!line.heading) return absl::StrCat(whole, "\n");
  return color_ ? absl::StrCat("\n", kBold, whole, kPlain, "\n") : absl::StrCat("\n", whole, "\n");
}

}  // namespace tierscope
