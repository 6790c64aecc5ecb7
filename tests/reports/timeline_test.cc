#include "reports/timeline.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "simdjson.h"

#include "tests/testing/golden.h"
#include "tests/testing/temp_folder.h"

namespace tierscope::testing {
namespace {

using simdjson::dom::element;

// The events of `root` that are not names of tracks.
std::vector<element> Events(const element& root) {
  std::vector<element> events;
  for (const element event : root["traceEvents"].get_array()) {
    if (event["ph"].get_string().value() != "M") events.push_back(event);
  }
  return events;
}

TEST(TimelineTest, GoldenWithEveryKindOfEvent) {
  const TempFolder folder;
  const std::string path = folder.path() + "/timeline.json";
  TimelineWriter timeline;
  ASSERT_TRUE(timeline.Open(path, 100).ok());
  timeline.Complete(Track::kDecode, "step", {1'234'567'891}, {29'400'001},
                    {{"batch", 60}, {"stall_ms", 0.5}, {"graph", "b64"}});
  timeline.Complete(Track::kLevel1, "job", {1'234'567'891}, {14'000'000});
  timeline.Flow(FlowPoint::kStart, 7, Track::kLevel1, {1'234'567'891});
  timeline.Complete(Track::kRecall, "recall", {1'248'567'891}, {2'000'000}, {{"pages", 96}});
  timeline.Flow(FlowPoint::kStep, 7, Track::kRecall, {1'248'567'891});
  timeline.Flow(FlowPoint::kEnd, 7, Track::kDecode, {1'250'567'891});
  timeline.Overlapping(Track::kRequests, "request", 12, {5}, {2'000'000'000},
                       {{"context", 524'288}});
  timeline.Counter("pages held", {0}, 5760);
  EXPECT_FALSE(std::filesystem::exists(path)) << "has its name before it is complete";
  ASSERT_TRUE(timeline.Finish().ok());
  EXPECT_EQ(timeline.event_count(), 9);
  ExpectGolden(ReadFile(path), "reports_timeline.json");
}

TEST(TimelineTest, TimesKeepTheirNanoseconds) {
  const TempFolder folder;
  const std::string path = folder.path() + "/timeline.json";
  TimelineWriter timeline;
  ASSERT_TRUE(timeline.Open(path, 10).ok());
  timeline.Complete(Track::kDecode, "step", {3'600'000'000'001}, {7});
  ASSERT_TRUE(timeline.Finish().ok());
  const std::string text = ReadFile(path);
  EXPECT_NE(text.find("\"ts\":3600000000.001,\"dur\":0.007"), std::string::npos) << text;
}

TEST(TimelineTest, BoundHoldsAndIsSaid) {
  const TempFolder folder;
  const std::string path = folder.path() + "/timeline.json";
  TimelineWriter timeline;
  ASSERT_TRUE(timeline.Open(path, 5).ok());
  for (int64_t i = 0; i < 1'000; ++i) {
    timeline.Overlapping(Track::kRequests, "request", i, {i}, {1});
  }
  timeline.Counter("late", {2'000}, 1);  // there would be room for one, but it is past the gap
  ASSERT_TRUE(timeline.Finish().ok());
  EXPECT_EQ(timeline.event_count(), 4);
  EXPECT_EQ(timeline.dropped_count(), 2 * 998 + 1);
  simdjson::dom::parser parser;
  const element root = parser.load(path);
  const std::vector<element> events = Events(root);
  ASSERT_EQ(events.size(), 5u) << "four kept and the remark";
  EXPECT_NE(std::string(events[4]["name"].get_string().value()).find("1997 events"),
            std::string::npos);
  EXPECT_EQ(events[4]["ts"].get_double().value(), 0.002);
  EXPECT_EQ(root["otherData"]["events_dropped"].get_int64().value(), 1'997);
  EXPECT_EQ(root["otherData"]["events"].get_int64().value(), 4);
}

TEST(TimelineTest, HostileNamesAreValidJson) {
  const TempFolder folder;
  const std::string path = folder.path() + "/timeline.json";
  const std::string hostile = "\"\\\n\x01\xff</script>";
  TimelineWriter timeline;
  ASSERT_TRUE(timeline.Open(path, 10).ok());
  timeline.Complete(Track::kDecode, hostile, {0}, {0}, {{hostile, hostile}});
  ASSERT_TRUE(timeline.Finish().ok());
  simdjson::dom::parser parser;
  const element root = parser.load(path);
  EXPECT_EQ(Events(root)[0]["name"].get_string().value(), "\"\\\n\x01\xEF\xBF\xBD</script>");
}

TEST(TimelineTest, TracksAreNamedInOrder) {
  const TempFolder folder;
  const std::string path = folder.path() + "/timeline.json";
  TimelineWriter timeline;
  ASSERT_TRUE(timeline.Open(path, 1).ok());
  ASSERT_TRUE(timeline.Finish().ok());
  simdjson::dom::parser parser;
  const element root = parser.load(path);
  std::map<int64_t, std::string> names;
  for (const element event : root["traceEvents"].get_array()) {
    if (event["name"].get_string().value() != "thread_name") continue;
    names[event["tid"].get_int64()] = std::string(event["args"]["name"].get_string().value());
  }
  const std::map<int64_t, std::string> expected = {
      {1, "decode"}, {2, "level1"}, {3, "recall"}, {4, "prefill"}, {5, "requests"}};
  EXPECT_EQ(names, expected);
}

TEST(TimelineTest, AbandonedWriterLeavesNothing) {
  const TempFolder folder;
  {
    TimelineWriter timeline;
    ASSERT_TRUE(timeline.Open(folder.path() + "/timeline.json", 10).ok());
    timeline.Complete(Track::kDecode, "step", {0}, {1});
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(TimelineTest, FolderThatDoesNotExistIsAStatusWithThePath) {
  TimelineWriter timeline;
  const absl::Status status = timeline.Open("/no/such/folder/timeline.json", 10);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find("/no/such/folder/timeline.json"), std::string::npos);
}

}  // namespace
}  // namespace tierscope::testing
