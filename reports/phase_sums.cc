#include "reports/phase_sums.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "reports/atomic_file.h"
#include "reports/json_writer.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr size_t kPhasesMax = 256;
constexpr size_t kLineBytesMax = 1024;

using Fields = std::vector<absl::string_view>;

struct Sum {
  std::string phase;
  int64_t n = 0;
  double duration_ns = 0.0;
};

// Where each number of a row stands; the count of columns where it does not.
struct Columns {
  size_t phase, duration, request, step, tick, begin, count;
};

size_t ColumnNamed(const Fields& header, absl::string_view name) {
  return static_cast<size_t>(std::find(header.begin(), header.end(), name) - header.begin());
}

Columns ColumnsOf(const Fields& header) {
  return {ColumnNamed(header, "phase"),
          ColumnNamed(header, "duration_ns"),
          ColumnNamed(header, "request"),
          ColumnNamed(header, "step"),
          ColumnNamed(header, "tick"),
          ColumnNamed(header, "begin_ns"),
          header.size()};
}

// False: no row of a phase log.
bool ParseRow(const Columns& columns, const Fields& fields, PhaseRow* row) {
  if (fields.size() != columns.count) return false;
  const auto read = [&](size_t column, int64_t* value) {
    return column == columns.count || absl::SimpleAtoi(fields[column], value);
  };
  row->phase = fields[columns.phase];
  return read(columns.duration, &row->duration_ns) && row->duration_ns >= 0 &&
         read(columns.request, &row->request) && read(columns.step, &row->step) &&
         read(columns.tick, &row->tick) && read(columns.begin, &row->begin_ns);
}

void AddTo(const PhaseRow& row, std::vector<Sum>* sums) {
  if (row.request >= 0) return;
  auto at = std::find_if(sums->begin(), sums->end(),
                         [&](const Sum& sum) { return sum.phase == row.phase; });
  if (at == sums->end()) {
    if (sums->size() == kPhasesMax) return;
    at = sums->insert(sums->end(), {std::string(row.phase), 0, 0.0});
  }
  at->n += 1;
  at->duration_ns += static_cast<double>(row.duration_ns);
}

std::string SumsJson(const std::vector<Sum>& sums) {
  std::string out;
  JsonWriter json(&out);
  json.BeginArray(JsonWriter::Layout::kInline);
  for (const Sum& sum : sums) {
    json.BeginObject(JsonWriter::Layout::kInline);
    json.Key("phase").String(sum.phase);
    json.Key("n").Int(sum.n);
    json.Key("duration_ns").Double(sum.duration_ns);
    json.EndObject();
  }
  json.EndArray();
  return out;
}

}  // namespace

absl::Status ForEachPhaseRow(const std::string& path,
                             const std::function<void(const PhaseRow&)>& row) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return FileError(errno, path, "open");
  std::string header, line;
  std::getline(file, header);
  const Columns columns = ColumnsOf(absl::StrSplit(header, ','));
  if (columns.phase == columns.count || columns.duration == columns.count) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":1: lacks the column phase or duration_ns: is no phases.csv"));
  }
  for (int64_t number = 2; std::getline(file, line); ++number) {
    PhaseRow parsed;
    if (line.size() > kLineBytesMax || !ParseRow(columns, absl::StrSplit(line, ','), &parsed)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": is no row of a phases.csv"));
    }
    row(parsed);
  }
  return file.bad() ? FileError(errno, path, "read") : absl::OkStatus();
}

absl::StatusOr<std::string> PhaseSums(const std::string& path) {
  std::vector<Sum> sums;
  TIERSCOPE_RETURN_IF_ERROR(ForEachPhaseRow(path, [&](const PhaseRow& row) { AddTo(row, &sums); }));
  return SumsJson(sums);
}

}  // namespace tierscope
