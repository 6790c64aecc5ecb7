#include "reports/phase_sums.h"

#include <array>

#include "reports/json_writer.h"
#include "reports/schema/phase_log.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

struct Sum {
  int64_t n = 0;
  double duration_ns = 0.0;
};
using Sums = std::array<Sum, kPhaseCount>;

std::string SumsJson(const Sums& sums) {
  std::string out;
  JsonWriter json(&out);
  json.BeginArray(JsonWriter::Layout::kInline);
  for (size_t phase = 0; phase < sums.size(); ++phase) {
    if (sums[phase].n == 0) continue;
    json.BeginObject(JsonWriter::Layout::kInline);
    json.Key("phase").String(kPhaseNames[phase]);
    json.Key("n").Int(sums[phase].n);
    json.Key("duration_ns").Double(sums[phase].duration_ns);
    json.EndObject();
  }
  json.EndArray();
  return out;
}

}  // namespace

absl::StatusOr<std::string> PhaseSums(const std::string& path) {
  Sums sums;
  TIERSCOPE_RETURN_IF_ERROR(ForEachPhaseSpan(path, [&](const PhaseSpan& span) {
    if (span.request >= 0) return;
    Sum& sum = sums[static_cast<size_t>(span.phase)];
    sum.n += 1;
    sum.duration_ns += static_cast<double>(span.duration_ns);
  }));
  return SumsJson(sums);
}

}  // namespace tierscope
