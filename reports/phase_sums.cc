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

struct Columns {
  size_t phase, duration, request, count;  // request: count where there is none
};

size_t ColumnNamed(const Fields& header, absl::string_view name) {
  return static_cast<size_t>(std::find(header.begin(), header.end(), name) - header.begin());
}

// False: no row of a phase log.
bool AddRow(const Columns& columns, const Fields& fields, std::vector<Sum>* sums) {
  if (fields.size() != columns.count) return false;
  int64_t request = -1, duration = 0;
  if (columns.request < columns.count && !absl::SimpleAtoi(fields[columns.request], &request)) {
    return false;
  }
  if (!absl::SimpleAtoi(fields[columns.duration], &duration) || duration < 0) return false;
  if (request >= 0) return true;
  auto at = std::find_if(sums->begin(), sums->end(),
                         [&](const Sum& sum) { return sum.phase == fields[columns.phase]; });
  if (at == sums->end()) {
    if (sums->size() == kPhasesMax) return false;
    at = sums->insert(sums->end(), {std::string(fields[columns.phase]), 0, 0.0});
  }
  at->n += 1;
  at->duration_ns += static_cast<double>(duration);
  return true;
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

absl::StatusOr<std::string> PhaseSums(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return FileError(errno, path, "open");
  std::string header_line, line;
  std::getline(file, header_line);
  const Fields header = absl::StrSplit(header_line, ',');
  const Columns columns = {ColumnNamed(header, "phase"), ColumnNamed(header, "duration_ns"),
                           ColumnNamed(header, "request"), header.size()};
  if (columns.phase == columns.count || columns.duration == columns.count) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":1: lacks the column phase or duration_ns: is no phases.csv"));
  }
  std::vector<Sum> sums;
  for (int64_t number = 2; std::getline(file, line); ++number) {
    const Fields fields = absl::StrSplit(line, ',');
    if (line.size() > kLineBytesMax || !AddRow(columns, fields, &sums)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": is no row of a phases.csv"));
    }
  }
  if (file.bad()) return FileError(errno, path, "read");
  return SumsJson(sums);
}

}  // namespace tierscope
