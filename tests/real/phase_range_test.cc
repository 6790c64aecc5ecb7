// Ranges that a profiler sees of `tierscope real`, recorded by a tool that NVTX loads: their names
// and nesting are those of phases.csv.
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "reports/schema/phase_log.h"
#include "tests/testing/command.h"

namespace tierscope {
namespace {

using testing::RunTierscope;
using testing::TempFolder;

// Every range under the names of what encloses it on its thread.
struct Seen {
  std::string path;  // "step/ballast"
  int64_t number;    // payload of the innermost
  int64_t outer;     // of the outermost
};

std::vector<Seen> ReadLog(const std::string& path) {
  std::ifstream file(path);
  std::map<long, std::vector<std::pair<std::string, int64_t>>> stacks;
  std::vector<Seen> seen;
  long thread = 0;
  for (std::string what; file >> thread >> what;) {
    auto& stack = stacks[thread];
    if (what == "pop") {
      EXPECT_FALSE(stack.empty());
      if (!stack.empty()) stack.pop_back();
      continue;
    }
    std::string domain, name;
    int64_t payload = 0;
    file >> domain >> name >> payload;
    EXPECT_EQ(domain, "tierscope");
    stack.push_back({name, payload});
    std::string full;
    for (const auto& [part, number] : stack) absl::StrAppend(&full, full.empty() ? "" : "/", part);
    seen.push_back({full, payload, stack.front().second});
  }
  for (const auto& [of_thread, stack] : stacks) EXPECT_TRUE(stack.empty());
  return seen;
}

TEST(PhaseRangeTest, NamesAndNestingAreThoseOfThePhaseTable) {
  const TempFolder folder;
  const std::string log = folder.File("log");
  setenv("NVTX_INJECTION64_PATH", TIERSCOPE_NVTX_RECORDER, 1);
  setenv("TIERSCOPE_NVTX_LOG", log.c_str(), 1);
  const testing::CommandOutput run = RunTierscope(absl::StrCat(
      "real ", TIERSCOPE_SOURCE_DIR, "/scenarios/cpu_small.txtpb --out ", folder.File("out"),
      " --set workload.concurrency=2,workload.request_limit=2,workload.context_tokens=2028,"
      "workload.output_tokens=26,policy.tau_steps=8,workload.attention.tick_stride_steps=4,"
      "policy.level1=SYNC,policy.page_kmax=2,policy.recency_entries=32,engine.warmup_windows=1,"
      "model.q_lora_rank=2,model.hidden_size=16,model.vocab_size=16"));
  unsetenv("NVTX_INJECTION64_PATH");
  unsetenv("TIERSCOPE_NVTX_LOG");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const std::vector<Seen> seen = ReadLog(log);
  const std::vector<PhaseSpan> spans = ReadPhaseLog(folder.File("out") + "/phases.csv").value();

  // What the table has of steps and ticks, as ranges would nest.
  std::set<std::pair<std::string, int64_t>> expected;
  for (const PhaseSpan& span : spans) {
    if (span.request >= 0) continue;
    const std::string name(PhaseName(span.phase));
    switch (span.phase) {
      case Phase::kStep:
        expected.insert({"step", span.step});
        break;
      case Phase::kBallast:
      case Phase::kNativeScore:
      case Phase::kNativeTopK:
      case Phase::kCsaAttention:
      case Phase::kHcaAttention:
      case Phase::kSwaAttention:
      case Phase::kWaitJoin:
      case Phase::kWaitAdmission:
        expected.insert({"step/" + name, span.step});
        break;
      case Phase::kScore:
      case Phase::kSelect:
      case Phase::kRecall:
        expected.insert({"tick/" + name, span.tick});
        expected.insert({"tick", span.tick});
        break;
      case Phase::kWriteback:
        expected.insert({name, span.step});
        break;
      case Phase::kEngine:     // what is left of a step
      case Phase::kWaitIndex:  // told apart afterwards
      case Phase::kWaitQueue:
      case Phase::kWaitTransfer:
      case Phase::kPublish:  // from a thread's end to the other's begin
        break;
    }
  }
  std::set<std::pair<std::string, int64_t>> ranges;
  std::map<std::string, int> counts;
  for (const Seen& range : seen) {
    ranges.insert({range.path, range.number});
    ++counts[range.path];
    EXPECT_EQ(range.number, range.outer) << range.path << ": one number for a step and its phases";
  }
  EXPECT_EQ(ranges, expected);
  EXPECT_EQ(counts["step"], 2 * 26) << "the timed pass and the one without profiling";
  EXPECT_EQ(counts["tick"], 2 * 7);
  EXPECT_GT(counts["step/ballast"], 2 * 26) << "one a layer";
}

}  // namespace
}  // namespace tierscope
