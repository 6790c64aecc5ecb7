#include "reports/timeline_reader.h"

#include <cerrno>
#include <fstream>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "simdjson.h"

#include "reports/atomic_file.h"
#include "reports/json_writer.h"
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

struct JoinState {
  AtomicFile file;
  int64_t events = 0;
  int64_t left_out = 0;
};

absl::Status AppendPart(const TimelinePart& part, int pid, const TimelineJoin& join,
                        JoinState* state) {
  EventReader reader;
  TIERSCOPE_RETURN_IF_ERROR(reader.Open(part.path));
  element event;
  int64_t kept = 0;
  for (;;) {
    TIERSCOPE_ASSIGN_OR_RETURN(const bool more, reader.Next(&event));
    if (!more) break;
    const bool meta = Text(event, "ph") == "M";
    const double at_s = Number(event, "ts") * 1e-6;
    if (!meta && (at_s < join.begin_s || at_s >= join.end_s)) continue;
    if (!meta && state->events >= join.events_max) {
      ++state->left_out;
      continue;
    }
    state->file.Append(state->events == 0 ? "\n" : ",\n");
    state->file.Append(Renumbered(event, pid, part.process));
    ++state->events;
    if (!meta) ++kept;
  }
  if (kept > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(part.path, ": has no event from ", join.begin_s, " s to ", join.end_s, " s"));
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
  JoinState state;
  TIERSCOPE_RETURN_IF_ERROR(state.file.Open(out));
  state.file.Append("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
  for (size_t i = 0; i < parts.size(); ++i) {
    TIERSCOPE_RETURN_IF_ERROR(AppendPart(parts[i], static_cast<int>(i) + 1, join, &state));
  }
  state.file.Append(absl::StrCat("\n],\"otherData\":{\"events\":", state.events,
                                 ",\"events_dropped\":", state.left_out, "}}\n"));
  return state.file.Commit();
}

}  // namespace tierscope
