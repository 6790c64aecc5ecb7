#include "traces/burstgpt_reader.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "sim/base/status_macros.h"
#include "traces/request_trace_builder.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr size_t kMissing = static_cast<size_t>(-1);

// Where the columns stand; `session` may be missing.
struct Columns {
  size_t timestamp = kMissing, request = kMissing, response = kMissing, total = kMissing;
  size_t session = kMissing;
  size_t count = 0;
};

std::optional<int64_t> ParseDigits(absl::string_view text) {
  if (text.empty() || text.size() > 18) return std::nullopt;
  int64_t value = 0;
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

// Decimal seconds as nanoseconds; digits behind the ninth decimal are left out.
std::optional<int64_t> ParseSecondsNs(absl::string_view text) {
  const size_t point = text.find('.');
  const std::optional<int64_t> seconds = ParseDigits(text.substr(0, point));
  if (!seconds || *seconds > kTraceSpanSecondsMax) return std::nullopt;
  if (point == absl::string_view::npos) return *seconds * kNsPerSecond;
  std::string decimals(text.substr(point + 1, 9));
  if (!ParseDigits(decimals) || text.size() - point > 24) return std::nullopt;
  for (const char c : text.substr(point + 1)) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
  }
  decimals.resize(9, '0');
  return *seconds * kNsPerSecond + *ParseDigits(decimals);
}

absl::StatusOr<Columns> ParseHeader(absl::string_view line) {
  const std::vector<absl::string_view> names = absl::StrSplit(line, ',');
  Columns columns;
  columns.count = names.size();
  for (size_t i = 0; i < names.size(); ++i) {
    const absl::string_view name = absl::StripAsciiWhitespace(names[i]);
    if (name == "Timestamp") columns.timestamp = i;
    if (name == "Request tokens") columns.request = i;
    if (name == "Response tokens") columns.response = i;
    if (name == "Total tokens") columns.total = i;
    if (name == "Session ID") columns.session = i;
  }
  if (columns.timestamp != kMissing && columns.request != kMissing &&
      columns.response != kMissing && columns.total != kMissing) {
    return columns;
  }
  return absl::InvalidArgumentError(
      "the header lacks Timestamp, Request tokens, Response tokens or Total tokens; give a CSV "
      "file "
      "of BurstGPT");
}

absl::StatusOr<int64_t> ParseTokens(absl::string_view text, absl::string_view column) {
  const std::optional<int64_t> value = ParseDigits(text);
  if (value && *value <= 2 * kRequestTokensMax) return *value;
  return absl::InvalidArgumentError(absl::StrCat(column, " is not a whole number from 0 to ",
                                                 2 * kRequestTokensMax,
                                                 "; correct the row or fetch the trace again"));
}

class Reader {
 public:
  Reader(const std::string& path, const RequestTraceOptions& options)
      : builder_("burstgpt", BaseName(path), /*block_tokens=*/0, options) {}

  absl::Status AddRow(absl::string_view line, const Columns& columns) {
    const std::vector<absl::string_view> cells = absl::StrSplit(line, ',');
    if (cells.size() != columns.count) {
      return absl::InvalidArgumentError(absl::StrCat("the row has ", cells.size(), " columns of ",
                                                     columns.count, "; fetch the trace again"));
    }
    TraceRequest request;
    const std::optional<int64_t> ns = ParseSecondsNs(cells[columns.timestamp]);
    if (!ns) {
      return absl::InvalidArgumentError(
          "Timestamp is no number of seconds; correct the row or fetch the trace again");
    }
    request.arrival.ns = *ns;
    TIERSCOPE_ASSIGN_OR_RETURN(request.input_tokens,
                               ParseTokens(cells[columns.request], "Request tokens"));
    TIERSCOPE_ASSIGN_OR_RETURN(request.output_tokens,
                               ParseTokens(cells[columns.response], "Response tokens"));
    TIERSCOPE_ASSIGN_OR_RETURN(const int64_t total,
                               ParseTokens(cells[columns.total], "Total tokens"));
    if (total != request.input_tokens + request.output_tokens) {
      return absl::InvalidArgumentError(
          absl::StrCat("Total tokens ", total,
                       " is not Request tokens + Response tokens; correct "
                       "the row or leave it out"));
    }
    if (request.output_tokens == 0) {
      ++failed_count_;
      return absl::OkStatus();
    }
    if (columns.session != kMissing && !cells[columns.session].empty()) {
      TIERSCOPE_ASSIGN_OR_RETURN(request.conversation, ConversationOf(cells[columns.session]));
    }
    return builder_.Add(request, {});
  }

  absl::StatusOr<RequestTrace> Finish() {
    TIERSCOPE_ASSIGN_OR_RETURN(RequestTrace trace,
                               builder_.Finish(static_cast<int64_t>(number_of_.size())));
    trace.failed_request_count = failed_count_;
    return trace;
  }

 private:
  absl::StatusOr<int32_t> ConversationOf(absl::string_view session) {
    const auto next = static_cast<int32_t>(number_of_.size());
    const int32_t number = number_of_.try_emplace(std::string(session), next).first->second;
    if (next < kConversationCountMax) return number;
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", kConversationCountMax, " sessions; split the trace"));
  }

  RequestTraceBuilder builder_;
  absl::flat_hash_map<std::string, int32_t> number_of_;
  int64_t failed_count_ = 0;
};

}  // namespace

absl::StatusOr<RequestTrace> ReadBurstGptTrace(const std::string& path,
                                               const RequestTraceOptions& options) {
  SourceFile file;
  TIERSCOPE_RETURN_IF_ERROR(file.Read(path));
  absl::string_view text = file.text();
  absl::string_view line;
  NextLine(&text, &line);
  const absl::StatusOr<Columns> columns = ParseHeader(line);
  if (!columns.ok()) return At(PlaceOfLine(path, 1), columns.status());
  Reader reader(path, options);
  for (int64_t number = 2; NextLine(&text, &line); ++number) {
    if (line.empty()) continue;
    const absl::Status status = reader.AddRow(line, *columns);
    if (!status.ok()) return At(PlaceOfLine(path, number), status);
  }
  absl::StatusOr<RequestTrace> trace = reader.Finish();
  if (!trace.ok()) return At(path, trace.status());
  return trace;
}

}  // namespace tierscope
