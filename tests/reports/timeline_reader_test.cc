#include "reports/timeline_reader.h"

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "simdjson.h"

#include "reports/schema/phase_log.h"
#include "reports/timeline.h"
#include "tests/testing/golden.h"
#include "tests/testing/temp_folder.h"

namespace tierscope::testing {
namespace {

using simdjson::dom::element;

// `steps` steps of 10 ms, and after each a tick with its recall and publish.
std::string WriteTimeline(const TempFolder& folder, const std::string& name, int64_t steps) {
  const std::string path = folder.File(name);
  TimelineWriter timeline;
  EXPECT_TRUE(timeline.Open(path, 1'000'000).ok());
  for (int64_t i = 0; i < steps; ++i) {
    const SimTime at{i * 10'000'000};
    timeline.Complete(Track::kDecode, "step", at, {10'000'000}, {{"requests", i}});
    timeline.Complete(Track::kLevel1, "score and select", at, {1'000'000});
    timeline.Flow(FlowPoint::kStart, i, Track::kLevel1, at);
    timeline.Complete(Track::kRecall, "recall", at, {4'000'000});
    timeline.Flow(FlowPoint::kStep, i, Track::kRecall, at);
    timeline.Complete(Track::kLevel1, "publish", at + SimDuration{5'000'000}, {0});
    timeline.Flow(FlowPoint::kEnd, i, Track::kLevel1, at + SimDuration{5'000'000});
    timeline.Counter("HBM in use, bytes", at, static_cast<double>(i));
  }
  EXPECT_TRUE(timeline.Finish().ok());
  return path;
}

TEST(TimelineColumnsTest, Golden) {
  const TempFolder folder;
  const absl::StatusOr<std::string> columns = TimelineColumns(WriteTimeline(folder, "t.json", 2));
  ASSERT_TRUE(columns.ok()) << columns.status();
  ExpectGolden(*columns + "\n", "reports_timeline_columns.json");
}

TEST(TimelineColumnsTest, KeepsTheFirstEventsOfALongFile) {
  const TempFolder folder;
  const absl::StatusOr<std::string> columns =
      TimelineColumns(WriteTimeline(folder, "t.json", 10'000));
  ASSERT_TRUE(columns.ok()) << columns.status();
  simdjson::dom::parser parser;
  const element root = parser.parse(*columns);
  const size_t spans = root["spans"]["begin_us"].get_array().size();
  const size_t counters = root["counters"]["at_us"].get_array().size();
  EXPECT_EQ(static_cast<int64_t>(spans + counters), kTimelineColumnEventsMax);
  EXPECT_EQ(int64_t(root["left_out"]), 50'000 - kTimelineColumnEventsMax);
}

TEST(TimelineColumnsTest, RefusesWhatIsNoTimeline) {
  const TempFolder folder;
  EXPECT_FALSE(TimelineColumns(folder.File("nothing")).ok());
  for (const char* text :
       {"hello\n", "{\"traceEvents\":[\n", "{\"displayTimeUnit\":1\n{\"ph\":\n"}) {
    const absl::Status status = TimelineColumns(folder.Write("t.json", text)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  }
  const std::string long_line = "{\"displayTimeUnit\":1\n{\"ph\":\"" + std::string(100'000, 'x');
  EXPECT_FALSE(TimelineColumns(folder.Write("t.json", long_line)).ok());
}

// Two runs become two processes with the same tracks and names; arrows stay within their own.
TEST(JoinTimelinesTest, PutsRunsBesideEachOther) {
  const TempFolder folder;
  const TimelinePart parts[] = {{"simulated: a", WriteTimeline(folder, "a.json", 20), ""},
                                {"measured: \"<b>\"", WriteTimeline(folder, "b.json", 30), ""}};
  const std::string out = folder.File("joined.json");
  ASSERT_TRUE(JoinTimelines(parts, {}, out).ok());
  simdjson::dom::parser parser;
  const element root = parser.load(out);
  std::map<int64_t, std::set<std::string>> names;
  std::map<int64_t, std::string> processes;
  std::map<std::string, std::string> flows;  // id -> phases in order
  for (const element event : root["traceEvents"].get_array()) {
    const int64_t pid = event["pid"];
    const std::string name{std::string_view(event["name"])};
    const std::string phase{std::string_view(event["ph"])};
    if (name == "process_name")
      processes[pid] = std::string(std::string_view(event["args"]["name"]));
    if (phase == "X") names[pid].insert(name);
    if (phase == "s" || phase == "t" || phase == "f") {
      const std::string id{std::string_view(event["id"])};
      EXPECT_EQ(id.substr(0, 2), absl::StrCat(pid, ".")) << "ids of two parts must not meet";
      flows[id] += phase;
    }
  }
  EXPECT_EQ(processes[1], "simulated: a");
  EXPECT_EQ(processes[2], "measured: \"<b>\"");
  EXPECT_EQ(names[1], names[2]);
  EXPECT_EQ(names[1], (std::set<std::string>{"publish", "recall", "score and select", "step"}));
  EXPECT_EQ(flows.size(), 50u);
  for (const auto& [id, phases] : flows) EXPECT_EQ(phases, "stf") << id;
}

// A simulated run with a timeline and a measured one with none: both have phases.csv, and so the
// same tracks. Rows of single requests are not drawn again.
TEST(JoinTimelinesTest, OfPhasesHaveOneTrackAPhase) {
  const TempFolder folder;
  const std::string phases = folder.Write(
      "phases.csv", absl::StrCat(kPhaseLogHeader,
                                 "\n0,-1,-1,step,0,2000001,0,0\n0,-1,7,step,0,2000001,0,0\n"
                                 "0,3,-1,score,1500,10,0,0\n0,3,-1,recall,1510,90,64,4\n"
                                 "1,3,-1,publish,1600,1,0,0\n"));
  const std::string other = folder.Write(
      "other.csv",
      absl::StrCat(kPhaseLogHeader, "\n0,3,-1,select,1500,10,0,0\n0,-1,-1,step,0,2000001,0,0\n"));
  const TimelinePart parts[] = {{"simulated: a", WriteTimeline(folder, "a.json", 3), phases},
                                {"measured: a", "", other}};
  const std::string out = folder.File("joined.json");
  ASSERT_TRUE(JoinTimelines(parts, {}, out).ok());
  const std::string text = ReadFile(out);
  EXPECT_NE(text.find("\"ts\":0.000,\"dur\":2000.001,\"name\":\"step\""), std::string::npos)
      << text;
  EXPECT_NE(text.find("\"tick\":3,\"bytes\":64,\"pages\":4"), std::string::npos) << text;
  simdjson::dom::parser parser;
  const element root = parser.load(out);
  std::map<int64_t, std::map<std::string, int>> names;
  std::map<int64_t, std::map<int64_t, std::string>> tracks;
  std::map<std::string, std::string> flows;
  for (const element event : root["traceEvents"].get_array()) {
    const std::string phase{std::string_view(event["ph"])};
    const std::string name{std::string_view(event["name"])};
    if (phase == "X" || phase == "C") ++names[event["pid"]][name];
    EXPECT_TRUE(phase != "X" || tracks[event["pid"]][event["tid"]] == name) << name;
    if (name == "thread_name") {
      tracks[event["pid"]][event["tid"]] = std::string(std::string_view(event["args"]["name"]));
    }
    if (phase == "s" || phase == "t" || phase == "f")
      flows[std::string{std::string_view(event["id"])}] += phase;
  }
  EXPECT_EQ(tracks[1], tracks[2]) << "also where one side lacks a phase";
  EXPECT_EQ(names[2], (std::map<std::string, int>{{"step", 1}, {"select", 1}}));
  EXPECT_EQ(names[1]["HBM in use, bytes"], 3) << "counters of the timeline stay";
  names[1].erase("HBM in use, bytes");
  EXPECT_EQ(names[1],
            (std::map<std::string, int>{{"step", 1}, {"score", 1}, {"recall", 1}, {"publish", 1}}));
  EXPECT_EQ(flows, (std::map<std::string, std::string>{{"1.3", "stf"}, {"2.3", "s"}}));
}

// An arrow has no end without its begin, and a long part leaves room for the others.
TEST(JoinTimelinesTest, EveryPartHasItsShare) {
  const TempFolder folder;
  std::string rows = absl::StrCat(kPhaseLogHeader, "\n");
  for (int i = 0; i < 100; ++i) {
    const int64_t at = i * int64_t{1'000'000};
    absl::StrAppend(&rows, i, ",-1,-1,step,", at, ",1000000,0,0\n");
    absl::StrAppend(&rows, i, ",", i, ",-1,score,", at, ",10,0,0\n", i, ",", i, ",-1,recall,",
                    at + 500'000, ",10,0,0\n");
  }
  const std::string phases = folder.Write("phases.csv", rows);
  const TimelinePart parts[] = {{"simulated", "", phases}, {"measured", "", phases}};
  const std::string out = folder.File("joined.json");
  ASSERT_TRUE(JoinTimelines(parts, {.begin_s = 0.0103, .events_max = 100}, out).ok());
  simdjson::dom::parser parser;
  const element root = parser.load(out);
  std::map<int64_t, std::vector<double>> begins;
  std::map<std::string, std::string> flows;
  for (const element event : root["traceEvents"].get_array()) {
    const std::string phase{std::string_view(event["ph"])};
    if (phase == "M") continue;
    begins[event["pid"]].push_back(event["ts"]);
    if (phase != "X") flows[std::string{std::string_view(event["id"])}] += phase;
  }
  EXPECT_EQ(begins[1], begins[2]);
  EXPECT_LE(begins[1].size(), 50u);
  EXPECT_GT(begins[1].size(), 45u);
  EXPECT_FALSE(flows.contains("1.10")) << "its score is before the window";
  EXPECT_EQ(flows["1.11"], "st");
  EXPECT_GT(int64_t(root["otherData"]["events_dropped"]), 0);
  EXPECT_EQ(int64_t(root["otherData"]["event_bound"]), 100);
}

TEST(JoinTimelinesTest, WindowAndBoundHold) {
  const TempFolder folder;
  const TimelinePart parts[] = {{"a", WriteTimeline(folder, "a.json", 100), ""}};
  const std::string out = folder.File("joined.json");
  ASSERT_TRUE(JoinTimelines(parts, {.begin_s = 0.3, .end_s = 0.5}, out).ok());
  simdjson::dom::parser parser;
  {
    const element root = parser.load(out);
    int64_t steps = 0;
    for (const element event : root["traceEvents"].get_array()) {
      if (std::string_view(event["ph"]) == "M") continue;
      const double at_us = event["ts"];
      EXPECT_GE(at_us, 0.3e6);
      EXPECT_LT(at_us, 0.5e6);
      steps += std::string_view(event["name"]) == "step" ? 1 : 0;
    }
    EXPECT_EQ(steps, 20);
  }
  ASSERT_TRUE(JoinTimelines(parts, {.events_max = 50}, out).ok());
  const element root = parser.load(out);
  EXPECT_LE(root["traceEvents"].get_array().size(), 50u + 11u);
  EXPECT_GT(int64_t(root["otherData"]["events_dropped"]), 0);
  const absl::Status none = JoinTimelines(parts, {.begin_s = 5, .end_s = 6}, folder.File("no"));
  EXPECT_NE(std::string(none.message()).find("has no event"), std::string::npos) << none;
}

}  // namespace
}  // namespace tierscope::testing
