#include "cli/rows.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace tierscope::cli {
namespace {

std::string JsonString(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      absl::StrAppend(&out, "\\", absl::string_view(&c, 1));
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&out, "\\u", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad4));
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

std::string Padded(const Cell& cell, size_t width) {
  const std::string padding(width - cell.text().size(), ' ');
  return cell.is_number() ? padding + cell.text() : cell.text() + padding;
}

std::vector<size_t> ColumnWidths(const Rows& rows) {
  std::vector<size_t> widths;
  for (size_t column = 0; column < rows.columns.size(); ++column) {
    size_t width = rows.columns[column].size();
    for (const auto& row : rows.cells) width = std::max(width, row[column].text().size());
    widths.push_back(width);
  }
  return widths;
}

void AppendLine(std::vector<std::string> parts, std::string* text) {
  std::string line = absl::StrJoin(parts, "  ");
  line.erase(line.find_last_not_of(' ') + 1);
  absl::StrAppend(text, line, "\n");
}

}  // namespace

absl::StatusOr<OutputFormat> ParseOutputFormat(absl::string_view name) {
  if (name == "table") return OutputFormat::kTable;
  if (name == "csv") return OutputFormat::kCsv;
  if (name == "json") return OutputFormat::kJson;
  return absl::InvalidArgumentError(
      absl::StrCat("--format: unknown format '", name, "'; use table, csv or json"));
}

Cell Cell::Count(int64_t value) { return Cell(Kind::kNumber, absl::StrCat(value)); }

Cell Cell::Number(double value, int decimals) {
  return Cell(Kind::kNumber, absl::StrFormat("%.*f", decimals, value));
}

std::string Cell::json() const {
  switch (kind_) {
    case Kind::kString:
      return JsonString(text_);
    case Kind::kNumber:
      return text_;
    case Kind::kAbsent:
      return "null";
  }
  return "null";
}

std::string Cell::csv() const {
  if (kind_ == Kind::kAbsent) return "";
  if (text_.find_first_of(",\"\n\r") == std::string::npos) return text_;
  return absl::StrCat("\"", absl::StrReplaceAll(text_, {{"\"", "\"\""}}), "\"");
}

std::string TableText(const Rows& rows) {
  const std::vector<size_t> widths = ColumnWidths(rows);
  std::string text;
  std::vector<std::string> parts;
  for (size_t column = 0; column < widths.size(); ++column) {
    const bool is_number = !rows.cells.empty() && rows.cells[0][column].is_number();
    const std::string padding(widths[column] - rows.columns[column].size(), ' ');
    parts.push_back(is_number ? padding + rows.columns[column] : rows.columns[column] + padding);
  }
  AppendLine(std::move(parts), &text);
  for (const auto& row : rows.cells) {
    parts.clear();
    for (size_t column = 0; column < widths.size(); ++column) {
      parts.push_back(Padded(row[column], widths[column]));
    }
    AppendLine(parts, &text);
  }
  return text;
}

std::string CsvText(const Rows& rows) {
  std::string text = absl::StrCat(absl::StrJoin(rows.columns, ","), "\n");
  for (const auto& row : rows.cells) {
    absl::StrAppend(
        &text,
        absl::StrJoin(row, ",",
                      [](std::string* out, const Cell& cell) { absl::StrAppend(out, cell.csv()); }),
        "\n");
  }
  return text;
}

std::string JsonObject(const Rows& rows, size_t row) {
  std::vector<std::string> members;
  for (size_t column = 0; column < rows.columns.size(); ++column) {
    members.push_back(
        absl::StrCat(JsonString(rows.columns[column]), ":", rows.cells[row][column].json()));
  }
  return absl::StrCat("{", absl::StrJoin(members, ","), "}");
}

}  // namespace tierscope::cli
