// The `trace` verb as a user meets it: exit codes, one line on stderr for every wrong input.
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"

#include "tests/traces/trace_testing.h"

namespace tierscope {
namespace {

struct Outcome {
  int exit_code = -1;
  std::string out, err;
};

Outcome Trace(const std::string& arguments) {
  const std::string out = TempPath("stdout"), err = TempPath("stderr");
  const std::string command =
      std::string(TIERSCOPE_BINARY) + " trace " + arguments + " > " + out + " 2> " + err;
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadFile(out), ReadFile(err)};
}

std::string SmallTrace() {
  const std::string path = TempPath("small.trace");
  const Outcome made =
      Trace("generate --context-tokens 16384 --profiles 1 --steps 64 --overwrite --out " + path);
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_NE(made.out.find("not validated on V4"), std::string::npos);
  return path;
}

void ExpectWrong(const std::string& arguments, const std::string& what) {
  const Outcome outcome = Trace(arguments);
  EXPECT_EQ(outcome.exit_code, 2) << arguments;
  EXPECT_EQ(outcome.out, "") << arguments;
  EXPECT_NE(outcome.err.find(what), std::string::npos) << arguments << ": " << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

TEST(TraceCliTest, GenerateInfoCatVerify) {
  const std::string path = SmallTrace();
  const Outcome table = Trace("info " + path);
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_NE(table.out.find("not validated on V4"), std::string::npos);
  EXPECT_NE(table.out.find("golden entries per window"), std::string::npos);
  EXPECT_NE(table.out.find((*ContainerReader::Open(path))->digest()), std::string::npos);
  const Outcome json = Trace("info --format json " + path);
  EXPECT_EQ(json.exit_code, 0) << json.err;
  EXPECT_NE(json.out.find("\"page_churn\":"), std::string::npos);
  const Outcome cat = Trace("cat --limit 3 " + path);
  EXPECT_EQ(std::count(cat.out.begin(), cat.out.end(), '\n'), 3);
  const Outcome verify = Trace("verify " + path);
  EXPECT_EQ(verify.exit_code, 0);
  EXPECT_NE(verify.out.find("whole"), std::string::npos);
}

TEST(TraceCliTest, ParametersReachTheTrace) {
  const std::string path = TempPath("t");
  const std::string command =
      "generate --context-tokens 16384,32768 --profiles 1 --steps 32 --stride 8 --seed 9 "
      "--set window_churn=0.3,indexer_noise=2 --set weight_sigma=1 --overwrite --out ";
  ASSERT_EQ(Trace(command + path).exit_code, 0);
  const auto records = ReadContainer(path).records;
  const ProfileHeader& header = records.at(0).profile();
  const GeneratorParameters& p = header.provenance().synthetic();
  EXPECT_EQ(p.window_churn(), 0.3);
  EXPECT_EQ(p.indexer_noise(), 2.0);
  EXPECT_EQ(p.weight_sigma(), 1.0);
  EXPECT_EQ(p.seed(), 9u);
  EXPECT_EQ(header.tick_stride_steps(), 8);
  EXPECT_EQ(records.at(records.size() / 2).profile().prompt_tokens(), 32768);
}

TEST(TraceCliTest, WrongInput) {
  const std::string path = SmallTrace();
  const std::string generate = "generate --context-tokens 16384 --out " + TempPath("new") + " ";
  ExpectWrong("generate --context-tokens 16384 --out " + path, "--overwrite");
  ExpectWrong(generate + "--preset v9", "v4_flash");
  ExpectWrong(generate + "--set window_chrun=0.3", "window_churn");
  ExpectWrong(generate + "--set window_churn=much", "not a number");
  ExpectWrong(generate + "--set window_churn", "not a number");
  ExpectWrong(generate + "--set window_churn=7", "0 to 0.95");
  ExpectWrong(generate + "--steps 100", "multiple");
  ExpectWrong("generate --context-tokens 5 --out " + TempPath("new"), "context_tokens");
  ExpectWrong("generate --out " + TempPath("new"), "--context-tokens");
  ExpectWrong("generate --context-tokens 16384 --out /no/such/folder/t", "/no/such/folder/t");
  for (const char* verb : {"info ", "cat ", "verify "}) {
    ExpectWrong(verb + TempPath("missing"), "No such file");
    WriteFile(TempPath("empty"), "");
    ExpectWrong(verb + TempPath("empty"), "empty");
    WriteFile(TempPath("text"), "{\"timestamp\": 1}\n");
    const bool reads_foreign_formats = verb == std::string("info ");
    ExpectWrong(verb + TempPath("text"),
                reads_foreign_formats ? "'input_length' is missing" : "not a tierscope trace");
    std::filesystem::create_directories(TempPath("folder"));
    ExpectWrong(verb + TempPath("folder"), reads_foreign_formats ? ".json" : "regular file");
  }
  EXPECT_FALSE(std::filesystem::exists(TempPath("new")));
}

TEST(TraceCliTest, CutFileAndRecovery) {
  const std::string path = SmallTrace();
  const std::string whole = ReadFile(path);
  WriteFile(path, whole.substr(0, whole.size() - 5));
  ExpectWrong("info " + path, "byte");
  const Outcome verify = Trace("verify " + path + " --overwrite --recover " + TempPath("saved"));
  EXPECT_EQ(verify.exit_code, 1);
  EXPECT_NE(verify.out.find("damaged"), std::string::npos);
  // All records were whole, only the index is lost: they and the gap are there.
  const auto saved = ReadContainer(TempPath("saved"));
  EXPECT_TRUE(saved.status.ok());
  EXPECT_EQ(saved.records.size(), 1u + 65u + 4u + 1u);
  EXPECT_TRUE(saved.records.back().has_gap());
  ExpectWrong("info " + TempPath("saved"), "lost");
}

}  // namespace
}  // namespace tierscope
