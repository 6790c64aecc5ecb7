#include "calibration/kernel_table.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include "calibration/sha256.h"
#include "sim/base/check.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

absl::StatusOr<std::string> ReadBounded(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be read; give a CSV file"));
  }
  if (bytes == 0 || bytes > kTableBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has ", bytes, " bytes; a table has 1 to ", kTableBytesMax));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Shown(absl::string_view cell) { return absl::CHexEscape(cell.substr(0, 40)); }

}  // namespace

absl::StatusOr<KernelTable> KernelTable::Read(const std::string& path,
                                              const std::vector<std::string>& columns) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ReadBounded(path));
  KernelTable table;
  table.path_ = path;
  table.sha256_ = Sha256Hex(text);
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    line = absl::StripTrailingAsciiWhitespace(line);
    if (line.empty()) continue;
    std::vector<std::string> cells = absl::StrSplit(line, ',');
    if (table.columns_.empty()) {
      table.columns_ = std::move(cells);
      continue;
    }
    table.lines_.push_back(line_number);
    table.cells_.push_back(std::move(cells));
    const size_t row = table.rows() - 1;
    if (table.cells_[row].size() != table.columns_.size()) {
      return table.Error(row,
                         absl::StrCat("has ", table.cells_[row].size(), " cells and the header ",
                                      table.columns_.size(), "; repair the row"));
    }
    if (table.rows() > kTableRowsMax) {
      return table.Error(row, absl::StrCat("more than ", kTableRowsMax, " rows; split the table"));
    }
  }
  for (const std::string& column : columns) {
    if (table.HasColumn(column)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        path, ":1: no column '", column, "'; this table needs ", absl::StrJoin(columns, ","),
        ", and has ", Shown(absl::StrJoin(table.columns_, ","))));
  }
  if (table.rows() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ":1: has no rows; give measurements"));
  }
  return table;
}

int KernelTable::ColumnIndex(absl::string_view column) const {
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i] == column) return static_cast<int>(i);
  }
  return -1;
}

const std::string& KernelTable::Text(size_t row, absl::string_view column) const {
  const int index = ColumnIndex(column);
  TIERSCOPE_CHECK(index >= 0);
  return cells_[row][static_cast<size_t>(index)];
}

absl::StatusOr<double> KernelTable::Number(size_t row, absl::string_view column) const {
  const std::string& text = Text(row, column);
  double value = 0.0;
  if (absl::SimpleAtod(text, &value) && std::isfinite(value)) return value;
  return Error(row, absl::StrCat(column, " '", Shown(text), "' is no number; repair the row"));
}

absl::Status KernelTable::Error(size_t row, absl::string_view problem) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ":", lines_[row], ": ", problem));
}

double Cells::Checked(absl::string_view column, bool positive) {
  constexpr double kMax = 1e15;
  const absl::StatusOr<double> value = table_.Number(row_, column);
  absl::Status problem = value.status();
  if (value.ok() && *value <= kMax && (positive ? *value > 0.0 : *value >= 0.0)) return *value;
  if (value.ok()) {
    problem = table_.Error(
        row_, absl::StrCat(column, " ", *value, " is not ", positive ? "more than 0" : "0 or more",
                           " and at most 1e15; repair the row"));
  }
  if (status_.ok()) status_ = problem;
  return 0.0;
}

}  // namespace tierscope
