// What does not belong to one format: telling them apart, missing and strange files, damaged bytes.
#include "traces/request_trace.h"

#include <sys/stat.h>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/request_traces.h"
#include "tests/testing/temp_folder.h"

namespace tierscope {
namespace {

using testing::Load;
using testing::LoadError;

constexpr absl::string_view kMooncake =
    "{\"timestamp\":1,\"input_length\":600,\"output_length\":1,\"hash_ids\":[1,2]}\n";
constexpr absl::string_view kWeka =
    "{\n \"block_size\":64,\n \"requests\":[\n"
    "  {\"t\":1.5,\"type\":\"n\",\"in\":70,\"out\":1,\"hash_ids\":[1]},\n"
    "  {\"t\":2,\"type\":\"subagent\",\"requests\":[{\"t\":0,\"type\":\"s\",\"in\":1,\"out\":1,"
    "\"hash_ids\":[]}]}]\n}\n";
constexpr absl::string_view kAzure =
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n";

TEST(RequestTraceTest, TellsFormatsApartByContent) {
  const testing::TempFolder folder;
  EXPECT_EQ(Load(folder.Write("a.txt", kMooncake)).format, "mooncake");
  EXPECT_EQ(Load(folder.Write("b.txt", kWeka)).format, "weka");
  EXPECT_EQ(Load(folder.Write("c.txt", kAzure)).format, "azure2023");
  EXPECT_EQ(Load(folder.Write("d.json", kMooncake)).format, "mooncake");
  EXPECT_EQ(Load(folder.Write("e.csv", kWeka)).format, "weka");
}

TEST(RequestTraceTest, RefusesWhatIsNoTrace) {
  const testing::TempFolder folder;
  const std::string missing = folder.File("missing.jsonl");
  EXPECT_EQ(LoadError(missing), missing +
                                    ": cannot read: No such file or directory; check the path "
                                    "and its permissions");
  for (const char* name : {"a.jsonl", "a.json", "a.csv", "a"}) {
    const std::string empty = folder.Write(name, "");
    EXPECT_EQ(LoadError(empty),
              empty + ": offset 0: the file is empty; fetch or export the trace again");
  }
  const std::string other = folder.Write("b.txt", "hello");
  EXPECT_EQ(
      LoadError(other).find(other + ": offset 0: this is no request trace of a known format; "), 0);
  const std::string blank = folder.Write("b.jsonl", "\n\n");
  EXPECT_EQ(LoadError(blank), blank + ": holds no request; fetch or export the trace again");
}

TEST(RequestTraceTest, APipeIsRefusedAndNotWaitedFor) {
  const testing::TempFolder folder;
  const std::string pipe = folder.File("pipe.jsonl");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(LoadError(pipe), pipe + ": is not a regular file; give the path of a trace file");
}

// Any byte changed: an error that names the file, or a trace that keeps its invariants.
TEST(RequestTraceTest, DamagedBytesGiveAnErrorOrAValidTrace) {
  const testing::TempFolder folder;
  Rng rng(11);
  for (const absl::string_view text : {kMooncake, kWeka, kAzure}) {
    for (int round = 0; round < 1500; ++round) {
      std::string damaged(text);
      for (uint64_t i = 0; i <= rng.NextBelow(3); ++i) {
        damaged[rng.NextBelow(damaged.size())] = static_cast<char>(rng.NextBelow(256));
      }
      const std::string path = folder.Write("x.json", damaged);
      const absl::StatusOr<RequestTrace> trace = LoadRequestTrace(path, {.load_block_ids = true});
      if (!trace.ok()) {
        ASSERT_TRUE(absl::StartsWith(trace.status().message(), path)) << trace.status();
        continue;
      }
      ASSERT_EQ(trace->block_begin.size(), trace->requests.size() + 1);
      ASSERT_EQ(trace->block_begin.back(), trace->block_ids.size());
      for (const uint32_t id : trace->block_ids) ASSERT_LT(id, trace->block_count);
      for (const TraceRequest& request : trace->requests) {
        ASSERT_GE(request.arrival.ns, 0);
        ASSERT_GE(request.input_tokens, 0);
        ASSERT_GE(request.output_tokens, 0);
      }
    }
  }
}

}  // namespace
}  // namespace tierscope
