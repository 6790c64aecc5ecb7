#include "reports/timeline.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

#include "reports/json_writer.h"
#include "sim/base/check.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr Track kTracks[] = {Track::kDecode, Track::kLevel1, Track::kRecall, Track::kPrefill,
                             Track::kRequests};

absl::string_view TrackName(Track track) {
  switch (track) {
    case Track::kDecode:
      return "decode";
    case Track::kLevel1:
      return "level1";
    case Track::kRecall:
      return "recall";
    case Track::kPrefill:
      return "prefill";
    case Track::kRequests:
      return "requests";
  }
  std::abort();
}

int TrackId(Track track) { return static_cast<int>(track) + 1; }

absl::string_view FlowPhase(FlowPoint point) {
  switch (point) {
    case FlowPoint::kStart:
      return "s";
    case FlowPoint::kStep:
      return "t";
    case FlowPoint::kEnd:
      return "f";
  }
  std::abort();
}

// Nanoseconds as the format's microseconds, exactly.
void AppendMicroseconds(int64_t ns, std::string* out) {
  TIERSCOPE_CHECK(ns >= 0);
  char buffer[32];
  std::snprintf(buffer, sizeof(buffer), "%lld.%03d", static_cast<long long>(ns / 1000),
                static_cast<int>(ns % 1000));
  *out += buffer;
}

struct ArgAppender {
  std::string* out;
  void operator()(int64_t value) const { absl::StrAppend(out, value); }
  void operator()(double value) const { AppendJsonNumber(value, out); }
  void operator()(absl::string_view value) const { AppendJsonString(value, out); }
};

}  // namespace

absl::Status TimelineWriter::Open(absl::string_view path, int64_t event_bound) {
  TIERSCOPE_CHECK(event_bound > 0);
  TIERSCOPE_RETURN_IF_ERROR(file_.Open(path));
  event_bound_ = event_bound;
  event_count_ = dropped_count_ = 0;
  file_.Append("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
  NameTracks();
  return absl::OkStatus();
}

void TimelineWriter::NameTracks() {
  file_.Append(
      "{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"tierscope\"}}");
  for (Track track : kTracks) {
    const int id = TrackId(track);
    file_.Append(absl::StrCat(",\n{\"ph\":\"M\",\"pid\":1,\"tid\":", id,
                              ",\"name\":\"thread_name\",\"args\":{\"name\":\"", TrackName(track),
                              "\"}},\n{\"ph\":\"M\",\"pid\":1,\"tid\":", id,
                              ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":", id,
                              "}}"));
  }
}

void TimelineWriter::Complete(Track track, absl::string_view name, SimTime start,
                              SimDuration duration, TimelineArgs args) {
  if (!Admit(1, start)) return;
  BeginEvent("X", track, start);
  event_ += ",\"dur\":";
  AppendMicroseconds(duration.ns, &event_);
  AddName(name);
  AddArgs(args);
  EndEvent();
}

void TimelineWriter::Overlapping(Track track, absl::string_view name, int64_t id, SimTime start,
                                 SimDuration duration, TimelineArgs args) {
  TIERSCOPE_CHECK(duration.ns >= 0);
  if (!Admit(2, start)) return;
  const std::string identity =
      absl::StrCat(",\"cat\":\"", TrackName(track), "\",\"id\":\"", id, "\"");
  BeginEvent("b", track, start);
  event_ += identity;
  AddName(name);
  AddArgs(args);
  EndEvent();
  BeginEvent("e", track, start + duration);
  event_ += identity;
  AddName(name);
  EndEvent();
}

void TimelineWriter::Counter(absl::string_view name, SimTime at, double value) {
  if (!Admit(1, at)) return;
  BeginEvent("C", Track::kDecode, at);
  AddName(name);
  AddArgs({{"value", value}});
  EndEvent();
}

void TimelineWriter::Flow(FlowPoint point, int64_t id, Track track, SimTime at) {
  if (!Admit(1, at)) return;
  BeginEvent(FlowPhase(point), track, at);
  absl::StrAppend(&event_, ",\"cat\":\"tick\",\"id\":\"", id, "\"");
  if (point == FlowPoint::kEnd) event_ += ",\"bp\":\"e\"";  // ends at the span around it
  AddName("tick");
  EndEvent();
}

absl::Status TimelineWriter::Finish() {
  if (dropped_count_ > 0) {
    BeginEvent("i", Track::kDecode, first_dropped_);
    event_ += ",\"s\":\"g\"";
    AddName(absl::StrCat("timeline full: ", dropped_count_, " events from here on were dropped"));
    EndEvent();
  }
  file_.Append(absl::StrCat("\n],\"otherData\":{\"event_bound\":", event_bound_, ",\"events\":",
                            event_count_, ",\"events_dropped\":", dropped_count_, "}}\n"));
  return file_.Commit();
}

// Once an event was dropped all later ones are, so that what is shown is a whole stretch of time.
bool TimelineWriter::Admit(int64_t events, SimTime at) {
  if (dropped_count_ == 0 && event_count_ + events <= event_bound_) {
    event_count_ += events;
    return true;
  }
  if (dropped_count_ == 0 || at < first_dropped_) first_dropped_ = at;
  dropped_count_ += events;
  return false;
}

void TimelineWriter::BeginEvent(absl::string_view phase, Track track, SimTime at) {
  event_ =
      absl::StrCat(",\n{\"ph\":\"", phase, "\",\"pid\":1,\"tid\":", TrackId(track), ",\"ts\":");
  AppendMicroseconds(at.ns, &event_);
}

void TimelineWriter::AddName(absl::string_view name) {
  event_ += ",\"name\":";
  AppendJsonString(name, &event_);
}

void TimelineWriter::AddArgs(TimelineArgs args) {
  if (args.size() == 0) return;
  event_ += ",\"args\":";
  char separator = '{';
  for (const TimelineArg& arg : args) {
    event_ += separator;
    AppendJsonString(arg.key, &event_);
    event_ += ':';
    std::visit(ArgAppender{&event_}, arg.value);
    separator = ',';
  }
  event_ += '}';
}

void TimelineWriter::EndEvent() {
  event_ += '}';
  file_.Append(event_);
}

}  // namespace tierscope
