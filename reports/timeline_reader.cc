#include "reports/timeline_reader.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "simdjson.h"

#include "reports/atomic_file.h"
#include "reports/json_writer.h"
#include "reports/schema/phase_log.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr size_t kLineBytesMax = 64 << 10;
constexpr size_t kNamesMax = 4096;
constexpr JsonWriter::Layout kInline = JsonWriter::Layout::kInline;

// The events of a file, one after the other.
class EventReader {
 public:
  absl::Status Open(const std::string& path) {
    path_ = path;
    file_.open(path, std::ios::binary);
    return file_ ? absl::OkStatus() : FileError(errno, path, "open");
  }
  // True while there is one. `event` is good until the next call.
  absl::StatusOr<bool> Next(element* event) {
    while (std::getline(file_, line_)) {
      ++line_number_;
      if (line_.size() > kLineBytesMax) return Problem("is longer than a timeline's event");
      while (!line_.empty() && (line_.back() == ',' || line_.back() == '\r')) line_.pop_back();
      const bool is_event = line_.rfind("{\"ph\"", 0) == 0;
      if (!is_event) {
        if (line_number_ == 1 && line_.rfind("{\"displayTimeUnit\"", 0) != 0) {
          return Problem("begins no timeline.json of tierscope");
        }
        continue;  // the frame around the events
      }
      if (parser_.parse(line_).get(*event)) return Problem("is no event");
      return true;
    }
    if (file_.bad()) return FileError(errno, path_, "read");
    return false;
  }
  absl::Status Problem(const char* what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ":", line_number_, ": ", what));
  }

 private:
  std::string path_;
  std::ifstream file_;
  std::string line_;
  int64_t line_number_ = 0;
  simdjson::dom::parser parser_;
};

absl::string_view Text(const element& event, const char* key) {
  std::string_view text;
  if (event[key].get(text)) return "";
  return {text.data(), text.size()};
}

int64_t Int(const element& event, const char* key) {
  int64_t value = 0;
  return event[key].get(value) ? 0 : value;
}

double Number(const element& event, const char* key) {
  double value = 0;
  return event[key].get(value) ? 0.0 : value;
}

// Names in the order of their first use, with their positions.
class NameList {
 public:
  // -1 when there are too many.
  int64_t At(absl::string_view name) {
    const auto found = positions_.find(name);
    if (found != positions_.end()) return found->second;
    if (names_.size() >= kNamesMax) return -1;
    names_.emplace_back(name);
    positions_.emplace(names_.back(), static_cast<int64_t>(names_.size()) - 1);
    return static_cast<int64_t>(names_.size()) - 1;
  }
  void Write(const char* key, JsonWriter& json) const {
    json.Key(key).BeginArray(kInline);
    for (const std::string& name : names_) json.String(name);
    json.EndArray();
  }

 private:
  std::vector<std::string> names_;
  std::map<std::string, int64_t, std::less<>> positions_;
};

struct Columns {
  NameList tracks, names;
  std::map<int64_t, int64_t> track_of_thread;
  std::vector<int64_t> span_track, span_name, counter_name;
  std::vector<double> span_begin, span_length, counter_at, counter_value;
  int64_t left_out = 0;

  size_t size() const { return span_begin.size() + counter_at.size(); }
};

void AddEvent(const element& event, Columns* columns) {
  const absl::string_view phase = Text(event, "ph");
  if (phase == "M" && Text(event, "name") == "thread_name") {
    std::string_view track;
    if (event["args"]["name"].get(track)) return;
    columns->track_of_thread[Int(event, "tid")] =
        columns->tracks.At(absl::string_view(track.data(), track.size()));
    return;
  }
  if (phase != "X" && phase != "C") return;
  const int64_t name = columns->names.At(Text(event, "name"));
  const auto track = columns->track_of_thread.find(Int(event, "tid"));
  const bool full = columns->size() >= static_cast<size_t>(kTimelineColumnEventsMax);
  if (full || name < 0 || track == columns->track_of_thread.end()) {
    ++columns->left_out;
  } else if (phase == "X") {
    columns->span_track.push_back(track->second);
    columns->span_name.push_back(name);
    columns->span_begin.push_back(Number(event, "ts"));
    columns->span_length.push_back(Number(event, "dur"));
  } else {
    double value = 0;
    if (event["args"]["value"].get(value)) return;
    columns->counter_name.push_back(name);
    columns->counter_at.push_back(Number(event, "ts"));
    columns->counter_value.push_back(value);
  }
}

void WriteColumn(const char* key, const std::vector<int64_t>& values, JsonWriter& json) {
  json.Key(key).BeginArray(kInline);
  for (const int64_t value : values) json.Int(value);
  json.EndArray();
}

void WriteColumn(const char* key, const std::vector<double>& values, JsonWriter& json) {
  json.Key(key).BeginArray(kInline);
  for (const double value : values) json.Double(value);
  json.EndArray();
}

std::string ColumnsJson(const Columns& columns) {
  std::string text;
  JsonWriter json(&text);
  json.BeginObject(kInline);
  columns.tracks.Write("tracks", json);
  columns.names.Write("names", json);
  json.Key("spans").BeginObject(kInline);
  WriteColumn("track", columns.span_track, json);
  WriteColumn("name", columns.span_name, json);
  WriteColumn("begin_us", columns.span_begin, json);
  WriteColumn("length_us", columns.span_length, json);
  json.EndObject();
  json.Key("counters").BeginObject(kInline);
  WriteColumn("name", columns.counter_name, json);
  WriteColumn("at_us", columns.counter_at, json);
  WriteColumn("value", columns.counter_value, json);
  json.EndObject();
  json.Key("left_out").Int(columns.left_out);
  json.EndObject();
  return text;
}

// One event of part `pid`, in which alone its ids count.
std::string Renumbered(const element& event, int pid, const std::string& process) {
  std::string text = "{";
  object members;
  if (event.get(members)) return "";
  const bool names_process = Text(event, "name") == "process_name";
  for (const auto& [key, value] : members) {
    if (text.size() > 1) text += ',';
    AppendJsonString(absl::string_view(key.data(), key.size()), &text);
    text += ':';
    if (key == "pid") {
      absl::StrAppend(&text, pid);
    } else if (key == "id") {
      std::string_view id;
      const bool is_text = value.get(id) == simdjson::SUCCESS;
      const std::string own = is_text ? std::string(id) : std::string(simdjson::minify(value));
      AppendJsonString(absl::StrCat(pid, ".", own), &text);
    } else if (key == "args" && names_process) {
      text += "{\"name\":";
      AppendJsonString(process, &text);
      text += '}';
    } else {
      text += simdjson::minify(value);
    }
  }
  return text + "}";
}

// The file that is written, and what of a part goes into it.
class Joiner {
 public:
  // Every part has its share of the bound, so that none pushes out the others.
  Joiner(const TimelineJoin& join, size_t parts)
      : join_(join), part_events_max_(join.events_max / static_cast<int64_t>(parts)) {}

  absl::Status Open(const std::string& out) {
    TIERSCOPE_RETURN_IF_ERROR(file_.Open(out));
    file_.Append("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
    return absl::OkStatus();
  }
  absl::Status Finish() {
    file_.Append(absl::StrCat("\n],\"otherData\":{\"event_bound\":", join_.events_max,
                              ",\"events\":", events_, ",\"events_dropped\":", left_out_, "}}\n"));
    return file_.Commit();
  }
  // Phases where it has any, and of its timeline the counters; else its timeline.
  absl::Status AddPart(const TimelinePart& part, bool phases, int pid);

 private:
  bool Inside(double at_s) const { return at_s >= join_.begin_s && at_s < join_.end_s; }
  // Once an event of a part was left out all later ones are: what is shown is a stretch of time.
  bool Admit(int64_t events) {
    if (!full_ && part_events_ + events <= part_events_max_) return part_events_ += events, true;
    full_ = true;
    left_out_ += events;
    return false;
  }
  void Add(const std::string& event) {
    file_.Append(events_ == 0 ? "\n" : ",\n");
    file_.Append(event);
    ++events_;
  }
  absl::Status AddTimeline(const TimelinePart& part, int pid, bool counters_only);
  absl::Status AddPhases(const TimelinePart& part, int pid);
  void AddName(int pid, int64_t tid, absl::string_view kind, absl::string_view name);
  void AddSpan(const PhaseSpan& span, int pid);

  const TimelineJoin& join_;
  const int64_t part_events_max_;
  AtomicFile file_;
  int64_t events_ = 0;
  int64_t left_out_ = 0;
  // Of the part that is being added: names of processes and tracks left out.
  int64_t part_events_ = 0;
  bool full_ = false;
  int64_t arrow_first_ = -1, arrow_last_ = -1;  // ticks whose arrows began, one after the other
};

absl::Status Joiner::AddPart(const TimelinePart& part, bool phases, int pid) {
  part_events_ = 0;
  full_ = false;
  arrow_first_ = arrow_last_ = -1;
  if (phases) TIERSCOPE_RETURN_IF_ERROR(AddPhases(part, pid));
  if (!phases || !part.path.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(AddTimeline(part, pid, phases));
  }
  if (part_events_ > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(phases ? part.phases : part.path,
                                                 ": has no event from ", join_.begin_s, " s to ",
                                                 join_.end_s, " s"));
}

absl::Status Joiner::AddTimeline(const TimelinePart& part, int pid, bool counters_only) {
  EventReader reader;
  TIERSCOPE_RETURN_IF_ERROR(reader.Open(part.path));
  element event;
  for (;;) {
    TIERSCOPE_ASSIGN_OR_RETURN(const bool more, reader.Next(&event));
    if (!more) return absl::OkStatus();
    const absl::string_view phase = Text(event, "ph");
    if (counters_only && phase != "C") continue;
    if (phase != "M" && (!Inside(Number(event, "ts") * 1e-6) || !Admit(1))) continue;
    Add(Renumbered(event, pid, part.process));
  }
}

void Joiner::AddName(int pid, int64_t tid, absl::string_view kind, absl::string_view name) {
  std::string event = absl::StrCat("{\"ph\":\"M\",\"pid\":", pid, ",\"tid\":", tid, ",\"name\":\"",
                                   kind, "\",\"args\":{\"name\":");
  AppendJsonString(name, &event);
  Add(event + "}}");
}

// A span, and its end of the arrow of its tick: from the first of score and select to recall and
// publish. An arrow that began before the window has no end inside.
void Joiner::AddSpan(const PhaseSpan& span, int pid) {
  const std::string where =
      absl::StrFormat("\"pid\":%d,\"tid\":%d,\"ts\":%d.%03d", pid, static_cast<int>(span.phase) + 1,
                      span.begin_ns / 1000, span.begin_ns % 1000);
  Add(
      absl::StrFormat("{\"ph\":\"X\",%s,\"dur\":%d.%03d,\"name\":\"%s\",\"args\":{\"step\":%d,"
                      "\"tick\":%d,\"bytes\":%d,"
                      "\"pages\":%d}}",
                      where, span.duration_ns / 1000, span.duration_ns % 1000,
                      PhaseName(span.phase), span.step, span.tick, span.bytes, span.pages));
  const char* end = "";
  if ((span.phase == Phase::kScore || span.phase == Phase::kSelect) && span.tick > arrow_last_) {
    arrow_last_ = span.tick;
    if (arrow_first_ < 0) arrow_first_ = span.tick;
    end = "s";
  } else if (span.tick >= 0 && arrow_first_ <= span.tick && span.tick <= arrow_last_) {
    end = span.phase == Phase::kRecall ? "t" : span.phase == Phase::kPublish ? "f" : "";
  }
  if (*end == '\0' || !Admit(1)) return;
  Add(absl::StrCat("{\"ph\":\"", end, "\",", where, ",\"cat\":\"tick\",\"id\":\"", pid, ".",
                   span.tick, *end == 'f' ? "\",\"bp\":\"e" : "", "\",\"name\":\"tick\"}"));
}

absl::Status Joiner::AddPhases(const TimelinePart& part, int pid) {
  AddName(pid, 0, "process_name", part.process);
  for (int phase = 0; phase < kPhaseCount; ++phase) {
    AddName(pid, phase + 1, "thread_name", kPhaseNames[phase]);
    Add(absl::StrFormat(
        "{\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"name\":\"thread_sort_index\",\"args\":{"
        "\"sort_index\":%d}}",
        pid, phase + 1, phase + 1));
  }
  return ForEachPhaseSpan(part.phases, [&](const PhaseSpan& span) {
    const bool whole = span.request < 0;
    if (whole && Inside(static_cast<double>(span.begin_ns) * 1e-9) && Admit(1)) AddSpan(span, pid);
  });
}

}  // namespace

absl::StatusOr<std::string> TimelineColumns(const std::string& path) {
  EventReader reader;
  TIERSCOPE_RETURN_IF_ERROR(reader.Open(path));
  Columns columns;
  element event;
  for (;;) {
    TIERSCOPE_ASSIGN_OR_RETURN(const bool more, reader.Next(&event));
    if (!more) return ColumnsJson(columns);
    AddEvent(event, &columns);
  }
}

absl::Status JoinTimelines(std::span<const TimelinePart> parts, const TimelineJoin& join,
                           const std::string& out) {
  const bool phases = std::all_of(parts.begin(), parts.end(),
                                  [](const TimelinePart& part) { return !part.phases.empty(); });
  Joiner joiner(join, parts.size());
  TIERSCOPE_RETURN_IF_ERROR(joiner.Open(out));
  for (size_t i = 0; i < parts.size(); ++i) {
    TIERSCOPE_RETURN_IF_ERROR(joiner.AddPart(parts[i], phases, static_cast<int>(i) + 1));
  }
  return joiner.Finish();
}

}  // namespace tierscope
