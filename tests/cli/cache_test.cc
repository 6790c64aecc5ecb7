#include "gtest/gtest.h"

#include "tests/testing/command.h"

namespace tierscope {
namespace {

using testing::CommandOutput;
using testing::RunTierscope;

// Ids 0 1 | 0 2 0 1: see CacheReplayTest.HandWorked.
constexpr char kTrace[] =
    "{\"timestamp\":0,\"input_length\":600,\"output_length\":1,\"hash_ids\":[10,11]}\n"
    "{\"timestamp\":0,\"input_length\":1,\"output_length\":1,\"hash_ids\":[10,12,10,11]}\n";

class CacheVerbTest : public ::testing::Test {
 protected:
  void ExpectRefused(const std::string& arguments, const std::string& message) {
    const CommandOutput output = RunTierscope("cache " + arguments);
    EXPECT_EQ(output.exit_code, 2);
    EXPECT_EQ(output.out, "");
    EXPECT_EQ(output.err, "tierscope: " + message + "\n");
  }
  testing::TempFolder folder_;
  std::string trace_ = folder_.Write("a.jsonl", kTrace);
};

TEST_F(CacheVerbTest, PrintsEveryPolicyAndCapacityAsTyped) {
  const CommandOutput json =
      RunTierscope("cache " + trace_ + " --policy=fifo,lru --capacity=02,infinite --format=json");
  EXPECT_EQ(json.exit_code, 0) << json.err;
  EXPECT_EQ(
      json.out,
      "{\"results\":["
      "{\"policy\":\"fifo\",\"capacity\":\"02\",\"accesses\":6,\"unique\":3,\"hits\":1},"
      "{\"policy\":\"fifo\",\"capacity\":\"infinite\",\"accesses\":6,\"unique\":3,\"hits\":3},"
      "{\"policy\":\"lru\",\"capacity\":\"02\",\"accesses\":6,\"unique\":3,\"hits\":2},"
      "{\"policy\":\"lru\",\"capacity\":\"infinite\",\"accesses\":6,\"unique\":3,\"hits\":3}]}\n");
  EXPECT_EQ(RunTierscope("cache " + trace_ + " --policy=lru --capacity=2 --format=csv").out,
            "policy,capacity,accesses,unique,hits\nlru,2,6,3,2\n");
  EXPECT_EQ(RunTierscope("cache " + trace_ + " --policy=lru --capacity=2").out,
            "policy  capacity  accesses  unique  hits\nlru     2                6       3     2\n");
}

// SIEVE spares 0 twice. S3-FIFO has a slot for what is new and one for the rest; 0, hit once,
// leaves for 2, and the one ghost forgets it when 1 leaves.
TEST_F(CacheVerbTest, KnowsEveryPolicy) {
  EXPECT_EQ(RunTierscope("cache " + trace_ +
                         " --policy=belady,s3fifo,sieve,clock,fifo,lru --capacity=2 --format=csv")
                .out,
            "policy,capacity,accesses,unique,hits\nbelady,2,6,3,2\ns3fifo,2,6,3,1\n"
            "sieve,2,6,3,2\nclock,2,6,3,2\nfifo,2,6,3,1\nlru,2,6,3,2\n");
}

TEST_F(CacheVerbTest, RefusesWrongOptions) {
  ExpectRefused(trace_ + " --policy=lru,arc",
                "--policy: unknown eviction policy 'arc'; use one of lru, fifo, clock, sieve, "
                "s3fifo, belady");
  const std::string mend = "' is not a number of blocks; give a whole number above 0, or infinite";
  ExpectRefused(trace_ + " --capacity=5,0", "--capacity: capacity '0" + mend);
  ExpectRefused(trace_ + " --capacity=5,", "--capacity: capacity '" + mend);
  ExpectRefused(trace_ + " --capacity=4k", "--capacity: capacity '4k" + mend);
  ExpectRefused(trace_ + " --format=xml", "--format: unknown format 'xml'; use table, csv or json");
}

TEST_F(CacheVerbTest, RefusesATraceWithoutBlockIds) {
  const std::string azure = folder_.Write(
      "a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,8,1\n");
  ExpectRefused(azure,
                azure +
                    ": a trace of format azure2023 without block ids has nothing to replay; give "
                    "one with prefix ids, such as Mooncake or WEKA");
  const std::string missing = folder_.File("missing");
  ExpectRefused(missing, missing +
                             ": cannot read: No such file or directory; check the path and its "
                             "permissions");
}

TEST_F(CacheVerbTest, AnImportReplaysLikeItsSource) {
  const std::string out = folder_.File("a.trace");
  const CommandOutput imported = RunTierscope("trace import " + trace_ + " --out " + out);
  EXPECT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_EQ(imported.out, "");
  const std::string options = " --capacity=2,infinite --format=json";
  EXPECT_EQ(RunTierscope("cache " + out + options).out,
            RunTierscope("cache " + trace_ + options).out);
  const CommandOutput again = RunTierscope("trace import " + trace_ + " --out " + out);
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_EQ(again.err, "tierscope: " + out + ": exists; name another file or give --overwrite\n");
  EXPECT_EQ(RunTierscope("trace import " + trace_ + " --overwrite --out " + out).exit_code, 0);
}

TEST_F(CacheVerbTest, AFailedImportLeavesNoFile) {
  const std::string cut = folder_.Write("cut.jsonl", "{\"timestamp\":");
  const std::string out = folder_.File("b.trace");
  EXPECT_EQ(RunTierscope("trace import " + cut + " --out " + out).exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace tierscope
