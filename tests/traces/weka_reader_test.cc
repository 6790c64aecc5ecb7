#include "traces/weka_reader.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/testing/request_traces.h"
#include "tests/testing/temp_folder.h"

namespace tierscope {
namespace {

using testing::ArrivalsNs;
using testing::Conversations;
using testing::IdsOf;
using testing::Inputs;
using testing::Load;
using testing::LoadError;

constexpr int64_t kMs = 1'000'000;

std::string Entry(absl::string_view t, int64_t in, absl::string_view ids,
                  absl::string_view more = "") {
  return absl::StrCat("{\"t\":", t, ",\"type\":\"n\",\"model\":\"m\",\"in\":", in,
                      ",\"out\":3,\"hash_ids\":[", ids, "]", more, "}");
}

std::string Marker(absl::string_view t, absl::string_view entries) {
  return absl::StrCat("{\"t\":", t, ",\"type\":\"subagent\",\"requests\":[", entries,
                      "],\"models\":[\"m\"]}");
}

std::string File(absl::string_view entries) {
  return absl::StrCat(
      "{\"id\":\"a\",\"models\":[\"m\"],\"block_size\":64,\"hash_id_scope\":\"local\",\"requests\":"
      "[",
      entries, "],\"totals\":{\"in\":1}}");
}

class WekaReaderTest : public ::testing::Test {
 protected:
  std::string Write(absl::string_view text) { return folder_.Write("a.json", text); }
  std::string WriteEntries(absl::string_view entries) { return Write(File(entries)); }
  std::string EntryError(absl::string_view entries) {
    const std::string path = WriteEntries(entries);
    const std::string error = LoadError(path);
    EXPECT_EQ(error.find(path + ": offset "), 0) << error;
    return error.substr(std::min(error.size(), path.size() + 2));
  }
  testing::TempFolder folder_;
};

TEST_F(WekaReaderTest, ReadsSecondsTokensAndThinkTime) {
  const RequestTrace trace = Load(WriteEntries(
      absl::StrCat(Entry("0.0", 191, "1,2", ",\"think_time\":0.25"), ",", Entry("12.5", 64, "1"))));
  EXPECT_EQ(trace.format, "weka");
  EXPECT_EQ(trace.block_tokens, 64);
  EXPECT_EQ(trace.conversation_count, 1);
  EXPECT_EQ(ArrivalsNs(trace), (std::vector<int64_t>{0, 12'500 * kMs}));
  EXPECT_EQ(Inputs(trace), (std::vector<int64_t>{191, 64}));  // a context may shrink
  EXPECT_EQ(trace.requests[0].output_tokens, 3);
  EXPECT_EQ(trace.requests[0].think.ns, 250 * kMs);
  EXPECT_EQ(trace.requests[1].think.ns, 0);
  EXPECT_EQ(trace.block_reference_count, 3);
  EXPECT_EQ(trace.block_count, 2);
}

// 1.0004 s + 0.0003 s is 1.0007 s: rounding each first would give 1.000 s, not 1.001 s.
TEST_F(WekaReaderTest, SubAgentTimesAreAddedThenRounded) {
  const RequestTrace trace = Load(WriteEntries(
      Marker("1.0004", absl::StrCat(Entry("0.0003", 1, ""), ",", Entry("0.0001", 2, ""), ",",
                                    Entry("0.00005", 3, ""), ",", Entry("0.0011", 4, "")))));
  EXPECT_EQ(ArrivalsNs(trace),
            (std::vector<int64_t>{1000 * kMs, 1001 * kMs, 1001 * kMs, 1002 * kMs}));
}

TEST_F(WekaReaderTest, HalfMillisecondsRoundUpExactly) {
  const RequestTrace trace = Load(WriteEntries(absl::StrCat(
      Entry("1.0005", 1, ""), ",", Entry("8.0025", 2, ""), ",", Entry("440243.4995", 3, ""))));
  EXPECT_EQ(ArrivalsNs(trace), (std::vector<int64_t>{1001 * kMs, 8003 * kMs, 440'243'500 * kMs}));
}

// A sub-agent's requests stand between the others by time; at equal times by index, then inner
// index.
TEST_F(WekaReaderTest, OrderIsTimeThenIndexThenInnerIndex) {
  const RequestTrace trace = Load(
      WriteEntries(absl::StrCat(Entry("0", 1, ""), ",",
                                Marker("1", absl::StrCat(Entry("2", 2, ""), ",", Entry("2", 3, ""),
                                                         ",", Entry("0.5", 4, ""))),
                                ",", Entry("3", 5, ""), ",", Entry("2", 6, ""))));
  EXPECT_EQ(Inputs(trace), (std::vector<int64_t>{1, 4, 6, 2, 3, 5}));
  EXPECT_EQ(ArrivalsNs(trace),
            (std::vector<int64_t>{0, 1500 * kMs, 2000 * kMs, 3000 * kMs, 3000 * kMs, 3000 * kMs}));
}

TEST_F(WekaReaderTest, ADirectoryIsOneTraceInTheOrderOfNames) {
  // Written against the order of names; "10" sorts before "9" by bytes.
  folder_.Write("d/9.json", File(absl::StrCat(Entry("0", 9, ""), ",", Entry("5", 31, ""))));
  folder_.Write("d/10.json", File(absl::StrCat(Entry("0", 10, ""), ",", Entry("5", 11, ""))));
  folder_.Write("d/a.json", File(absl::StrCat(Entry("0", 20, ""), ",", Entry("4", 21, ""))));
  folder_.Write("d/LICENSE", "not a trace");
  const RequestTrace trace = Load(folder_.File("d"));
  EXPECT_EQ(trace.source_name, "d");
  EXPECT_EQ(trace.conversation_count, 3);
  EXPECT_EQ(Inputs(trace), (std::vector<int64_t>{10, 9, 20, 21, 11, 31}));
  EXPECT_EQ(Conversations(trace), (std::vector<int32_t>{0, 1, 2, 2, 0, 1}));
  EXPECT_EQ(Load(folder_.File("d/")).digest, trace.digest);
}

TEST_F(WekaReaderTest, IdsOfDifferentFilesAreDifferentBlocks) {
  folder_.Write("d/a.json", File(absl::StrCat(Entry("0", 1, "1,2"), ",", Entry("2", 1, "1,3"))));
  folder_.Write("d/b.json", File(absl::StrCat(Entry("1", 1, "1,2"), ",",
                                              Marker("3", Entry("0", 1, "2,99999999999")))));
  const RequestTrace trace = Load(folder_.File("d"));
  EXPECT_EQ(IdsOf(trace, 0), (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(IdsOf(trace, 1), (std::vector<uint32_t>{3, 4}));
  EXPECT_EQ(IdsOf(trace, 2), (std::vector<uint32_t>{0, 2}));
  EXPECT_EQ(IdsOf(trace, 3), (std::vector<uint32_t>{4, 5}));  // a sub-agent shares its file's scope
  EXPECT_EQ(trace.block_count, 6);
}

TEST_F(WekaReaderTest, RefusesTooFewHashIdsAndNamesThePlace) {
  Load(WriteEntries(Entry("0", 127, "1")));
  const std::string entries = absl::StrCat(Entry("0", 1, ""), ",", Entry("1", 128, "1"));
  const std::string path = WriteEntries(entries);
  const size_t offset = File(entries).rfind("{\"t\"");
  EXPECT_EQ(LoadError(path),
            absl::StrCat(path, ": offset ", offset,
                         ": requests[1]: 1 hash_ids of 64 tokens are too few for in 128; give "
                         "floor(in / 64) ids or correct in"));
  const std::string nested = EntryError(
      absl::StrCat(Entry("0", 1, ""), ",",
                   Marker("1", absl::StrCat(Entry("0", 1, ""), ",", Entry("0", 64, "")))));
  EXPECT_NE(nested.find(": requests[1].requests[1]: 0 hash_ids"), std::string::npos) << nested;
  const std::string after =
      EntryError(absl::StrCat(Marker("1", Entry("0", 1, "")), ",", Entry("0", 64, "")));
  EXPECT_NE(after.find(": requests[1]: 0 hash_ids"), std::string::npos) << after;
}

TEST_F(WekaReaderTest, RefusesMissingFields) {
  const std::string missing = "' is missing; add it or leave the record out";
  const auto expect = [&](const std::string& entry, const std::string& field) {
    const std::string error = EntryError(entry);
    EXPECT_NE(error.find(": requests[0]: field '" + field + missing), std::string::npos) << error;
  };
  expect("{\"type\":\"n\",\"in\":1,\"out\":1,\"hash_ids\":[]}", "t");
  expect("{\"t\":1,\"in\":1,\"out\":1,\"hash_ids\":[]}", "type");
  expect("{\"t\":1,\"type\":\"n\",\"out\":1,\"hash_ids\":[]}", "in");
  expect("{\"t\":1,\"type\":\"n\",\"in\":1,\"hash_ids\":[]}", "out");
  expect("{\"t\":1,\"type\":\"n\",\"in\":1,\"out\":1}", "hash_ids");
  EXPECT_NE(
      EntryError("{\"t\":1,\"type\":\"subagent\"}").find("'requests' of a sub-agent is missing"),
      std::string::npos);
  EXPECT_NE(LoadError(Write("{\"id\":\"a\"}")).find("field 'requests' is missing"),
            std::string::npos);
}

TEST_F(WekaReaderTest, RefusesNegativeHugeAndNonNumbers) {
  for (const char* t : {"-0.001", "1e300", "1e999", "NaN", "\"1\"", "null", "3153600001"}) {
    const std::string error = EntryError(Entry(t, 1, ""));
    EXPECT_NE(error.find("field 't' is not a time from 0 to 3153600000 s"), std::string::npos)
        << error;
    const std::string think = EntryError(Entry("1", 1, "", absl::StrCat(",\"think_time\":", t)));
    EXPECT_NE(think.find("field 'think_time' is not a time"), std::string::npos) << think;
  }
  EXPECT_NE(EntryError(Entry("1", -1, "")).find("field 'in' is not a whole number"),
            std::string::npos);
  EXPECT_NE(EntryError(Entry("1", 1, "-4")).find("field 'hash_ids[0]' is not"), std::string::npos);
  EXPECT_NE(EntryError(Entry("1", 1073741825, "")).find("from 0 to 1073741824"), std::string::npos);
}

TEST_F(WekaReaderTest, RefusesWhatTheFormatDoesNotSay) {
  EXPECT_NE(EntryError("{\"t\":1,\"type\":\"z\",\"in\":1,\"out\":1,\"hash_ids\":[]}")
                .find("requests[0]: unknown type 'z'"),
            std::string::npos);
  EXPECT_NE(EntryError(Marker("1", Marker("1", Entry("0", 1, "")))).find("a sub-agent inside"),
            std::string::npos);
  EXPECT_NE(EntryError("7").find("requests[0]: is not an object"), std::string::npos);
  EXPECT_NE(
      LoadError(Write("{\"block_size\":16,\"requests\":[]}")).find("block_size is 16, not 64"),
      std::string::npos);
  EXPECT_NE(LoadError(Write("{\"requests\":[],\"hash_id_scope\":\"global\"}")).find("'global'"),
            std::string::npos);
  EXPECT_NE(LoadError(Write("{\"requests\":[],\"requests\":[]}")).find("stands twice"),
            std::string::npos);
  EXPECT_NE(LoadError(WriteEntries("")).find("holds no request"), std::string::npos);
}

TEST_F(WekaReaderTest, RefusesEveryCut) {
  const std::string whole = File(
      absl::StrCat(Entry("0", 64, "1", ",\"think_time\":1"), ",", Marker("1", Entry("0", 1, ""))));
  Load(Write(whole));
  for (size_t size = 1; size < whole.size(); ++size) {
    const std::string path = Write(whole.substr(0, size));
    const std::string error = LoadError(path);
    EXPECT_EQ(error.find(path + ": offset "), 0) << error;
  }
  EXPECT_NE(LoadError(Write(whole + "{}")).find("damaged or cut JSON"), std::string::npos);
}

TEST_F(WekaReaderTest, NamesTheDamagedFileOfADirectory) {
  folder_.Write("d/a.json", File(Entry("0", 1, "")));
  const std::string cut = folder_.Write("d/b.json", "{\"requests\":[");
  EXPECT_EQ(LoadError(folder_.File("d")).find(cut + ": offset 13: damaged or cut JSON"), 0);
  const std::string empty = folder_.Write("d/a.json", "");
  EXPECT_EQ(LoadError(folder_.File("d")),
            empty + ": offset 0: the file is empty; fetch or export the trace again");
  folder_.Write("e/readme.txt", "x");
  EXPECT_EQ(LoadError(folder_.File("e")),
            folder_.File("e") +
                ": the directory holds no .json file; give a directory of "
                "kv-cache-tester conversations");
}

}  // namespace
}  // namespace tierscope
