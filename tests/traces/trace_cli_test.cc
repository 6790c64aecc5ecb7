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

// The line of `text` that starts with two spaces and `label`.
std::string LineOf(const std::string& text, const std::string& label) {
  const size_t begin = text.find("\n  " + label);
  return begin == std::string::npos
             ? ""
             : text.substr(begin + 1, text.find('\n', begin + 1) - begin - 1);
}

bool Ends(const std::string& line, const std::string& end) {
  return line.size() >= end.size() && line.compare(line.size() - end.size(), end.size(), end) == 0;
}

TEST(TraceCliTest, InfoJudgesDsaTracesByTheirModel) {
  const std::string path = TempPath("dsa.trace");
  const auto info = [&](const std::string& preset, const std::string& more) {
    const Outcome made = Trace("generate --preset=" + preset +
                               " --context-tokens=32768 --profiles=1 --steps=32 --overwrite " +
                               more + " --out " + path);
    EXPECT_EQ(made.exit_code, 0) << made.err;
    EXPECT_NE(made.out.find("not validated on a recording of " + preset), std::string::npos);
    const Outcome outcome = Trace("info " + path);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  };
  const auto has = [](const std::string& line, const std::string& text) {
    return line.find(text) != std::string::npos;
  };
  const std::string v32 = info("dsa_v32", "--per-layer");
  for (const char* label :
       {"  layer 0 ", "  layers 1 to 17 ", "  layers 18 to 51 ", "  layers 52 to 60 "}) {
    EXPECT_TRUE(has(LineOf(v32, label), " within ")) << label << v32;
    EXPECT_TRUE(Ends(LineOf(v32, label), "(ESS fig. 2, V3.2)")) << label;
  }
  EXPECT_TRUE(has(LineOf(v32, "misses of an LRU hot buffer of 2048"), " outside ")) << v32;
  EXPECT_TRUE(Ends(LineOf(v32, "misses of an LRU hot buffer of 2048"), "another model)"));
  EXPECT_TRUE(Ends(LineOf(v32, "recorded scores"), "validated by nothing"));
  EXPECT_NE(v32.find("hot buffer of 8192 slots: miss rate 0."), std::string::npos);

  const std::string glm = info("dsa_glm51", "--per-layer");
  EXPECT_TRUE(has(LineOf(glm, "misses of an LRU hot buffer of 2048"), " within ")) << glm;
  EXPECT_TRUE(has(LineOf(glm, "misses of an LRU hot buffer of 4096"), " within ")) << glm;
  EXPECT_TRUE(Ends(LineOf(glm, "misses of an LRU hot buffer of 4096"), "(HiSparse, GLM-5.1)"));
  EXPECT_TRUE(Ends(LineOf(glm, "  layers 65 to 77 "), "validated by nothing"));

  // Another overlap than the figure's is outside; votes say nothing of layers.
  std::string halves = "0.4";
  for (int i = 1; i < 24; ++i) halves += ":0.4";
  const std::string wrong = info("dsa_v32", "--per-layer --set layer_group_overlap=" + halves);
  for (const char* label :
       {"  layer 0 ", "  layers 1 to 17 ", "  layers 18 to 51 ", "  layers 52 to 60 "}) {
    EXPECT_TRUE(has(LineOf(wrong, label), " outside ")) << label << wrong;
  }
  const std::string votes = info("dsa_v32", "");
  EXPECT_TRUE(has(LineOf(votes, "  layers 1 to 17 "), "not recorded per layer")) << votes;
  EXPECT_NE(votes.find("generate with --per-layer"), std::string::npos);
  EXPECT_EQ(votes.find("hot buffer of 4096 slots"), std::string::npos);
}

TEST(TraceCliTest, InfoOfHotBuffersAndTargetsAsJson) {
  const std::string path = TempPath("dsa.trace");
  ASSERT_EQ(Trace("generate --preset=dsa_glm51 --context-tokens=16384 --profiles=1 --steps=16 "
                  "--per-layer --overwrite --out " +
                  path)
                .exit_code,
            0);
  const std::string json = Trace("info --format json " + path).out;
  for (const char* text :
       {"{\"name\":\"lru_miss_rate_4096\",\"value\":0.1", "\"low\":0.134,\"high\":0.134,",
        "\"source\":\"HiSparse, GLM-5.1\",\"of_this_model\":true,\"verdict\":\"within\"}",
        "\"hot_buffers\":[{\"slots\":2048,\"miss_rate\":0.", "\"indexer_by_target_layer\":[]",
        "\"step_overlap_by_layer\":[0.70"}) {
    EXPECT_NE(json.find(text), std::string::npos) << text << "\n" << json;
  }
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
    if (absl::string_view(verb) == "info ") continue;  // reads foreign files and folders too
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
