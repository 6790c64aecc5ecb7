#include "traces/request_container.h"

#include <functional>

#include "gtest/gtest.h"

#include "tests/testing/request_traces.h"
#include "tests/testing/temp_folder.h"
#include "traces/container.h"

namespace tierscope {
namespace {

using testing::Load;
using testing::LoadError;

// Interleaved conversations, so that dense ids do not rise in trace order.
std::string WriteWekaFolder(const testing::TempFolder& folder) {
  folder.Write(
      "d/a.json",
      "{\"requests\":[{\"t\":0,\"type\":\"n\",\"in\":64,\"out\":1,\"hash_ids\":[1]},"
      "{\"t\":2,\"type\":\"n\",\"in\":130,\"out\":2,\"hash_ids\":[1,7],\"think_time\":0.5}]}");
  folder.Write("d/b.json",
               "{\"requests\":[{\"t\":1,\"type\":\"n\",\"in\":64,\"out\":3,\"hash_ids\":[1]}]}");
  return folder.File("d");
}

TEST(RequestContainerTest, AnImportEqualsItsSource) {
  const testing::TempFolder folder;
  const std::string azure =
      "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,8,1\n";
  for (const std::string& source : {WriteWekaFolder(folder), folder.Write("a.csv", azure)}) {
    const RequestTrace trace = Load(source);
    const std::string path = folder.File("out");
    ASSERT_TRUE(WriteRequestContainer(trace, path).ok());
    const RequestTrace read = Load(path);
    EXPECT_EQ(read.format, trace.format);
    EXPECT_EQ(read.source_name, trace.source_name);
    EXPECT_EQ(read.digest, trace.digest);
    EXPECT_EQ(read.block_tokens, trace.block_tokens);
    EXPECT_EQ(read.conversation_count, trace.conversation_count);
    EXPECT_EQ(read.block_reference_count, trace.block_reference_count);
    EXPECT_EQ(read.block_count, trace.block_count);
    EXPECT_EQ(read.block_begin, trace.block_begin);
    EXPECT_EQ(read.block_ids, trace.block_ids);
    ASSERT_EQ(read.requests.size(), trace.requests.size());
    for (size_t i = 0; i < read.requests.size(); ++i) {
      EXPECT_EQ(read.requests[i].arrival, trace.requests[i].arrival);
      EXPECT_EQ(read.requests[i].think, trace.requests[i].think);
      EXPECT_EQ(read.requests[i].input_tokens, trace.requests[i].input_tokens);
      EXPECT_EQ(read.requests[i].output_tokens, trace.requests[i].output_tokens);
      EXPECT_EQ(read.requests[i].conversation, trace.requests[i].conversation);
    }
    EXPECT_EQ(LoadRequestTrace(path, {})->digest, trace.digest);
  }
}

// A container of a header and two requests, the second changed by `damage`.
std::string WriteDamaged(const testing::TempFolder& folder,
                         const std::function<void(RequestTraceHeader*, Request*)>& damage) {
  TraceRecord header, request;
  header.mutable_requests()->set_format("mooncake");
  header.mutable_requests()->set_block_tokens(512);
  request.mutable_request()->set_input_tokens(513);
  request.mutable_request()->set_conversation(-1);
  request.mutable_request()->add_block_ids(0);
  request.mutable_request()->add_block_ids(1);
  TraceRecord damaged = request;
  damage(header.mutable_requests(), damaged.mutable_request());
  const std::string path = folder.File("damaged");
  auto writer = ContainerWriter::Open(path);
  EXPECT_TRUE(writer.ok());
  for (const TraceRecord& record : {header, request, damaged}) {
    EXPECT_TRUE((*writer)->Append(record).ok());
  }
  EXPECT_TRUE((*writer)->Finish().ok());
  return path;
}

TEST(RequestContainerTest, RefusesRecordsOutOfRange) {
  const testing::TempFolder folder;
  Load(WriteDamaged(folder, [](RequestTraceHeader*, Request*) {}));
  const std::vector<std::function<void(RequestTraceHeader*, Request*)>> damages = {
      [](RequestTraceHeader*, Request* r) { r->set_arrival_ns(-1); },
      [](RequestTraceHeader*, Request* r) { r->set_arrival_ns(INT64_MAX); },
      [](RequestTraceHeader*, Request* r) { r->set_think_ns(-1); },
      [](RequestTraceHeader*, Request* r) { r->set_input_tokens(-1); },
      [](RequestTraceHeader*, Request* r) { r->set_output_tokens(INT64_MAX); },
      [](RequestTraceHeader*, Request* r) { r->set_conversation(0); },
      [](RequestTraceHeader*, Request* r) { r->set_conversation(-2); },
      [](RequestTraceHeader*, Request* r) { r->set_input_tokens(1536); },
      [](RequestTraceHeader*, Request* r) { r->add_block_ids(UINT64_MAX); },
  };
  for (const auto& damage : damages) {
    const std::string path = WriteDamaged(folder, damage);
    const std::string error = LoadError(path);
    EXPECT_EQ(error.find(path + ": record 2: "), 0) << error;
    EXPECT_NE(error.find("; import the source again"), std::string::npos) << error;
  }
  const std::string header =
      WriteDamaged(folder, [](RequestTraceHeader* h, Request*) { h->set_conversation_count(-1); });
  EXPECT_EQ(LoadError(header).find(header + ": record 0: a header field is out of range"), 0);
  const std::string gaps =
      WriteDamaged(folder, [](RequestTraceHeader*, Request* r) { r->add_block_ids(9); });
  EXPECT_NE(LoadError(gaps).find("without gaps"), std::string::npos);
}

// A file name may be any bytes; a string of a message must be UTF-8.
TEST(RequestContainerTest, TakesASourceOfAnyName) {
  const testing::TempFolder folder;
  RequestTrace trace = Load(folder.Write(
      "t.jsonl",
      "{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 9, \"hash_ids\": [7]}\n"));
  trace.source_name = "caf\xe9.jsonl";
  ASSERT_TRUE(WriteRequestContainer(trace, folder.File("t")).ok());
  EXPECT_EQ(Load(folder.File("t")).source_name, "caf\\xe9.jsonl");
  trace.source_name = "caf\xc3\xa9.jsonl";
  ASSERT_TRUE(WriteRequestContainer(trace, folder.File("t")).ok());
  EXPECT_EQ(Load(folder.File("t")).source_name, trace.source_name);
}

TEST(RequestContainerTest, RefusesAnAttentionTrace) {
  const testing::TempFolder folder;
  const std::string path = folder.File("attention");
  auto writer = ContainerWriter::Open(path);
  ASSERT_TRUE(writer.ok());
  TraceRecord record;
  record.mutable_profile()->set_model("m");
  ASSERT_TRUE((*writer)->Append(record).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_EQ(LoadError(path), path +
                                 ": record 0: the container holds an attention trace; give a "
                                 "request trace here");
}

}  // namespace
}  // namespace tierscope
