#include "traces/mooncake_reader.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/testing/request_traces.h"
#include "tests/testing/temp_folder.h"

namespace tierscope {
namespace {

using testing::ArrivalsNs;
using testing::IdsOf;
using testing::Inputs;
using testing::Load;
using testing::LoadError;
using testing::Outputs;

std::string Line(int64_t timestamp, int64_t input, int64_t output, absl::string_view ids) {
  return absl::StrCat("{\"timestamp\": ", timestamp, ", \"input_length\": ", input,
                      ", \"output_length\": ", output, ", \"hash_ids\": [", ids, "]}\n");
}

class MooncakeReaderTest : public ::testing::Test {
 protected:
  std::string Write(absl::string_view text) { return folder_.Write("a.jsonl", text); }
  // The error of a good line followed by `line`, without the path.
  std::string SecondLineError(absl::string_view line) {
    const std::string path = Write(absl::StrCat(Line(0, 1, 1, "7"), line, "\n"));
    const std::string error = LoadError(path);
    const std::string place = absl::StrCat(path, ":2: ");
    EXPECT_EQ(error.substr(0, place.size()), place);
    return error.substr(std::min(place.size(), error.size()));
  }
  testing::TempFolder folder_;
};

TEST_F(MooncakeReaderTest, ReadsMillisecondsTokensAndIds) {
  const RequestTrace trace =
      Load(Write(absl::StrCat(Line(0, 513, 7, "40, 41"), Line(1500, 512, 0, "40"))));
  EXPECT_EQ(trace.format, "mooncake");
  EXPECT_EQ(trace.source_name, "a.jsonl");
  EXPECT_EQ(trace.block_tokens, 512);
  EXPECT_EQ(trace.conversation_count, 0);
  EXPECT_EQ(ArrivalsNs(trace), (std::vector<int64_t>{0, 1'500'000'000}));
  EXPECT_EQ(Inputs(trace), (std::vector<int64_t>{513, 512}));
  EXPECT_EQ(Outputs(trace), (std::vector<int64_t>{7, 0}));  // output 0 is legal
  EXPECT_EQ(trace.block_reference_count, 3);
  EXPECT_EQ(trace.block_count, 2);
  EXPECT_EQ(IdsOf(trace, 1), std::vector<uint32_t>{IdsOf(trace, 0)[0]});
  EXPECT_NE(IdsOf(trace, 0)[0], IdsOf(trace, 0)[1]);
  EXPECT_EQ(trace.requests[0].conversation, -1);
}

TEST_F(MooncakeReaderTest, IdsAreDenseWhateverTheirValue) {
  const RequestTrace trace =
      Load(Write(absl::StrCat(Line(0, 1, 1, "18446744073709551615, 0, 16777216, 16777215"),
                              Line(1, 1, 1, "16777215, 16777216, 0, 18446744073709551615, 9999"))));
  EXPECT_EQ(IdsOf(trace, 0), (std::vector<uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(IdsOf(trace, 1), (std::vector<uint32_t>{3, 2, 1, 0, 4}));
  EXPECT_EQ(trace.block_count, 5);
}

// Enough equal timestamps that an unstable sort would mix them, and one line out of order.
TEST_F(MooncakeReaderTest, EqualTimestampsKeepFileOrder) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += Line(i < 100 ? 5 : 3, 1 + i, 1, absl::StrCat(i, ", ", i % 3));
  const RequestTrace trace = Load(Write(text));
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(trace.requests[i].input_tokens, i < 100 ? 101 + i : i - 99);
    ASSERT_EQ(trace.requests[i].arrival.ns, i < 100 ? 3'000'000 : 5'000'000);
  }
  // The ids move with their requests.
  const RequestTrace sorted =
      Load(folder_.Write("b.jsonl", Line(9, 1, 1, "1,2") + Line(4, 2, 1, "3")));
  EXPECT_EQ(IdsOf(sorted, 0), std::vector<uint32_t>{2});
  EXPECT_EQ(IdsOf(sorted, 1), (std::vector<uint32_t>{0, 1}));
}

TEST_F(MooncakeReaderTest, ToleratesCrlfBlankLinesByteOrderMarkAndNoLastNewline) {
  const RequestTrace trace = Load(Write(
      "\xEF\xBB\xBF{\"timestamp\":1,\"input_length\":2,\"output_length\":3,\"hash_ids\":[4]}\r\n"
      "\r\n\n"
      "{\"hash_ids\":[4],\"extra\":{\"a\":[1]},\"output_length\":3,\"input_length\":2,"
      "\"timestamp\":1}"));
  ASSERT_EQ(trace.requests.size(), 2);
  EXPECT_EQ(trace.block_count, 1);
}

TEST_F(MooncakeReaderTest, DigestFollowsContentAndNotSpelling) {
  const std::string digest = Load(Write(Line(0, 512, 1, "1") + Line(1, 512, 1, "2"))).digest;
  EXPECT_EQ(digest.size(), 16);
  EXPECT_EQ(Load(Write(Line(0, 512, 1, "5") + "\n" + Line(1, 512, 1, " 6"))).digest, digest);
  EXPECT_NE(Load(Write(Line(0, 512, 1, "1") + Line(1, 512, 1, "1"))).digest, digest);
  EXPECT_NE(Load(Write(Line(0, 512, 1, "1") + Line(2, 512, 1, "2"))).digest, digest);
  EXPECT_NE(Load(Write(Line(0, 512, 1, "1") + Line(1, 512, 2, "2"))).digest, digest);
  EXPECT_NE(Load(Write(Line(0, 512, 1, "1") + Line(1, 511, 1, "2"))).digest, digest);
}

TEST_F(MooncakeReaderTest, WithoutIdsEverythingElseIsTheSame) {
  const std::string path = Write(Line(7, 1024, 1, "1,2") + Line(1, 512, 1, "2"));
  const RequestTrace with_ids = Load(path);
  const absl::StatusOr<RequestTrace> bare = LoadRequestTrace(path, {});
  ASSERT_TRUE(bare.ok());
  EXPECT_TRUE(bare->block_ids.empty());
  EXPECT_TRUE(bare->block_begin.empty());
  EXPECT_EQ(bare->digest, with_ids.digest);
  EXPECT_EQ(bare->block_reference_count, 3);
  EXPECT_EQ(bare->block_count, 2);
  EXPECT_EQ(ArrivalsNs(*bare), ArrivalsNs(with_ids));
}

TEST_F(MooncakeReaderTest, RefusesTooFewHashIds) {
  EXPECT_EQ(SecondLineError(Line(0, 1025, 1, "1, 2")),
            "2 hash_ids of 512 tokens are too few for input_length 1025; give ceil(input_length / "
            "512) ids or correct input_length");
  Load(Write(Line(0, 1024, 1, "1, 2")));
}

TEST_F(MooncakeReaderTest, RefusesSecondsAndOtherFormats) {
  const std::string mend = "; convert a trace in seconds or in another format first";
  for (const char* timestamp : {"1.5", "1.0", "-1", "\"1\"", "1e3", "null", "3153600000001"}) {
    EXPECT_EQ(
        SecondLineError(absl::StrCat("{\"timestamp\":", timestamp,
                                     ",\"input_length\":1,\"output_length\":1,\"hash_ids\":[1]}")),
        "field 'timestamp' is not a whole number of milliseconds from 0 to 3153600000000" + mend)
        << timestamp;
  }
  const std::string bailian = SecondLineError(
      "{\"chat_id\":1,\"timestamp\":61,\"input_length\":1,\"output_length\":1,\"hash_ids\":[1]}");
  EXPECT_NE(bailian.find("Bailian"), std::string::npos) << bailian;
}

TEST_F(MooncakeReaderTest, RefusesMissingTwiceAndOutOfRangeFields) {
  const std::string missing = "' is missing; add it or leave the record out";
  EXPECT_EQ(SecondLineError("{\"input_length\":1,\"output_length\":1,\"hash_ids\":[1]}"),
            "field 'timestamp" + missing);
  EXPECT_EQ(SecondLineError("{\"timestamp\":1,\"output_length\":1,\"hash_ids\":[1]}"),
            "field 'input_length" + missing);
  EXPECT_EQ(SecondLineError("{\"timestamp\":1,\"input_length\":1,\"hash_ids\":[1]}"),
            "field 'output_length" + missing);
  EXPECT_EQ(SecondLineError("{\"timestamp\":1,\"input_length\":0,\"output_length\":1}"),
            "field 'hash_ids" + missing);
  EXPECT_EQ(SecondLineError("{\"timestamp\":1,\"timestamp\":1}"),
            "field 'timestamp' stands twice; remove one of them");
  EXPECT_EQ(SecondLineError(Line(1, -1, 1, "1")),
            "field 'input_length' is not a whole number from 0 to 1073741824; correct it or export "
            "the trace again");
  EXPECT_EQ(
      SecondLineError(Line(1, 1, 1073741825, "1")),
      "field 'output_length' is not a whole number from 0 to 1073741824; correct it or export "
      "the trace again");
  for (const char* id : {"-1", "1.5", "\"a\"", "null", "18446744073709551616"}) {
    EXPECT_EQ(
        SecondLineError(Line(1, 1, 1, absl::StrCat("3, ", id))),
        "field 'hash_ids[1]' is not a whole number in [0, 2^64); correct it or export the trace "
        "again");
  }
}

TEST_F(MooncakeReaderTest, RefusesEveryCutOfALine) {
  const std::string whole = Line(0, 1, 1, "1");
  const std::string second =
      "{\"timestamp\":1,\"input_length\":1,\"output_length\":1,\"hash_ids\":[1],\"extra\":{\"a\":1}"
      "}";
  for (size_t size = 1; size < second.size(); ++size) {
    const std::string path = Write(whole + second.substr(0, size));
    const std::string error = LoadError(path);
    EXPECT_EQ(error.find(path + ":2: "), 0) << error;
  }
  EXPECT_EQ(Load(Write(whole + second)).requests.size(), 2);
  EXPECT_NE(SecondLineError(second + "x").find("damaged or cut JSON"), std::string::npos);
  EXPECT_NE(SecondLineError(second + second).find("damaged or cut JSON"), std::string::npos);
  EXPECT_NE(SecondLineError("[1]").find("damaged or cut JSON"), std::string::npos);
}

}  // namespace
}  // namespace tierscope
