// tierscope run as a user meets it: what it prints and leaves, and how it refuses wrong input.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

#include "tests/testing/command.h"

namespace tierscope::testing {
namespace {

// A world small enough for a test: generated attention of 64K, a few hundred steps.
constexpr char kSmall[] =
    " --set workload.context_tokens=65536,workload.output_tokens=200,workload.concurrency=4"
    " --set workload.attention.steps=256,workload.attention.profiles_per_context=1"
    " --set workload.attention.context_tokens=65536"
    " --set engine.simulated_s=20 ";

std::string Scenario(const std::string& name) {
  return std::string(TIERSCOPE_SOURCE_DIR) + "/scenarios/" + name + ".txtpb";
}

class RunVerbTest : public ::testing::Test {
 protected:
  // One cache of generated traces for all cases.
  static void SetUpTestSuite() {
    cache_ = new TempFolder();
    setenv("TIERSCOPE_CACHE", cache_->path().c_str(), 1);
  }
  static void TearDownTestSuite() { delete cache_; }

  CommandOutput Run(const std::string& arguments) {
    return RunTierscope("run " + arguments + " --out " + folder_.File("out"));
  }
  void ExpectRefused(const std::string& arguments, const std::vector<std::string>& parts) {
    const CommandOutput output = Run(arguments);
    EXPECT_EQ(output.exit_code, 2) << arguments;
    EXPECT_EQ(output.out, "") << arguments;
    std::string error = output.err;
    if (error.rfind("generating an attention trace", 0) == 0) error.erase(0, error.find('\n') + 1);
    EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
    for (const std::string& part : parts) EXPECT_NE(error.find(part), std::string::npos) << error;
    EXPECT_FALSE(std::filesystem::exists(folder_.File("out"))) << arguments;
  }

  static TempFolder* cache_;
  TempFolder folder_;
};
TempFolder* RunVerbTest::cache_ = nullptr;

TEST_F(RunVerbTest, EveryReadyScenarioTakesEveryPromisedOverride) {
  const std::string trace = folder_.Write(
      "t.jsonl",
      "{\"timestamp\": 0, \"input_length\": 700, \"output_length\": 9, \"hash_ids\": [1, 2]}\n"
      "{\"timestamp\": 100, \"input_length\": 65000, \"output_length\": 90, \"hash_ids\": [" +
          [] {
            std::string ids = "1";
            for (int i = 2; i <= 127; ++i) ids += ", " + std::to_string(i);
            return ids;
          }() +
          "]}\n");
  for (const char* name : {"h20_lsa", "h20_full", "h20_mix", "h20_trace"}) {
    const CommandOutput output = Run(
        Scenario(name) + kSmall + "--overwrite --format json --set workload.trace=" +
        (name == std::string("h20_trace") ? trace : "") +
        " --set policy.kind=oracle,policy.tau_steps=32,policy.threshold=0.6,policy.page_kmax=20,"
        "seed=7");
    EXPECT_EQ(output.exit_code, 0) << name << output.err;
    EXPECT_NE(output.out.find("\"seed\": 7"), std::string::npos) << output.out;
    for (const char* file : {"scenario.txtpb", "result.json", "host.json", "metrics.csv",
                             "timeline.json", "series.json", "report.html"}) {
      EXPECT_TRUE(std::filesystem::exists(folder_.File("out") + "/" + file)) << name << file;
    }
  }
}

// Steps of no length in a closed loop: time stands still for ever. The run ends with what waits for
// what, exit code 1, and leaves no result.
TEST_F(RunVerbTest, AStuckRunFails) {
  // A card that nobody calibrated and whose steps take no time: h20_full without its kernels.
  ASSERT_EQ(Run(Scenario("h20_full") + " --set engine.simulated_s=10").exit_code, 0);
  std::ifstream resolved(folder_.File("out/scenario.txtpb"));
  std::string text(std::istreambuf_iterator<char>(resolved), {});
  const size_t kernels = text.find("    kernels {");
  const size_t end = text.find("\n    }\n", kernels);
  ASSERT_NE(end, std::string::npos);
  text.replace(kernels, end + 7 - kernels,
               "    scoring_efficiency: 1\n    attention_efficiency: 1\n");
  const std::string bare = folder_.File("bare.txtpb");
  std::ofstream(bare) << text;
  std::filesystem::remove_all(folder_.File("out"));
  const CommandOutput output =
      Run(bare +
          " --set workload.concurrency=1,workload.context_tokens=1,workload.output_tokens=1"
          " --set hardware.step_model.base_ms=0,hardware.step_model.per_request_ms=0"
          " --set hardware.fp8_flop_per_s=1e18,hardware.bf16_flop_per_s=1e18"
          " --set hardware.hbm_bytes_per_s=1000000000000000"
          " --set model.top_k=1,model.window_tokens=0");
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_EQ(output.out, "");
  EXPECT_NE(output.err.find("the simulation is stuck at 0.000000 s: time stands still"),
            std::string::npos)
      << output.err;
  EXPECT_NE(output.err.find("for the end of its batch step"), std::string::npos) << output.err;
  EXPECT_TRUE(std::filesystem::is_empty(folder_.File("out")));
}

TEST_F(RunVerbTest, TheResolvedScenarioRepeatsTheRun) {
  ASSERT_EQ(Run(Scenario("h20_lsa") + kSmall).exit_code, 0);
  const CommandOutput again =
      RunTierscope("run " + folder_.File("out/scenario.txtpb") + " --out " + folder_.File("again"));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  const auto text = [&](const std::string& name) {
    std::ostringstream s;
    s << std::ifstream(folder_.File(name)).rdbuf();
    return s.str();
  };
  EXPECT_EQ(text("out/result.json"), text("again/result.json"));
  EXPECT_FALSE(text("out/result.json").empty());
}

// On one trace at equal KMAX: oracle misses no more than lsa, and lsa less than recency and random.
TEST_F(RunVerbTest, PoliciesRankAsTheyMust) {
  const auto misses = [&](const std::string& kind) {
    const CommandOutput output = Run(Scenario("h20_lsa") + kSmall +
                                     "--overwrite --format csv --set "
                                     "policy.page_kmax=24,policy.recency_entries=512,policy.kind=" +
                                     kind);
    EXPECT_EQ(output.exit_code, 0) << output.err;
    const size_t at = output.out.find("miss_inactive,selections,");
    return at == std::string::npos ? -1.0 : std::stod(output.out.substr(at + 25));
  };
  const double oracle = misses("oracle"), lsa = misses("lsa");
  EXPECT_GT(oracle, 0);
  EXPECT_LE(oracle, lsa);
  EXPECT_LT(lsa, misses("recency"));
  EXPECT_LT(lsa, misses("random"));
}

TEST_F(RunVerbTest, AThresholdOffTheGridIsRoundedUpAndReported) {
  const std::string run =
      Scenario("h20_lsa") + kSmall + "--overwrite --format json --set policy.threshold=";
  const CommandOutput off = Run(run + "0.53");
  EXPECT_NE(off.out.find("policy.threshold 0.53 is rounded up to 0.53125, 136/256"),
            std::string::npos)
      << off.out << off.err;
  EXPECT_EQ(Run(run + "0.53125").out.find("is rounded up"), std::string::npos);
}

TEST_F(RunVerbTest, RefusesWhatTheTraceCannotAnswer) {
  const std::string run = Scenario("h20_lsa") + kSmall;
  ExpectRefused(run + "--set policy.threshold=0.2", {"policy.threshold 52/256", "64/256", "raise"});
  ExpectRefused(run + "--set policy.tau_steps=40",
                {"policy.tau_steps 40", "stride 16", "multiple"});
}

TEST_F(RunVerbTest, RefusesWrongScenarios) {
  const std::string run = Scenario("h20_lsa") + kSmall;
  ExpectRefused(run + "--set policy.page_kmx=3", {"--set policy.page_kmx", "policy.page_kmax"});
  ExpectRefused(
      run + "--set engine.tensor_parallel=1,hardware.preset=h100_sxm,policy.reserve_entries=65536",
      {"GB", "engine.tensor_parallel"});
  ExpectRefused(run + "--set policy.page_kmax=many", {"policy.page_kmax", "many"});
  ExpectRefused(run + "--set workload.context_tokens=16777216,policy.kind=full",
                {"does not fit", "16777216"});
  ExpectRefused(folder_.File("none.txtpb"), {"none.txtpb"});
  ExpectRefused(folder_.Write("bad.txtpb", "policy {\n  tau_steps: x\n}\n"), {"bad.txtpb:2:14"});
  ExpectRefused(folder_.Write("empty.txtpb", ""), {"empty.txtpb"});
  ExpectRefused(Scenario("h20_trace"), {"workload.trace", "--set workload.trace=FILE"});
}

TEST_F(RunVerbTest, RefusesBadTraces) {
  const std::string attention = Scenario("h20_lsa") + kSmall + "--set workload.attention.trace=";
  ExpectRefused(attention + folder_.File("none.trace"), {"none.trace"});
  ExpectRefused(attention + folder_.Write("empty.trace", ""), {"empty.trace", "empty"});
  ExpectRefused(attention + folder_.Write("text.trace", "hello"), {"text.trace"});
  const std::string made = folder_.File("made.trace");
  ASSERT_EQ(
      RunTierscope("trace generate --context-tokens 16384 --profiles 1 --steps 64 --out " + made)
          .exit_code,
      0);
  std::filesystem::resize_file(made, std::filesystem::file_size(made) / 2);
  ExpectRefused(attention + made, {"made.trace", "byte"});
  const std::string requests = Scenario("h20_trace") + " --set workload.trace=";
  ExpectRefused(requests + folder_.File("none.jsonl"), {"none.jsonl"});
  ExpectRefused(requests + folder_.Write("empty.jsonl", ""), {"empty.jsonl"});
  ExpectRefused(
      requests + folder_.Write("few.jsonl",
                               "{\"timestamp\": 0, \"input_length\": 1025, \"output_length\": 1, "
                               "\"hash_ids\": [0, 1]}\n"),
      {"few.jsonl:1", "hash_ids", "1025"});
}

// Files of a cache folder, and below it, whose names begin so.
std::vector<std::filesystem::path> KeptFiles(const TempFolder& cache, const std::string& begin) {
  std::vector<std::filesystem::path> kept;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(cache.path())) {
    if (entry.path().filename().string().rfind(begin, 0) == 0) kept.push_back(entry.path());
  }
  return kept;
}

// A generated trace that was damaged in the cache: the line says that it can simply go.
TEST_F(RunVerbTest, ADamagedCachedTraceMayBeRemoved) {
  const TempFolder cache;
  const std::string run = "TIERSCOPE_CACHE=" + cache.path() + " " + TIERSCOPE_BINARY + " run " +
                          Scenario("h20_lsa") + kSmall + " --out " + folder_.File("out") +
                          " --overwrite >/dev/null 2>" + folder_.File("err");
  ASSERT_EQ(std::system(run.c_str()), 0);
  const auto trace = KeptFiles(cache, "attention-").front();
  std::filesystem::resize_file(trace, std::filesystem::file_size(trace) / 2);
  EXPECT_NE(std::system(run.c_str()), 0);
  std::ostringstream error;
  error << std::ifstream(folder_.File("err")).rdbuf();
  EXPECT_NE(error.str().find("remove it and run again"), std::string::npos) << error.str();
  std::filesystem::remove(trace);
  EXPECT_EQ(std::system(run.c_str()), 0);
}

// Whoever types a setting expects it to matter; a file may hold what another kind of policy reads.
TEST_F(RunVerbTest, SettingsWithoutEffectAreSaid) {
  ExpectRefused(Scenario("h20_lsa") + " --set policy.staged_pieces=per_entry",
                {"--set policy.staged_pieces: has no effect", "COPY_ENGINE"});
  // One of two scenarios reads it.
  const std::string small = " --set workload.context_tokens=16384,engine.simulated_s=1";
  EXPECT_EQ(Run(Scenario("h20_full") + " " + Scenario("h20_lsa") + small +
                " --set workload.attention.steps=64,workload.attention.profiles_per_context=1"
                " --set policy.eviction=lru")
                .exit_code,
            0);
  std::filesystem::remove_all(folder_.File("out"));
  // In the file it is a note, and nothing else differs but what is said of the indexer.
  ASSERT_EQ(Run(Scenario("h20_lsa") + kSmall + "--set policy.kind=oracle").exit_code, 0);
  const auto text_of = [&](const std::string& name) {
    std::ifstream file(folder_.File("out/" + name));
    return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  };
  const auto metrics_of_run = [&] {
    std::vector<std::string> lines = absl::StrSplit(text_of("metrics.csv"), '\n');
    std::erase_if(lines,
                  [](const std::string& line) { return absl::StrContains(line, "indexer_"); });
    return lines;
  };
  std::string scenario = text_of("scenario.txtpb");
  const std::vector<std::string> metrics = metrics_of_run();
  const char* const changes[][3] = {
      {"policy.threshold", "  threshold: 0.5\n", "  threshold: 0.7\n"},
      {"policy.staged_pieces", "staged_pieces: PER_PAGE", "staged_pieces: PER_ENTRY"},
      {"policy.gather_item_bytes", "gather_item_bytes: 576", "gather_item_bytes: 584"},
      {"policy.index_key_pool_entries", "index_key_pool_entries: 1572864",
       "index_key_pool_entries: 2000000"},
      {"engine.gather_interference", "gather_interference: 0.2", "gather_interference: 0.9"},
      {"engine.prefill_instances", "prefill_instances: 1", "prefill_instances: 3"}};
  for (const auto& [path, from, to] : changes) {
    const size_t at = scenario.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    scenario.replace(at, std::string(from).size(), to);
  }
  const CommandOutput noted = Run(folder_.Write("s.txtpb", scenario) + " --overwrite");
  ASSERT_EQ(noted.exit_code, 0) << noted.err;
  EXPECT_EQ(metrics_of_run(), metrics);
  const std::string result = text_of("result.json");
  for (const auto& [path, from, to] : changes) {
    EXPECT_NE(result.find(std::string(path) + " has no effect because"), std::string::npos) << path;
  }
}

// Killed in the middle: the results of the run before stand, and the next run clears up.
TEST_F(RunVerbTest, AKilledRunLeavesTheResultsBefore) {
  const std::string run = Scenario("h20_full") + " --out " + folder_.File("out");
  ASSERT_EQ(RunTierscope("run " + run + " --set engine.simulated_s=1").exit_code, 0);
  const auto text = [&](const std::string& name) {
    std::ifstream file(folder_.File("out/" + name));
    return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  };
  const std::string result = text("result.json");
  const pid_t child = fork();
  if (child == 0) {
    execl(TIERSCOPE_BINARY, "tierscope", "run", Scenario("h20_full").c_str(), "--out",
          folder_.File("out").c_str(), "--overwrite", "--set", "engine.simulated_s=1e8",
          static_cast<char*>(nullptr));
    _exit(3);
  }
  // It works for minutes; its staged files are there within a moment.
  while (!std::filesystem::exists(folder_.File("out/.partial")) &&
         waitpid(child, nullptr, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const CommandOutput second =
      RunTierscope("run " + run + " --overwrite --set engine.simulated_s=2");
  EXPECT_EQ(second.exit_code, 2);
  EXPECT_NE(second.err.find("is being written by another run"), std::string::npos) << second.err;
  kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(std::filesystem::exists(folder_.File("out/.partial")));
  EXPECT_EQ(text("result.json"), result);
  ASSERT_EQ(RunTierscope("run " + run + " --overwrite --set engine.simulated_s=2").exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_.File("out/.partial")));
  EXPECT_NE(text("result.json"), result);
}

TEST_F(RunVerbTest, KeepsAnExistingFolderUnlessTold) {
  const std::string run =
      Scenario("h20_full") + " --set engine.simulated_s=1 --out " + folder_.File("kept");
  ASSERT_EQ(RunTierscope("run " + run).exit_code, 0);
  const CommandOutput refused = RunTierscope("run " + run);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("--overwrite"), std::string::npos) << refused.err;
  EXPECT_EQ(RunTierscope("run " + run + " --overwrite").exit_code, 0);
  // A refused run with --overwrite leaves the old results alone.
  EXPECT_EQ(RunTierscope("run " + run + " --overwrite --set engine.tensor_parallel=3").exit_code,
            2);
  EXPECT_TRUE(std::filesystem::exists(folder_.File("kept/result.json")));
}

std::string ReadWhole(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// What the scores are worth is counted once and kept; a kept file that is damaged is counted anew.
TEST_F(RunVerbTest, TheIndexersWorthIsInEveryResultAndKept) {
  const TempFolder cache;
  setenv("TIERSCOPE_CACHE", cache.path().c_str(), 1);
  const std::string run = Scenario("h20_lsa") + kSmall + "--set engine.timeline_s=0 --overwrite";
  ASSERT_EQ(Run(run).exit_code, 0);
  const std::string counted = ReadWhole(folder_.File("out") + "/result.json");
  for (const char* name :
       {"indexer_precision.native", "indexer_recall.golden", "indexer_f1.native",
        "indexer_auc.golden", "indexer_calibration_error.native", "golden_recall"}) {
    EXPECT_NE(counted.find("\"" + std::string(name) + "\": {\"value\": 0."), std::string::npos)
        << name;
  }
  const std::vector<std::filesystem::path> kept = KeptFiles(cache, "indexer-");
  ASSERT_EQ(kept.size(), 1u);
  const std::string whole = ReadWhole(kept[0]);
  std::string flipped = whole;
  flipped[whole.size() / 2] = flipped[whole.size() / 2] == '1' ? '2' : '1';
  for (const std::string& bytes : {whole, flipped, whole.substr(0, whole.size() / 2), std::string(),
                                   std::string("99999999999999999999\n1")}) {
    std::ofstream(kept[0], std::ios::binary | std::ios::trunc) << bytes;
    ASSERT_EQ(Run(run).exit_code, 0);
    EXPECT_EQ(ReadWhole(folder_.File("out") + "/result.json"), counted);
    EXPECT_EQ(ReadWhole(kept[0]), whole);
  }
  setenv("TIERSCOPE_CACHE", cache_->path().c_str(), 1);
}

// What a trace demands is distilled once a spec and kept, and the result is the same. A kept demand
// that is damaged or another one's is made anew; a trace that is damaged is refused as without it.
TEST_F(RunVerbTest, TheDemandIsKeptBySpec) {
  const TempFolder cache;
  setenv("TIERSCOPE_CACHE", cache.path().c_str(), 1);
  const std::string run = Scenario("h20_lsa") + kSmall + "--set engine.timeline_s=0 --overwrite";
  const auto result = [&] { return ReadWhole(folder_.File("out") + "/result.json"); };
  ASSERT_EQ(Run(run).exit_code, 0);
  const std::string distilled = result();
  const std::vector<std::filesystem::path> kept = KeptFiles(cache, "demand-");
  ASSERT_EQ(kept.size(), 1u);
  const std::string whole = ReadWhole(kept[0]);
  std::string flipped = whole;
  flipped[whole.size() / 2] ^= 1;
  for (const std::string& bytes :
       {whole, flipped, whole.substr(0, whole.size() / 2), std::string()}) {
    std::ofstream(kept[0], std::ios::binary | std::ios::trunc) << bytes;
    ASSERT_EQ(Run(run).exit_code, 0);
    EXPECT_EQ(result(), distilled);
    EXPECT_EQ(ReadWhole(kept[0]), whole);
  }
  // Another spec's under this one's name.
  const std::string other = run + " --set policy.threshold=0.6";
  ASSERT_EQ(Run(other).exit_code, 0);
  const std::string of_other = result();
  ASSERT_NE(of_other, distilled);
  for (const auto& file : KeptFiles(cache, "demand-")) {
    if (file != kept[0]) std::ofstream(kept[0], std::ios::binary) << ReadWhole(file);
  }
  ASSERT_EQ(Run(run).exit_code, 0);
  EXPECT_EQ(result(), distilled);
  EXPECT_EQ(ReadWhole(kept[0]), whole);
  // A byte of a record.
  const std::filesystem::path trace = KeptFiles(cache, "attention-").front();
  std::string damaged = ReadWhole(trace);
  damaged[damaged.size() / 2] ^= 1;
  std::ofstream(trace, std::ios::binary | std::ios::trunc) << damaged;
  for (const std::string& with : {run, run + " --set policy.threshold=0.7"}) {
    const CommandOutput refused = Run(with);
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_NE(refused.err.find("does not match its checksum"), std::string::npos) << refused.err;
  }
  setenv("TIERSCOPE_CACHE", cache_->path().c_str(), 1);
}

// The cache folder is bounded: what was used longest ago goes, and neither what was just used nor
// what is not ours.
TEST_F(RunVerbTest, TheCacheForgetsWhatWasUsedLongestAgo) {
  const TempFolder cache;
  setenv("TIERSCOPE_CACHE", cache.path().c_str(), 1);
  const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours(2);
  const auto make = [&](const std::string& name, size_t bytes, int older_minutes) {
    const std::string path = cache.Write(name, std::string(bytes, 'x'));
    std::filesystem::last_write_time(path, old - std::chrono::minutes(older_minutes));
    return path;
  };
  std::filesystem::create_directories(cache.File("generator-0123456789abcdef"));
  std::filesystem::create_directories(cache.File("mine"));
  const std::string foreign[] = {
      make("notes.txt", 64 << 20, 500), make("attention-mine.trace", 1 << 20, 500),
      make("mine/attention-v4_flash-0123456789abcdef.trace", 1 << 20, 500),
      make("demand-of-today.bin", 1 << 20, 500)};
  const std::string oldest = make("demand-0123456789abcdef.bin", 40 << 20, 3);
  const std::string older =
      make("generator-0123456789abcdef/attention-v4_flash-0123456789abcdef.trace", 40 << 20, 2);
  const std::string young = make("indexer-0123456789abcdef.txt", 40 << 20, 1);
  // 100 MB: room for two of them and what a run adds.
  setenv("TIERSCOPE_CACHE_GIB", "0.1", 1);
  const std::string run = Scenario("h20_lsa") + kSmall + "--set engine.timeline_s=0 --overwrite";
  ASSERT_EQ(Run(run).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(oldest));
  EXPECT_TRUE(std::filesystem::exists(older));
  EXPECT_TRUE(std::filesystem::exists(young));
  // With no room at all, what was used in this hour stays: the trace that the run is about to read.
  setenv("TIERSCOPE_CACHE_GIB", "0", 1);
  ASSERT_EQ(Run(run + " --set policy.threshold=0.6").exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(older));
  EXPECT_FALSE(std::filesystem::exists(young));
  EXPECT_EQ(KeptFiles(cache, "attention-v4").size(), 2u);  // one is not ours to remove
  EXPECT_EQ(KeptFiles(cache, "demand-").size(), 3u);
  for (const std::string& file : foreign) EXPECT_TRUE(std::filesystem::exists(file)) << file;
  unsetenv("TIERSCOPE_CACHE_GIB");
  setenv("TIERSCOPE_CACHE", cache_->path().c_str(), 1);
}

// A policy that fetches entries makes a trace per layer; one with votes is refused with what to do.
TEST_F(RunVerbTest, TopkSwapRunsFromGeneratedAttention) {
  const CommandOutput output =
      Run(Scenario("h20_lsa") + kSmall +
          "--set policy.kind=topk_swap,policy.page_kmax=none --format=csv");
  ASSERT_EQ(output.exit_code, 0) << output.err;
  EXPECT_NE(output.out.find("h20_lsa,coverage,fraction,1,"), std::string::npos);
  EXPECT_NE(output.out.find("h20_lsa,hot_buffer_miss_rate,fraction,0."), std::string::npos);
  EXPECT_NE(output.out.find("h20_lsa,pages_recalled,pages,0,"), std::string::npos);
}

}  // namespace
}  // namespace tierscope::testing
