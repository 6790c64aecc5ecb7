// What of a run its timeline shows.
#ifndef TIERSCOPE_CLI_TIMELINE_WINDOW_H_
#define TIERSCOPE_CLI_TIMELINE_WINDOW_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"

#include "sim/base/time.h"

namespace tierscope::cli {

// [begin, end) of the run's time, or `length` from the end of the warm-up on.
struct TimelineWindow {
  std::optional<SimTime> begin;
  SimTime end;
  SimDuration length;
};

// "BEGIN,END" in seconds of the run's time; "" is the scenario's own window.
absl::StatusOr<TimelineWindow> ParseTimelineWindow(const std::string& text);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_TIMELINE_WINDOW_H_
