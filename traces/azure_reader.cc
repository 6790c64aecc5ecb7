#include "traces/azure_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "sim/base/status_macros.h"
#include "traces/request_trace_builder.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr absl::string_view kHeader = "TIMESTAMP,ContextTokens,GeneratedTokens";
constexpr absl::string_view kTimestampPattern = "dddd-dd-dd dd:dd:dd.ddddddd";
constexpr int kYearMin = 1970;
constexpr int kYearMax = 2199;

// Digits only, at most 18 of them.
std::optional<int64_t> ParseDigits(absl::string_view text) {
  if (text.empty() || text.size() > 18) return std::nullopt;
  int64_t value = 0;
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

bool IsLeapYear(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int64_t DaysInMonth(int64_t year, int64_t month) {
  constexpr std::array<int64_t, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return kDays[static_cast<size_t>(month - 1)] + (month == 2 && IsLeapYear(year) ? 1 : 0);
}

// Days from 1970-01-01; nothing when there is no such day.
std::optional<int64_t> DayNumber(int64_t year, int64_t month, int64_t day) {
  if (year < kYearMin || year > kYearMax || month < 1 || month > 12) return std::nullopt;
  if (day < 1 || day > DaysInMonth(year, month)) return std::nullopt;
  int64_t days = day - 1;
  for (int64_t y = kYearMin; y < year; ++y) days += IsLeapYear(y) ? 366 : 365;
  for (int64_t m = 1; m < month; ++m) days += DaysInMonth(year, m);
  return days;
}

bool MatchesPattern(absl::string_view text) {
  if (text.size() != kTimestampPattern.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_digit = absl::ascii_isdigit(static_cast<unsigned char>(text[i]));
    if (kTimestampPattern[i] == 'd' ? !is_digit : text[i] != kTimestampPattern[i]) return false;
  }
  return true;
}

// Nanoseconds from 1970-01-01 00:00.
std::optional<int64_t> ParseTimestampNs(absl::string_view text) {
  if (!MatchesPattern(text)) return std::nullopt;
  const auto number = [text](size_t begin, size_t size) {
    return *ParseDigits(text.substr(begin, size));
  };
  const std::optional<int64_t> day = DayNumber(number(0, 4), number(5, 2), number(8, 2));
  const int64_t hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (!day || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const int64_t seconds = ((*day * 24 + hour) * 60 + minute) * 60 + second;
  return seconds * 1'000'000'000 + number(20, 7) * 100;
}

absl::Status ParseTokens(absl::string_view text, absl::string_view column, int64_t* tokens) {
  const std::optional<int64_t> value = ParseDigits(text);
  if (!value || *value > kRequestTokensMax) {
    return absl::InvalidArgumentError(absl::StrCat(column, " is not a whole number from 0 to ",
                                                   kRequestTokensMax,
                                                   "; correct the row or fetch the trace again"));
  }
  *tokens = *value;
  return absl::OkStatus();
}

absl::Status ParseRow(absl::string_view line, TraceRequest* request) {
  const std::vector<absl::string_view> cells = absl::StrSplit(line, ',');
  if (cells.size() != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("the row has ", cells.size(), " columns of 3; fetch the trace again"));
  }
  const std::optional<int64_t> ns = ParseTimestampNs(cells[0]);
  if (!ns) {
    return absl::InvalidArgumentError(
        "TIMESTAMP is not 'YYYY-MM-DD hh:mm:ss.fffffff' with 7 decimals; convert it to that form");
  }
  request->arrival.ns = *ns;
  TIERSCOPE_RETURN_IF_ERROR(ParseTokens(cells[1], "ContextTokens", &request->input_tokens));
  return ParseTokens(cells[2], "GeneratedTokens", &request->output_tokens);
}

// The rows with absolute arrivals, in file order.
absl::StatusOr<std::vector<TraceRequest>> ReadRows(const std::string& path,
                                                   absl::string_view text) {
  absl::string_view line;
  if (!NextLine(&text, &line) || line != kHeader) {
    return BadInput(PlaceOfLine(path, 1), absl::StrCat("the header is not '", kHeader, "'"),
                    "give a CSV file of the Azure 2023 trace");
  }
  std::vector<TraceRequest> rows;
  for (int64_t number = 2; NextLine(&text, &line); ++number) {
    if (line.empty()) continue;
    const absl::Status status = ParseRow(line, &rows.emplace_back());
    if (!status.ok()) return At(PlaceOfLine(path, number), status);
  }
  return rows;
}

absl::StatusOr<RequestTrace> BuildTrace(const std::vector<TraceRequest>& rows,
                                        RequestTraceBuilder* builder) {
  int64_t first_ns = kSimTimeNever.ns;
  for (const TraceRequest& row : rows) first_ns = std::min(first_ns, row.arrival.ns);
  for (TraceRequest row : rows) {
    row.arrival.ns -= first_ns;
    TIERSCOPE_RETURN_IF_ERROR(builder->Add(row, {}));
  }
  return builder->Finish(/*conversation_count=*/0);
}

}  // namespace

absl::StatusOr<RequestTrace> ReadAzureTrace(const std::string& path,
                                            const RequestTraceOptions& options) {
  SourceFile file;
  TIERSCOPE_RETURN_IF_ERROR(file.Read(path));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<TraceRequest> rows, ReadRows(path, file.text()));
  RequestTraceBuilder builder("azure2023", BaseName(path), /*block_tokens=*/0, options);
  absl::StatusOr<RequestTrace> trace = BuildTrace(rows, &builder);
  if (!trace.ok()) return At(path, trace.status());
  return trace;
}

}  // namespace tierscope
