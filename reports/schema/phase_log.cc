#include "reports/schema/phase_log.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr size_t kColumns = 8;

// A number of the form the writer uses: no sign but '-', no leading zero, blank or plus.
bool ParseNumber(absl::string_view text, int64_t* value) {
  if (!absl::SimpleAtoi(text, value)) return false;
  return absl::StrCat(*value) == text;
}

// One line without its end, field by field.
struct RowParser {
  absl::Status At(absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":", line_number, ": ", what, "; give a file that tierscope wrote"));
  }

  bool Split(absl::string_view line) {
    size_t column = 0;
    for (;;) {
      const size_t comma = line.find(',');
      if (column == kColumns) return false;
      fields[column++] = line.substr(0, comma);
      if (comma == absl::string_view::npos) return column == kColumns;
      line.remove_prefix(comma + 1);
    }
  }

  absl::Status Number(size_t column, absl::string_view name, int64_t least, int64_t* value) const {
    if (ParseNumber(fields[column], value) && *value >= least) return absl::OkStatus();
    return At(absl::StrCat(name, " is ", Quoted(fields[column]), ", not a whole number from ",
                           least, " on"));
  }

  absl::StatusOr<PhaseSpan> Parse(absl::string_view line) {
    if (!Split(line)) return At(absl::StrCat("not ", kColumns, " fields"));
    PhaseSpan span;
    TIERSCOPE_RETURN_IF_ERROR(Number(0, "step", -1, &span.step));
    TIERSCOPE_RETURN_IF_ERROR(Number(1, "tick", -1, &span.tick));
    TIERSCOPE_RETURN_IF_ERROR(Number(2, "request", -1, &span.request));
    const std::optional<Phase> phase = PhaseFromName(fields[3]);
    if (!phase) return At(absl::StrCat("phase is ", Quoted(fields[3]), ", which is none"));
    span.phase = *phase;
    TIERSCOPE_RETURN_IF_ERROR(Number(4, "begin_ns", 0, &span.begin_ns));
    TIERSCOPE_RETURN_IF_ERROR(Number(5, "duration_ns", 0, &span.duration_ns));
    TIERSCOPE_RETURN_IF_ERROR(Number(6, "bytes", 0, &span.bytes));
    TIERSCOPE_RETURN_IF_ERROR(Number(7, "pages", 0, &span.pages));
    if (span.duration_ns > std::numeric_limits<int64_t>::max() - span.begin_ns) {
      return At("begin_ns + duration_ns is beyond what a clock can hold");
    }
    return span;
  }

  const std::string& path;
  int64_t line_number = 0;
  std::array<absl::string_view, kColumns> fields = {};
};

// The next line without its end; false at the end of the file.
absl::StatusOr<bool> NextLine(std::ifstream& file, RowParser& parser, std::string* line) {
  ++parser.line_number;
  line->clear();
  for (int c = file.get(); c != std::ifstream::traits_type::eof(); c = file.get()) {
    if (c == '\n') return true;
    if (static_cast<int64_t>(line->size()) == kPhaseLogLineBytesMax) {
      return parser.At(absl::StrCat("a line of more than ", kPhaseLogLineBytesMax, " bytes"));
    }
    line->push_back(static_cast<char>(c));
  }
  if (!line->empty()) return parser.At("the last line has no end: the file is cut");
  return false;
}

}  // namespace

std::optional<Phase> PhaseFromName(absl::string_view name) {
  for (int i = 0; i < kPhaseCount; ++i) {
    if (kPhaseNames[i] == name) return static_cast<Phase>(i);
  }
  return std::nullopt;
}

std::string PhaseLogOfRepeat(int repeat) { return absl::StrCat("phases-", repeat, ".csv"); }

absl::Status PhaseLogWriter::Open(absl::string_view path) {
  path_ = std::string(path);
  row_count_ = 0;
  TIERSCOPE_RETURN_IF_ERROR(file_.Open(path));
  file_.Append(absl::StrCat(kPhaseLogHeader, "\n"));
  return absl::OkStatus();
}

void PhaseLogWriter::Append(const PhaseSpan& span) {
  if (++row_count_ > kPhaseLogRowsMax) return;
  file_.Append(absl::StrCat(span.step, ",", span.tick, ",", span.request, ","));
  file_.Append(PhaseName(span.phase));
  file_.Append(absl::StrCat(",", span.begin_ns, ",", span.duration_ns, ","));
  file_.Append(absl::StrCat(span.bytes, ",", span.pages, "\n"));
}

absl::Status PhaseLogWriter::Finish() {
  if (row_count_ > kPhaseLogRowsMax) {
    file_.Discard();
    return absl::ResourceExhaustedError(absl::StrCat(path_, ": ", row_count_,
                                                     " spans, more than the ", kPhaseLogRowsMax,
                                                     " of a phase table; run fewer steps"));
  }
  return file_.Commit();
}

absl::Status WritePhaseLog(absl::string_view path, const std::vector<PhaseSpan>& spans) {
  PhaseLogWriter writer;
  TIERSCOPE_RETURN_IF_ERROR(writer.Open(path));
  for (const PhaseSpan& span : spans) writer.Append(span);
  return writer.Finish();
}

absl::Status ForEachPhaseSpan(const std::string& path,
                              const std::function<void(const PhaseSpan&)>& visit) {
  std::error_code ignored;  // a path that cannot be looked at cannot be opened either
  if (std::filesystem::is_directory(path, ignored)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a folder; give a phases.csv"));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot be opened (", std::strerror(errno), "); check the path"));
  }
  RowParser parser{path};
  std::string line;
  TIERSCOPE_ASSIGN_OR_RETURN(bool more, NextLine(file, parser, &line));
  if (!more || line != kPhaseLogHeader) {
    return parser.At(absl::StrCat("the first line is not ", kPhaseLogHeader));
  }
  for (int64_t rows = 0;; ++rows) {
    TIERSCOPE_ASSIGN_OR_RETURN(more, NextLine(file, parser, &line));
    if (!more) break;
    if (rows == kPhaseLogRowsMax) {
      return parser.At(absl::StrCat("more than ", kPhaseLogRowsMax, " rows"));
    }
    TIERSCOPE_ASSIGN_OR_RETURN(const PhaseSpan span, parser.Parse(line));
    visit(span);
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat(path, ": cannot be read to its end"));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PhaseSpan>> ReadPhaseLog(const std::string& path) {
  std::vector<PhaseSpan> spans;
  TIERSCOPE_RETURN_IF_ERROR(
      ForEachPhaseSpan(path, [&](const PhaseSpan& span) { spans.push_back(span); }));
  return spans;
}

}  // namespace tierscope
