// tierscope capacity as a user meets it: answers, what they print, and each refusal.
#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"

#include "tests/testing/command.h"

namespace tierscope::testing {
namespace {

std::string Scenario(const std::string& name) {
  return std::string(TIERSCOPE_SOURCE_DIR) + "/scenarios/" + name + ".txtpb";
}

// All KV in HBM: no attention trace to generate.
const std::string& Full() {
  static const std::string arguments = Scenario("h20_full") + " --set engine.simulated_s=60";
  return arguments;
}

// LSA on requests of 1.1 M tokens with a small generated trace: memory does not depend on it.
std::string LsaOfMillions(const std::string& more) {
  return Scenario("h20_lsa") +
         " --set workload.context_tokens=1100000,policy.index_key_offload=true"
         " --set workload.attention.context_tokens=16384,workload.attention.steps=256"
         " --set workload.attention.profiles_per_context=1,engine.simulated_s=60 --set " +
         more;
}

CommandOutput Capacity(const std::string& arguments) {
  return RunTierscope("capacity " + arguments);
}

// A number of the JSON, by its key.
double Number(const CommandOutput& output, const std::string& key) {
  const size_t at = output.out.find("\"" + key + "\": ");
  EXPECT_NE(at, std::string::npos) << key << "\n" << output.out << output.err;
  return at == std::string::npos ? NAN : std::atof(output.out.c_str() + at + key.size() + 4);
}

std::string Text(const CommandOutput& output, const std::string& key) {
  const std::string head = "\"" + key + "\": \"";
  const size_t at = output.out.find(head);
  EXPECT_NE(at, std::string::npos) << key << "\n" << output.out << output.err;
  if (at == std::string::npos) return "";
  const size_t begin = at + head.size();
  return output.out.substr(begin, output.out.find('"', begin) - begin);
}

void ExpectRefused(const std::string& arguments, const std::string& part) {
  const CommandOutput output = Capacity(arguments);
  EXPECT_EQ(output.exit_code, 2) << arguments;
  EXPECT_EQ(output.out, "") << arguments;
  EXPECT_EQ(std::count(output.err.begin(), output.err.end(), '\n'), 1) << output.err;
  EXPECT_NE(output.err.find(part), std::string::npos) << output.err;
}

class CapacityVerbTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cache_ = new TempFolder();
    setenv("TIERSCOPE_CACHE", cache_->path().c_str(), 1);
  }
  static void TearDownTestSuite() { delete cache_; }
  static TempFolder* cache_;
};
TempFolder* CapacityVerbTest::cache_ = nullptr;

// FlashMemory's published concurrencies with all KV in HBM, 8 x H20.
TEST_F(CapacityVerbTest, FullKvIsWithinTenPercentOfWhatWasPublished) {
  const std::pair<int, double> published[] = {{262144, 47}, {524288, 25}, {1048576, 11}};
  for (const auto& [context, requests] : published) {
    const CommandOutput output = Capacity(
        Full() + " --format=json --set workload.context_tokens=" + std::to_string(context));
    EXPECT_NEAR(Number(output, "requests") / requests, 1.0, 0.1) << context;
    EXPECT_EQ(Text(output, "binding"), "HBM");
  }
}

// 60 requests of 1.1 M tokens failed on FlashMemory's node and 40 ran: host DRAM binds between them
// only because 0.85 of it are taken for usable. The order of the limits behind it: reserve, HBM.
TEST_F(CapacityVerbTest, MillionsOfTokensAreBoundByHostDram) {
  const std::string arguments = LsaOfMillions("policy.page_kmax=96") + " --format=json";
  const CommandOutput output = Capacity(arguments);
  EXPECT_EQ(Text(output, "binding"), "host DRAM");
  EXPECT_EQ(Text(output, "next"), "page reserve");
  EXPECT_GE(Number(output, "requests"), 40);
  EXPECT_LT(Number(output, "requests"), 60);
  EXPECT_GE(Number(output, "host_whole_requests"), 60) << "without the assumption 60 would fit";
  EXPECT_NE(output.out.find("node.host_usable_fraction 1 instead of 0.85"), std::string::npos);
  const CommandOutput whole = Capacity(arguments + " --set node.host_usable_fraction=1");
  EXPECT_EQ(Number(whole, "requests"), Number(output, "host_whole_requests"));
  EXPECT_EQ(whole.out.find("instead of"), std::string::npos);
}

TEST_F(CapacityVerbTest, KmaxOfTheLongestContextsExhaustsTheReserveFirst) {
  const CommandOutput output = Capacity(LsaOfMillions("policy.page_kmax=384") + " --format=json");
  EXPECT_EQ(Text(output, "binding"), "page reserve");
  EXPECT_EQ(Text(output, "next"), "host DRAM");
  EXPECT_GE(Number(output, "requests"), 30) << "the published run";
}

TEST_F(CapacityVerbTest, TheTableNamesAnswerBindingNextAndPrice) {
  const CommandOutput output =
      Capacity(Full() + " --set engine.slo.tpot_ms=20 --price-per-gpu-hour=2");
  EXPECT_EQ(output.exit_code, 0) << output.err;
  for (const char* part :
       {"capacity      14 concurrent requests", "binding       TPOT (engine.slo)",
        "behind it     HBM, at 25 concurrent requests", "per GPU", "tokens per unit of money"}) {
    EXPECT_NE(output.out.find(part), std::string::npos) << part << "\n" << output.out;
  }
}

// tokens per money = tok/s * 3600 / (price * GPUs).
TEST_F(CapacityVerbTest, TheJsonAddsUp) {
  const CommandOutput output = Capacity(Full() + " --format=json --price-per-gpu-hour=2.5");
  const double rate = Number(output, "throughput_tok_per_s");
  EXPECT_NEAR(Number(output, "throughput_tok_per_s_per_gpu"), rate / 8, 1e-9);
  EXPECT_NEAR(Number(output, "tokens_per_money"), rate * 3600 / (2.5 * 8), 1e-6);
  for (const char* key : {"limits", "ceilings", "curve", "remarks", "monotone", "steady",
                          "scenario_digest", "hbm_gib_per_request", "host_gib_per_request"}) {
    EXPECT_NE(output.out.find("\"" + std::string(key) + "\": "), std::string::npos) << key;
  }
  const CommandOutput unpriced = Capacity(Full() + " --format=json");
  EXPECT_NE(unpriced.out.find("\"tokens_per_money\": null"), std::string::npos) << unpriced.out;
}

TEST_F(CapacityVerbTest, TheCsvMarksTheAnswerAndWhatFails) {
  const CommandOutput output =
      Capacity(Full() + " --format=csv --limit='tpot_ms_p99<=20' --limit='concurrency_mean>=1'");
  EXPECT_EQ(output.out.rfind("requests,throughput_tok_per_s,", 0), 0u) << output.out;
  EXPECT_NE(output.out.find(",concurrency_mean,holds,fails,answer\n"), std::string::npos);
  EXPECT_NE(output.out.find("\n12,"), std::string::npos);
  EXPECT_NE(output.out.find(",yes,,yes\n"), std::string::npos) << output.out;
  EXPECT_NE(output.out.find(",no,tpot_ms_p99,no\n"), std::string::npos) << output.out;
}

TEST_F(CapacityVerbTest, SaysWhyNothingHolds) {
  const CommandOutput slow = Capacity(Full() + " --limit='tpot_ms_p99<=1'");
  EXPECT_EQ(slow.exit_code, 0);
  EXPECT_NE(slow.out.find("capacity      0 concurrent requests"), std::string::npos);
  EXPECT_NE(slow.out.find("! nothing holds: at 1 concurrent requests tpot_ms_p99 <= 1 reads 11."),
            std::string::npos)
      << slow.out;
}

// A request takes 15 s: of users who start together nobody finishes in 10 s.
TEST_F(CapacityVerbTest, FlagsAWorkloadThatIsNotSteady) {
  const CommandOutput output =
      Capacity(Full() + " --set engine.simulated_s=10,workload.ramp_start=false --format=json");
  EXPECT_NE(output.out.find("\"steady\": false"), std::string::npos) << output.out;
  EXPECT_NE(output.out.find("do not trust this answer"), std::string::npos) << output.out;
  EXPECT_NE(Capacity(Full() + " --format=json").out.find("\"steady\": true"), std::string::npos);
}

TEST_F(CapacityVerbTest, RefusesInOneLine) {
  ExpectRefused(Full() + " --price-per-gpu-hour=0", "--price-per-gpu-hour 0: a price is above 0");
  ExpectRefused(Full() + " --price-per-gpu-hour=-1", "--price-per-gpu-hour -1");
  ExpectRefused(Full() + " --price-per-gpu-hour=nan", "--price-per-gpu-hour nan");
  ExpectRefused(Full() + " --limit='coverage<=0.5' --limit='coverage>=0.75'", "contradict");
  ExpectRefused(Full() + " --limit='tpot_ms_p99<=50' --limit='tpot_ms_p99<=40'", "give one");
  ExpectRefused(Full() + " --limit='tpot_ms_p95<=50'", "no metric is called 'tpot_ms_p95'");
  ExpectRefused(Full() + " --limit='tpot_ms_p99'", "write METRIC<=BOUND");
  ExpectRefused(Full() + " --limit='ttft_ms_p99<=50'", "engine.prefill is NONE");
  ExpectRefused(Full() + " --set engine.slo.ttft_ms=50", "engine.slo.ttft_ms");
  ExpectRefused(Full() + " --set engine.simulated_s=0,workload.request_limit=9",
                "engine.simulated_s");
  ExpectRefused(Full() + " --set workload.context_tokens=16000000", "does not fit");
  ExpectRefused(Full() + " --format=xml", "--format");
  ExpectRefused(Full() + " --load-max=0", "--load-max");
  ExpectRefused(Scenario("h20_none"), "h20_none.txtpb");
}

TEST_F(CapacityVerbTest, RefusesATraceWithItsOwnArrivals) {
  const TempFolder folder;
  const std::string trace = folder.Write(
      "t.jsonl",
      "{\"timestamp\": 0, \"input_length\": 700, \"output_length\": 9, \"hash_ids\": [1, 2]}\n");
  ExpectRefused(Scenario("h20_trace") + " --set policy.kind=full,workload.trace=" + trace,
                "workload.arrivals TRACE");
}

}  // namespace
}  // namespace tierscope::testing
