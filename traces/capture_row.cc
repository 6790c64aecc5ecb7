#include "traces/capture_row.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace tierscope {

int32_t UsedSlots(std::span<const int32_t> row, int64_t history_entries) {
  size_t used = row.size();
  while (used > 0 && row[used - 1] == -1) --used;
  uint32_t largest = 0;  // -1 and other negative values are the largest
  for (size_t i = 0; i < used; ++i) largest = std::max(largest, static_cast<uint32_t>(row[i]));
  return used == 0 || static_cast<int64_t>(largest) < history_entries ? static_cast<int32_t>(used)
                                                                      : -1;
}

std::string RowProblem(std::span<const int32_t> row, int64_t history_entries) {
  size_t used = row.size();
  while (used > 0 && row[used - 1] == -1) --used;
  for (size_t i = 0; i < used; ++i) {
    if (row[i] == -1) return absl::StrCat("slot ", i, " is -1 in front of used slot ", used - 1);
    if (row[i] < 0) return absl::StrCat("slot ", i, " is ", row[i]);
    if (row[i] >= history_entries) {
      return absl::StrCat("slot ", i, " is entry ", row[i], ", the history holds ",
                          history_entries);
    }
  }
  return "a row that is wrong";
}

}  // namespace tierscope
