// tierscope trace info of request traces (attention traces: tests/traces/trace_cli_test.cc).
#include "gtest/gtest.h"

#include "tests/testing/command.h"

namespace tierscope {
namespace {

using testing::CommandOutput;
using testing::RunTierscope;

// Gaps of 1 s and 3 s: mean 2, deviation 1. Four references to three blocks.
constexpr char kTrace[] =
    "{\"timestamp\":0,\"input_length\":600,\"output_length\":5,\"hash_ids\":[10,11]}\n"
    "{\"timestamp\":1000,\"input_length\":100,\"output_length\":0,\"hash_ids\":[10]}\n"
    "{\"timestamp\":4000,\"input_length\":200,\"output_length\":7,\"hash_ids\":[12]}\n";

TEST(TraceInfoTest, RequestTraceAsJson) {
  const testing::TempFolder folder;
  const std::string source = folder.Write("a.jsonl", kTrace);
  const CommandOutput info = RunTierscope("trace info " + source + " --format=json");
  EXPECT_EQ(info.exit_code, 0) << info.err;
  const std::string start =
      "{\"kind\":\"requests\",\"format\":\"mooncake\",\"source\":\"a.jsonl\",\"digest\":\"";
  EXPECT_EQ(info.out.substr(0, start.size()), start);
  EXPECT_EQ(
      info.out.substr(std::min(info.out.size(), start.size() + 16)),
      "\",\"requests\":3,\"conversations\":0,\"input_tokens_total\":900,\"output_tokens_total\":12,"
      "\"input_tokens_p50\":200,\"input_tokens_p90\":600,\"input_tokens_p99\":600,"
      "\"input_tokens_max\":600,\"output_tokens_p50\":5,\"output_tokens_p90\":7,"
      "\"output_tokens_p99\":7,\"output_tokens_max\":7,\"arrival_span_s\":4.000,"
      "\"arrival_gap_cv\":0.500,\"block_tokens\":512,\"block_references\":4,\"blocks\":3,"
      "\"prefix_reuse\":0.250}\n");
  // The import says the same of itself.
  const std::string out = folder.File("a.trace");
  ASSERT_EQ(RunTierscope("trace import " + source + " --out " + out).exit_code, 0);
  EXPECT_EQ(RunTierscope("trace info " + out + " --format=json").out, info.out);
}

TEST(TraceInfoTest, WhatASourceDoesNotSayIsAbsent) {
  const testing::TempFolder folder;
  const std::string azure = folder.Write(
      "a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,8,1\n");
  const std::string json = RunTierscope("trace info " + azure + " --format=json").out;
  EXPECT_NE(json.find("\"arrival_gap_cv\":null,"), std::string::npos) << json;
  EXPECT_NE(json.find("\"prefix_reuse\":null}"), std::string::npos) << json;
  const std::string table = RunTierscope("trace info " + azure).out;
  EXPECT_NE(table.find("\nprefix_reuse         -\n"), std::string::npos) << table;
}

TEST(TraceInfoTest, RefusesAMissingAndACutFile) {
  const testing::TempFolder folder;
  const std::string missing = folder.File("missing");
  const CommandOutput none = RunTierscope("trace info " + missing);
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_EQ(none.err,
            "tierscope: " + missing +
                ": cannot read: No such file or directory; check the path and its permissions\n");
  const std::string cut = folder.Write("a.jsonl", "{\"timestamp\":");
  const CommandOutput damaged = RunTierscope("trace info " + cut);
  EXPECT_EQ(damaged.exit_code, 2);
  EXPECT_EQ(damaged.err.find("tierscope: " + cut + ":1: damaged or cut JSON"), 0) << damaged.err;
}

}  // namespace
}  // namespace tierscope
