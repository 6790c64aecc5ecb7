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

// A record of an oracleGeneral file, its time and next access of no meaning here.
std::string Record(uint64_t object, uint32_t object_bytes) {
  std::string record = "\xef\xbb\xbf";  // a time that looks like a byte order mark
  record.resize(24, '\xff');
  for (size_t i = 0; i < 8; ++i) record[4 + i] = static_cast<char>(object >> (8 * i));
  for (size_t i = 0; i < 4; ++i) record[12 + i] = static_cast<char>(object_bytes >> (8 * i));
  return record;
}

// See ObjectReplayTest.HandWorked; objects told apart by their high and by their low half.
TEST_F(CacheVerbTest, ReplaysOracleGeneral) {
  const uint64_t high = uint64_t{1} << 40;
  const std::string trace = folder_.Write(
      "a.oracleGeneral.bin", Record(1, 4) + Record(high + 1, 6) + Record(high, 7) + Record(2, 11) +
                                 Record(high, 7) + Record(1, 3) + Record(high, 7));
  const CommandOutput output = RunTierscope(
      "cache " + trace + " --policy=lru,s3fifo,belady --capacity=10B,infinite --format=csv");
  EXPECT_EQ(output.exit_code, 0) << output.err;
  EXPECT_EQ(output.out,
            "policy,capacity,accesses,unique,hits,bytes,missed_bytes\n"
            "lru,10B,7,4,2,45,31\nlru,infinite,7,4,3,45,28\n"
            "s3fifo,10B,7,4,2,45,31\ns3fifo,infinite,7,4,3,45,28\n"
            "belady,10B,7,4,2,45,31\nbelady,infinite,7,4,3,45,28\n");
  EXPECT_EQ(RunTierscope("cache " + folder_.Write("oracleGeneral", Record(1, 0x80000001U)) +
                         " --policy=fifo --capacity=1GiB --format=csv")
                .out,
            "policy,capacity,accesses,unique,hits,bytes,missed_bytes\n"
            "fifo,1GiB,1,1,0,2147483649,2147483649\n");
}

TEST_F(CacheVerbTest, RefusesDamagedOracleGeneral) {
  const std::string whole = Record(1, 4) + Record(2, 6);
  for (size_t size_bytes = 1; size_bytes < whole.size(); ++size_bytes) {
    if (size_bytes % 24 == 0) continue;
    const std::string cut = folder_.Write("cut.oracleGeneral", whole.substr(0, size_bytes));
    ExpectRefused(
        cut, cut + ": offset " + std::to_string(size_bytes / 24 * 24) + ": the last record has " +
                 std::to_string(size_bytes % 24) +
                 " of 24 bytes; the file is cut off or not oracleGeneral; fetch it again");
  }
  const std::string packed = folder_.Write("a.oracleGeneral.zst", "\x28\xb5\x2f\xfd rest");
  ExpectRefused(packed, packed + ": compressed with zstd; decompress it first: zstd -d");
  const std::string trace = folder_.Write("b.oracleGeneral", whole);
  ExpectRefused(trace + " --capacity=100",
                "--capacity: capacity '100' has no unit, and an oracleGeneral file is replayed in "
                "bytes: write 100B, 100MiB or 100GiB");
  ExpectRefused(
      trace + " --capacity=100kB",
      "--capacity: capacity '100kB' is not a number of bytes; give a whole number above 0 "
      "and B, KiB, MiB, GiB or TiB, such as 128MiB, or infinite");
}

TEST_F(CacheVerbTest, RefusesWrongOptions) {
  ExpectRefused(trace_ + " --policy=lru,arc",
                "--policy: unknown eviction policy 'arc'; use one of lru, fifo, clock, sieve, "
                "s3fifo, belady");
  const std::string mend = "' is not a number of blocks; give a whole number above 0, or infinite";
  ExpectRefused(trace_ + " --capacity=5,0", "--capacity: capacity '0" + mend);
  ExpectRefused(trace_ + " --capacity=5,",
                "--capacity: a capacity is missing; give a number of blocks, or infinite");
  ExpectRefused(trace_ + " --policy=", "--policy: a value is missing; run with --help");
  ExpectRefused(trace_ + " --policy=lru,,fifo",
                "--policy: a policy is missing; give one or more of lru, fifo, clock, sieve, "
                "s3fifo, belady");
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
