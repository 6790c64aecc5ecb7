#include "cli/timeline_window.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "sim/base/quoted.h"

namespace tierscope::cli {

absl::StatusOr<TimelineWindow> ParseTimelineWindow(const std::string& text) {
  TimelineWindow window;
  if (text.empty()) return window;
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(',', 1));
  double begin_s = 0, end_s = 0;
  const bool numbers =
      absl::SimpleAtod(parts.first, &begin_s) && absl::SimpleAtod(parts.second, &end_s);
  if (!numbers || !(begin_s >= 0) || !(end_s > begin_s) || !(end_s <= 1e9)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--timeline-window: ", Quoted(text),
                     " is no BEGIN,END in seconds of simulated time, 0 <= BEGIN < END <= 1e9"));
  }
  window.begin = SimTime{} + DurationFromSeconds(begin_s);
  window.end = SimTime{} + DurationFromSeconds(end_s);
  return window;
}

}  // namespace tierscope::cli
