#include "real/activity.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "sim/base/check.h"

namespace tierscope {
namespace {

constexpr int kPhaseShift = 56;
constexpr int kTickShift = 32;
constexpr uint64_t kTickMask = (uint64_t{1} << 23) - 1;
constexpr uint64_t kStepMask = (uint64_t{1} << 32) - 1;
constexpr uint64_t kNamed = uint64_t{1} << 63;
constexpr absl::string_view kInstead =
    "; nothing is written; run with --no-trace, which leaves the traced pass out, or with fewer "
    "steps (workload.output_tokens)";

ActivityRow RowOfTag(uint64_t tag) {
  ActivityRow row;
  row.phase = static_cast<Phase>(tag >> kPhaseShift & 0x7F);
  row.tick = static_cast<int64_t>(tag >> kTickShift & kTickMask) - 1;
  row.step = static_cast<int64_t>(tag & kStepMask) - 1;
  return row;
}

// Time in which at least one of the spans ran. Sorts them.
int64_t UnionNs(std::vector<std::pair<int64_t, int64_t>>* spans) {
  std::sort(spans->begin(), spans->end());
  int64_t busy = 0, until = INT64_MIN;
  for (const auto& [begin, end] : *spans) {
    busy += std::max<int64_t>(0, end - std::max(begin, until));
    until = std::max(until, end);
  }
  return busy;
}

struct Group {
  std::vector<std::pair<int64_t, int64_t>> spans;
  ActivityRow row;
};

void AddTo(const ActivityRecord& record, Group* group) {
  ActivityRow& row = group->row;
  row.begin_ns = row.records == 0 ? record.begin_ns : std::min(row.begin_ns, record.begin_ns);
  row.end_ns = row.records == 0 ? record.end_ns : std::max(row.end_ns, record.end_ns);
  (record.kind == ActivityKind::kKernel ? row.kernel_ns : row.copy_ns) +=
      record.end_ns - record.begin_ns;
  row.bytes += record.bytes;
  ++row.records;
  group->spans.push_back({record.begin_ns, record.end_ns});
}

}  // namespace

uint64_t ActivityTag(Phase phase, int64_t step, int64_t tick) {
  TIERSCOPE_CHECK(step >= -1 && step < INT32_MAX && tick >= -1 && tick < int64_t{1} << 22);
  return kNamed | static_cast<uint64_t>(phase) << kPhaseShift |
         static_cast<uint64_t>(tick + 1) << kTickShift | static_cast<uint64_t>(step + 1);
}

absl::StatusOr<ActivityTable> Attribute(const ActivityTrace& trace, int64_t page_bytes) {
  if (trace.dropped > 0 || trace.untimed > 0) {
    return absl::DataLossError(absl::StrCat(
        "record of activity: ", trace.dropped, " records were dropped and ", trace.untimed,
        " have no times, beside ", trace.records.size(), " that are whole", kInstead));
  }
  std::vector<ActivityLink> links = trace.links;
  std::sort(links.begin(), links.end(), [](const ActivityLink& a, const ActivityLink& b) {
    return a.correlation < b.correlation;
  });
  ActivityTable table;
  std::map<uint64_t, Group> groups;
  std::vector<std::pair<int64_t, int64_t>> outside;
  for (const ActivityRecord& record : trace.records) {
    if (record.kind == ActivityKind::kOverhead) {
      table.overhead_ns += record.end_ns - record.begin_ns;
      continue;
    }
    ++table.records;
    const auto link = std::lower_bound(
        links.begin(), links.end(), record.correlation,
        [](const ActivityLink& a, uint32_t correlation) { return a.correlation < correlation; });
    const bool named =
        link != links.end() && link->correlation == record.correlation && link->tag != 0;
    if (named) {
      AddTo(record, &groups[link->tag]);
    } else {
      ++table.outside_records;
      outside.push_back({record.begin_ns, record.end_ns});
    }
  }
  table.outside_ns = UnionNs(&outside);
  for (auto& [tag, group] : groups) {
    const ActivityRow named = RowOfTag(tag);
    group.row.step = named.step;
    group.row.tick = named.tick;
    group.row.phase = named.phase;
    group.row.busy_ns = UnionNs(&group.spans);
    const bool moves_pages = named.phase == Phase::kRecall || named.phase == Phase::kWriteback;
    if (moves_pages && page_bytes > 0) group.row.pages = group.row.bytes / page_bytes;
    table.rows.push_back(group.row);
  }
  if (table.rows.empty()) {
    return absl::DataLossError(absl::StrCat("record of activity: none of its ", table.records,
                                            " records belongs to a phase", kInstead));
  }
  std::sort(table.rows.begin(), table.rows.end(), [](const ActivityRow& a, const ActivityRow& b) {
    return std::tuple(a.step, a.tick, a.phase) < std::tuple(b.step, b.tick, b.phase);
  });
  return table;
}

std::string ActivitySummary(const ActivityTable& table) {
  return absl::StrCat(table.records, " records, ", table.outside_records,
                      " of them outside any phase, tracing overhead ", table.overhead_ns, " ns");
}

std::string ActivityCsv(const ActivityTable& table, int64_t origin_ns) {
  std::string text = absl::StrCat(
      "# ", ActivitySummary(table),
      "\nstep,tick,phase,begin_ns,end_ns,busy_ns,kernel_ns,copy_ns,bytes,pages,records\n");
  for (const ActivityRow& row : table.rows) {
    absl::StrAppend(&text, row.step, ",", row.tick, ",", PhaseName(row.phase), ",",
                    row.begin_ns - origin_ns, ",", row.end_ns - origin_ns, ",", row.busy_ns, ",");
    absl::StrAppend(&text, row.kernel_ns, ",", row.copy_ns, ",", row.bytes, ",", row.pages, ",",
                    row.records, "\n");
  }
  return text;
}

}  // namespace tierscope
