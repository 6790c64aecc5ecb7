// Aligned columns of text: labels left, cells right, a note after them. At most `kGridColumns`
// wide. One thread. Cost: holds its rows until printed.
#ifndef TIERSCOPE_REPORTS_GRID_H_
#define TIERSCOPE_REPORTS_GRID_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace tierscope {

inline constexpr size_t kGridColumns = 100;

class Grid {
 public:
  explicit Grid(bool color) : color_(color) {}

  // A blank line, then a heading in bold with the columns' own headings beside it.
  void Section(absl::string_view title, std::vector<std::string> column_titles = {});
  // Two columns of indentation a level.
  void Row(int level, absl::string_view label, std::vector<std::string> cells,
           absl::string_view note = "");

  // Every section's columns stand at the same place.
  std::string Text() const;

 private:
  struct Line {
    bool heading;
    std::string label;
    std::vector<std::string> cells;
    std::string note;
  };
  std::string LineText(const Line& line, size_t label_columns,
                       const std::vector<size_t>& cell_columns) const;

  bool color_;
  std::vector<Line> lines_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_GRID_H_
