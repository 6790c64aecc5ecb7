// The studies' scripts run and print what their README reads.
#include <algorithm>

#include "gtest/gtest.h"

#include "tests/testing/command.h"

namespace tierscope::testing {
namespace {

TEST(StudiesTest, PressurePrintsOneLineARunWithEveryColumn) {
  const TempFolder folder;
  const std::string command =
      "TIERSCOPE_CACHE=" + folder.path() + " TIERSCOPE=" + TIERSCOPE_BINARY +
      " REQUESTS='1 2' PHASES=staggered " + TIERSCOPE_SOURCE_DIR +
      "/scenarios/studies/pressure.sh engine.simulated_s=20,workload.attention.steps=256,"
      "workload.attention.profiles_per_context=1,workload.attention.context_tokens=16384 >" +
      folder.File("out");
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::ifstream file(folder.File("out"));
  std::string line;
  std::vector<std::string> lines;
  while (std::getline(file, line)) lines.push_back(line);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0].rfind("scenario,phase,requests,load,throughput_tok_per_s,", 0), 0u);
  EXPECT_EQ(lines[1].rfind("h20_flashmemory,staggered,1,0.03,", 0), 0u) << lines[1];
  EXPECT_EQ(lines[4].rfind("h20_lsa,staggered,2,0.06,", 0), 0u) << lines[4];
  for (const std::string& row : lines) {
    EXPECT_EQ(std::count(row.begin(), row.end(), ','), 16) << row;
    EXPECT_EQ(row.find(",,"), std::string::npos) << "a metric without a value: " << row;
  }
}

std::vector<std::string> LinesOf(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(StudiesTest, RivalsPrintsOneRowAPolicy) {
  const TempFolder folder;
  const std::string command =
      "TIERSCOPE_CACHE=" + folder.path() + " TIERSCOPE=" + TIERSCOPE_BINARY + " CONTEXTS=16384 " +
      TIERSCOPE_SOURCE_DIR +
      "/scenarios/studies/rivals.sh engine.simulated_s=20,workload.attention.steps=256,"
      "workload.attention.profiles_per_context=1,workload.concurrency=2,workload.output_tokens=100 "
      ">" +
      folder.File("out");
  ASSERT_EQ(std::system(command.c_str()), 0);
  const std::vector<std::string> lines = LinesOf(folder.File("out"));
  const std::vector<std::string> policies = {"full",    "lsa",    "flashmemory", "streaming_llm",
                                             "h2o",     "quest",  "topk_swap",   "ess",
                                             "recency", "random", "oracle"};
  ASSERT_EQ(lines.size(), 2 + policies.size());
  for (size_t i = 0; i < policies.size(); ++i) {
    const std::string& row = lines[i + 2];
    EXPECT_EQ(row.rfind("| 16K | `" + policies[i] + "` | ", 0), 0u) << row;
    EXPECT_EQ(std::count(row.begin(), row.end(), '|'), 11) << row;
    EXPECT_EQ(row.find("| -"), std::string::npos) << "a metric without a value: " << row;
  }
}

TEST(StudiesTest, HisparsePrintsItsTableAndTheCrossover) {
  const TempFolder folder;
  const std::string command =
      "TIERSCOPE_CACHE=" + folder.path() + " TIERSCOPE=" + TIERSCOPE_BINARY +
      " CONTEXT=16384 REQUESTS='1 2' " + TIERSCOPE_SOURCE_DIR +
      "/scenarios/studies/hisparse.sh engine.simulated_s=3,workload.attention.steps=32,"
      "workload.output_tokens=16,engine.warmup_windows=0 >" +
      folder.File("out");
  ASSERT_EQ(std::system(command.c_str()), 0);
  const std::vector<std::string> lines = LinesOf(folder.File("out"));
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(std::count(lines[3].begin(), lines[3].end(), '|'), 12) << lines[3];
  EXPECT_EQ(lines[5], "no crossover: the swap is slower at every load");
}

}  // namespace
}  // namespace tierscope::testing
