// Reads timeline.json files as TimelineWriter writes them, an event a line, in constant memory: as
// columns for the page, or several joined into one trace.
#ifndef TIERSCOPE_REPORTS_TIMELINE_READER_H_
#define TIERSCOPE_REPORTS_TIMELINE_READER_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tierscope {

inline constexpr int64_t kTimelineColumnEventsMax = 20'000;

// {"tracks", "names", "spans": {"track", "name", "begin_us", "length_us"},
//  "counters": {"name", "at_us", "value"}, "left_out"}: the first events of the file; tracks and
// names as positions in their lists. Errors: not readable, a line that is no event.
absl::StatusOr<std::string> TimelineColumns(const std::string& path);

// One run's timeline among several: the process it becomes, and its files.
struct TimelinePart {
  std::string process;
  std::string path;    // timeline.json; "" where there is none
  std::string phases;  // phases.csv; "" where there is none
};

struct TimelineJoin {
  double begin_s = 0.0;  // only what begins in [begin_s, end_s) of each part's own time
  double end_s = 1e9;
  int64_t events_max = 200'000;  // divided among the parts; names of tracks not counted
};

// Writes one Chrome trace in which every part is a process of its own. Where every part has a
// phases.csv, its spans are shown, a track a phase (the same tracks in every part), with arrows
// score -> recall -> publish by tick, and of timeline.json only the counters; otherwise the events
// of timeline.json as they are. Either way simulated and measured spans of one kind have the same
// track and name, and arrows stay within their part. Streamed. Errors: a part that is not readable,
// or has no event there; then there is no file.
absl::Status JoinTimelines(std::span<const TimelinePart> parts, const TimelineJoin& join,
                           const std::string& out);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_TIMELINE_READER_H_
