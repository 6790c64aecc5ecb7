// timeline.json: what happened when, as a Chrome trace that Perfetto (ui.perfetto.dev) and
// chrome://tracing open. Streams to a file and is bounded: the first events up to the bound are
// kept, the rest counted, and the file says so. A run without a timeline holds a null pointer to
// the writer and pays one branch a call. One thread. Cost: about 150 bytes of output an event.
#ifndef TIERSCOPE_REPORTS_TIMELINE_H_
#define TIERSCOPE_REPORTS_TIMELINE_H_

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "reports/atomic_file.h"
#include "sim/base/time.h"

namespace tierscope {

// The rows of the timeline, in the order shown.
enum class Track { kDecode, kLevel1, kRecall, kPrefill, kRequests };

// A point of the arrow tick -> recall -> publish.
enum class FlowPoint { kStart, kStep, kEnd };

// One named detail of an event. The views must outlive the call only.
struct TimelineArg {
  template <std::integral T>
  TimelineArg(absl::string_view name, T number) : key(name), value(static_cast<int64_t>(number)) {}
  TimelineArg(absl::string_view name, double number) : key(name), value(number) {}
  TimelineArg(absl::string_view name, absl::string_view text) : key(name), value(text) {}
  TimelineArg(absl::string_view name, const char* text)
      : key(name), value(absl::string_view(text)) {}

  absl::string_view key;
  std::variant<int64_t, double, absl::string_view> value;  // a double is finite
};

using TimelineArgs = std::initializer_list<TimelineArg>;

class TimelineWriter {
 public:
  // Creates the file under a temporary name; at most `event_bound` events (> 0) are kept.
  absl::Status Open(absl::string_view path, int64_t event_bound);

  // A span on `track`. Spans of one track either nest or do not overlap; `duration` >= 0.
  void Complete(Track track, absl::string_view name, SimTime start, SimDuration duration,
                TimelineArgs args = {});
  // A span that may overlap others of its track, e.g. a request's life. `id` tells spans of one
  // track and name apart; give spans of one kind the same name, then the viewer packs them into
  // lanes.
  void Overlapping(Track track, absl::string_view name, int64_t id, SimTime start,
                   SimDuration duration, TimelineArgs args = {});
  // The value of a counter from `at` on; `value` is finite.
  void Counter(absl::string_view name, SimTime at, double value);
  // An arrow through the spans of `Complete` that contain (track, at), joined by `id`.
  void Flow(FlowPoint point, int64_t id, Track track, SimTime at);

  // Completes the file and gives it its name. Errors of any earlier write are returned here.
  // Without it no file is left behind.
  absl::Status Finish();

  int64_t event_count() const { return event_count_; }  // kept
  int64_t dropped_count() const { return dropped_count_; }

 private:
  bool Admit(int64_t events, SimTime at);
  void BeginEvent(absl::string_view phase, Track track, SimTime at);
  void AddName(absl::string_view name);
  void AddArgs(TimelineArgs args);
  void EndEvent();
  void NameTracks();

  AtomicFile file_;
  std::string event_;  // the one being written
  int64_t event_bound_ = 0;
  int64_t event_count_ = 0;
  int64_t dropped_count_ = 0;
  SimTime first_dropped_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_TIMELINE_H_
