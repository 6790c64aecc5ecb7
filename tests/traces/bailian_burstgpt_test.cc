#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/testing/request_traces.h"
#include "tests/testing/temp_folder.h"
#include "traces/request_container.h"

namespace tierscope {
namespace {

using testing::ArrivalsNs;
using testing::Conversations;
using testing::IdsOf;
using testing::Inputs;
using testing::Load;
using testing::LoadError;
using testing::Outputs;

std::string Bailian(int64_t chat, int64_t parent, const std::string& seconds, int input,
                    const std::string& ids) {
  return absl::StrCat("{\"chat_id\": ", chat, ", \"parent_chat_id\": ", parent,
                      ", \"timestamp\": ", seconds, ", \"input_length\": ", input,
                      ", \"output_length\": 7, \"type\": \"text\", \"turn\": 1, \"hash_ids\": [",
                      ids, "]}\n");
}

TEST(BailianReaderTest, SecondsBlocksAndConversations) {
  const testing::TempFolder folder;
  const std::string text = Bailian(9, -1, "61.114", 33, "5,6,7") + Bailian(4, -1, "61.2", 16, "5") +
                           Bailian(11, 9, "70", 32, "5,6") + Bailian(12, 11, "80", 0, "") +
                           Bailian(13, 999, "81", 1, "1");
  const RequestTrace trace = Load(folder.Write("t.jsonl", text));
  EXPECT_EQ(trace.format, "bailian");
  EXPECT_EQ(trace.block_tokens, 16);
  EXPECT_EQ(ArrivalsNs(trace), (std::vector<int64_t>{61'114'000'000, 61'200'000'000, 70'000'000'000,
                                                     80'000'000'000, 81'000'000'000}));
  EXPECT_EQ(Inputs(trace), (std::vector<int64_t>{33, 16, 32, 0, 1}));
  EXPECT_EQ(Conversations(trace), (std::vector<int32_t>{0, 1, 0, 0, 2}));
  EXPECT_EQ(trace.conversation_count, 3);
  EXPECT_EQ(IdsOf(trace, 0), (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(IdsOf(trace, 2), (std::vector<uint32_t>{0, 1}));
  ASSERT_TRUE(WriteRequestContainer(trace, folder.File("t.trace")).ok());
  EXPECT_EQ(Load(folder.File("t.trace")).digest, trace.digest);
}

TEST(BailianReaderTest, Refusals) {
  const testing::TempFolder folder;
  const auto error = [&folder](const std::string& second) {
    const std::string path = folder.Write("t.jsonl", Bailian(1, -1, "0", 16, "1") + second);
    const std::string message = LoadError(path);
    EXPECT_EQ(message.find(path + ":2: "), 0u) << message;
    return message;
  };
  EXPECT_TRUE(absl::StrContains(error(Bailian(2, -1, "1", 17, "1")),
                                "1 hash_ids of 16 tokens are too few for input_length 17"));
  EXPECT_TRUE(absl::StrContains(error(Bailian(1, -1, "1", 16, "1")), "chat_id 1 stands twice"));
  EXPECT_TRUE(absl::StrContains(error(Bailian(2, -2, "1", 16, "1")), "parent_chat_id"));
  EXPECT_TRUE(absl::StrContains(error(Bailian(2, -1, "-1", 16, "1")), "timestamp"));
  EXPECT_TRUE(absl::StrContains(error("{\"chat_id\":2}\n"), "'timestamp' is missing"));
  const std::string whole = Bailian(2, -1, "1", 16, "1");
  for (size_t lost = 2; lost < 40; ++lost) error(whole.substr(0, whole.size() - lost));
}

TEST(BurstGptReaderTest, FailuresAreLeftOutAndCounted) {
  const testing::TempFolder folder;
  const RequestTrace trace =
      Load(folder.Write("b.csv",
                        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\r\n"
                        "5,ChatGPT,472,18,490,Conversation log\r\n"
                        "45,ChatGPT,1087,0,1087,API log\r\n"
                        "118.25,GPT-4,417,276,693,Conversation log\r\n"
                        "119,GPT-4,0,0,0,Conversation log\r\n"));
  EXPECT_EQ(trace.format, "burstgpt");
  EXPECT_EQ(ArrivalsNs(trace), (std::vector<int64_t>{5'000'000'000, 118'250'000'000}));
  EXPECT_EQ(Inputs(trace), (std::vector<int64_t>{472, 417}));
  EXPECT_EQ(Outputs(trace), (std::vector<int64_t>{18, 276}));
  EXPECT_EQ(trace.failed_request_count, 2);
  EXPECT_EQ(trace.block_tokens, 0);
  ASSERT_TRUE(WriteRequestContainer(trace, folder.File("b.trace")).ok());
  EXPECT_EQ(Load(folder.File("b.trace")).failed_request_count, 2);
}

TEST(BurstGptReaderTest, SessionsOfTheSecondRelease) {
  const testing::TempFolder folder;
  const RequestTrace trace = Load(folder.Write("b.csv",
                                               "Timestamp,Session ID,Elapsed time,Model,Request "
                                               "tokens,Response tokens,Total tokens,Log Type\n"
                                               "1.5,7f,3.2,ChatGPT,10,1,11,Conversation log\n"
                                               "2,,3.2,ChatGPT,10,1,11,API log\n"
                                               "3,7f,3.2,ChatGPT,10,1,11,Conversation log\n"));
  EXPECT_EQ(Conversations(trace), (std::vector<int32_t>{0, -1, 0}));
  EXPECT_EQ(trace.conversation_count, 1);
}

TEST(BurstGptReaderTest, Refusals) {
  const testing::TempFolder folder;
  const std::string header =
      "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n";
  const auto error = [&](const std::string& row) {
    const std::string path = folder.Write("b.csv", header + "5,A,4,1,5,C\n" + row);
    const std::string message = LoadError(path);
    EXPECT_EQ(message.find(path + ":3: "), 0u) << message;
    return message;
  };
  EXPECT_TRUE(absl::StrContains(error("5,A,4,1,6,C\n"), "Total tokens 6 is not"));
  EXPECT_TRUE(absl::StrContains(error("x,A,4,1,5,C\n"), "Timestamp"));
  EXPECT_TRUE(absl::StrContains(error("1e3,A,4,1,5,C\n"), "Timestamp"));
  EXPECT_TRUE(absl::StrContains(error("5,A,-4,1,5,C\n"), "Request tokens"));
  EXPECT_TRUE(absl::StrContains(error("5,A,4,1\n"), "4 columns of 6"));
  EXPECT_TRUE(absl::StrContains(
      LoadError(folder.Write("c.csv", "Timestamp,Response tokens\n1,1\n")), "the header lacks"));
}

}  // namespace
}  // namespace tierscope
