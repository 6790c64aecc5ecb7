// Rows of named cells, printed as an aligned table, CSV or JSON: what verbs without a run folder
// show. Pure functions of their arguments, one thread.
#ifndef TIERSCOPE_CLI_ROWS_H_
#define TIERSCOPE_CLI_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tierscope::cli {

enum class OutputFormat { kTable, kCsv, kJson };

// "table", "csv" or "json". Error: anything else.
absl::StatusOr<OutputFormat> ParseOutputFormat(absl::string_view name);

// A value as text; in JSON numbers stand bare, strings quoted, an absent value is null (elsewhere
// "-").
class Cell {
 public:
  static Cell String(absl::string_view text) { return Cell(Kind::kString, std::string(text)); }
  static Cell Count(int64_t value);
  static Cell Number(double value, int decimals);
  static Cell Absent() { return Cell(Kind::kAbsent, "-"); }

  bool is_number() const { return kind_ == Kind::kNumber; }
  const std::string& text() const { return text_; }
  std::string json() const;
  std::string csv() const;

 private:
  enum class Kind { kString, kNumber, kAbsent };
  Cell(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}

  Kind kind_;
  std::string text_;
};

struct Rows {
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> cells;  // [row][column]
};

// Numbers right-aligned, the rest left, two spaces between columns; a heading line.
std::string TableText(const Rows& rows);
// RFC 4180 with LF.
std::string CsvText(const Rows& rows);
// `{"column":cell,...}` of one row.
std::string JsonObject(const Rows& rows, size_t row);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_ROWS_H_
