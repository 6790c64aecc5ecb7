// Same inputs, same bytes: between processes, thread counts, CPUs and builds. The ready scenarios,
// made small, run again and again; result.json, metrics.csv, scenario.txtpb, timeline.json and the
// generated attention trace must not differ in a byte.
//
// TIERSCOPE_SECOND_BINARY=FILE runs every second run with another build (check.sh: Debug against
// Release); unset, with the same.
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

#include "tests/testing/golden.h"
#include "tests/testing/temp_folder.h"

namespace tierscope::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSameBytes[] = {"scenario.txtpb", "result.json", "metrics.csv",
                                      "timeline.json"};
// Both spellings of the names: glibc changed them.
constexpr const char* kWithoutFma =
    "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2_Usable,-FMA_Usable,-AVX2,-FMA,-FMA4,-AVX512F";
// The sanitizers' runtime wants to be loaded first and need not be.
constexpr const char* kWrongLibm = "ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=" LIBM_NUDGE;

using Contents = std::map<std::string, std::string>;  // file -> bytes

// Every regular file under `folder` by its path in there.
Contents ReadFolder(const std::string& folder) {
  Contents contents;
  if (!fs::is_directory(folder)) return contents;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    contents[fs::relative(entry.path(), folder).string()] = ReadFile(entry.path().string());
  }
  return contents;
}

// What keeps two sets of files from being the same, non-empty ones; empty when nothing does.
std::vector<std::string> Differences(const Contents& a, const Contents& b,
                                     const std::vector<std::string>& names) {
  std::vector<std::string> differences;
  if (names.empty()) differences.push_back("nothing to compare");
  for (const std::string& name : names) {
    const auto in_a = a.find(name);
    const auto in_b = b.find(name);
    if (in_a == a.end() || in_b == b.end()) {
      differences.push_back(absl::StrCat(name, ": missing"));
    } else if (in_a->second.empty() || in_b->second.empty()) {
      differences.push_back(absl::StrCat(name, ": empty"));
    } else if (in_a->second != in_b->second) {
      differences.push_back(absl::StrCat(name, ": differs"));
    }
  }
  return differences;
}

std::vector<std::string> Names(const Contents& contents) {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : contents) names.push_back(name);
  return names;
}

struct Setting {
  std::string binary = TIERSCOPE_BINARY;
  int jobs = 1;
  std::string environment;  // NAME=value
  std::string set;          // more overrides
};

Setting Second() {
  const char* other = std::getenv("TIERSCOPE_SECOND_BINARY");
  Setting second;
  if (other != nullptr) second.binary = other;
  return second;
}

// Run folders and cache folder of one set of runs.
struct Outcome {
  Contents runs;
  Contents cache;
};

// The line of host.json that says how the binary was built.
std::string BuildType(const Outcome& outcome) {
  const std::string& host = outcome.runs.at("open/host.json");
  const size_t at = host.find("\"build_type\"");
  return at == std::string::npos ? "" : host.substr(at, host.find('\n', at) - at);
}

class DeterminismTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ofstream trace(RequestTracePath());
    for (int i = 0; i < 40; ++i) {
      const int blocks = 4 + i * 7 % 29;
      std::vector<int> ids;
      for (int block = 0; block < blocks; ++block)
        ids.push_back(block < 4 ? block : i * 100 + block);
      trace << "{\"timestamp\": " << i / 2 * 700 << ", \"input_length\": " << blocks * 512 - i
            << ", \"output_length\": " << 20 + i * 13 % 150 << ", \"hash_ids\": ["
            << absl::StrJoin(ids, ", ") << "]}\n";
    }
    ASSERT_TRUE(trace.flush().good());
  }

  std::string RequestTracePath() const { return temp_.path() + "/requests.jsonl"; }

  // One process over `scenarios`, into `folder`.
  void Execute(const Setting& setting, const std::string& folder, const std::string& cache,
               const std::vector<std::string>& scenarios, const std::string& set) {
    std::string command = absl::StrCat("env ", setting.environment, " TIERSCOPE_CACHE='", cache,
                                       "' '", setting.binary, "' run --jobs=", setting.jobs,
                                       " --out '", folder, "' --set '", set, "'");
    if (!setting.set.empty()) absl::StrAppend(&command, " --set '", setting.set, "'");
    for (const std::string& scenario : scenarios) {
      absl::StrAppend(&command, " '", TIERSCOPE_SOURCE_DIR, "/scenarios/", scenario, ".txtpb'");
    }
    const std::string log = folder + ".log";
    const int status = std::system(absl::StrCat(command, " >'", log, "' 2>&1").c_str());
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command << "\n" << ReadFile(log);
  }

  // Every ready scenario, small. Each call has its own folders, so each generates its attention.
  Outcome Run(const Setting& setting) {
    const std::string folder = absl::StrCat(temp_.path(), "/", ++runs_);
    fs::create_directories(folder);
    const std::string small =
        "engine.simulated_s=60,workload.output_tokens=256,workload.attention.steps=256,"
        "workload.attention.profiles_per_context=1";
    Execute(setting, folder + "/closed", folder + "/cache",
            {"h20_lsa", "h20_full", "h20_mix", "h20_flashmemory"}, small);
    Execute(setting, folder + "/level1", folder + "/cache", {"h20_lsa", "h20_mix"},
            small +
                ",workload.context_tokens=65536,policy.level1=sync,policy.phase=aligned,"
                "policy.reserve_entries=262144,policy.eviction=lru,policy.page_kmax=64");
    Execute(setting, folder + "/spread", folder + "/cache", {"h20_dp_attention"},
            small +
                ",workload.concurrency=20,workload.context_tokens=65536,engine.replicas=2,"
                "engine.routing=least_loaded,engine.expert_parallel=4,engine.mtp.draft_tokens=2,"
                "engine.mtp.acceptance=0.7,hardware.step_model.expert_alpha=0.5");
    Execute(setting, folder + "/open", folder + "/cache", {"h20_trace"},
            absl::StrCat("workload.trace=", RequestTracePath(),
                         ",workload.attention.steps=128,workload.attention.profiles_per_context=1,"
                         "workload.attention.context_tokens=[8192,16384]"));
    Outcome outcome;
    for (const char* group : {"closed", "level1", "spread", "open"}) {
      for (auto& [name, bytes] : ReadFolder(folder + "/" + group)) {
        outcome.runs[absl::StrCat(group, "/", name)] = bytes;
      }
    }
    outcome.cache = ReadFolder(folder + "/cache");
    return outcome;
  }

  static std::vector<std::string> ComparedFiles() {
    std::vector<std::string> names;
    for (const char* run : {"closed/1-h20_lsa/", "closed/2-h20_full/", "closed/3-h20_mix/",
                            "closed/4-h20_flashmemory/", "level1/1-h20_lsa/", "level1/2-h20_mix/",
                            "spread/", "open/"}) {
      for (const char* file : kSameBytes) names.push_back(absl::StrCat(run, file));
    }
    return names;
  }

  static void ExpectSame(const Outcome& a, const Outcome& b) {
    EXPECT_EQ(absl::StrJoin(Differences(a.runs, b.runs, ComparedFiles()), "\n"), "");
    EXPECT_GE(a.cache.size(), 4u) << "attention traces generated";
    EXPECT_EQ(Names(a.cache), Names(b.cache));
    EXPECT_EQ(absl::StrJoin(Differences(a.cache, b.cache, Names(a.cache)), "\n"), "");
  }

  TempFolder temp_;
  int runs_ = 0;
};

TEST_F(DeterminismTest, TwoProcesses) {
  const Outcome first = Run({});
  const Outcome second = Run(Second());
  ExpectSame(first, second);
  if (Second().binary != TIERSCOPE_BINARY) {
    EXPECT_NE(BuildType(first), BuildType(second)) << "a second binary of the same build";
  }
  // The runs are no empty shells: they simulated, and their timelines hold events.
  for (const std::string& name : ComparedFiles()) {
    const std::string& bytes = first.runs.at(name);
    EXPECT_GT(bytes.size(), 1000u) << name;
    if (!absl::EndsWith(name, "result.json")) continue;
    EXPECT_TRUE(absl::StrContains(bytes, "\"steps\": {\"value\": ")) << name;
    EXPECT_FALSE(absl::StrContains(bytes, "\"steps\": {\"value\": 0,")) << name;
  }
}

TEST_F(DeterminismTest, OneJobAndTwo) {
  Setting two = Second();
  two.jobs = 2;
  ExpectSame(Run({}), Run(two));
}

TEST_F(DeterminismTest, WithoutFma) {
  Setting old_cpu = Second();
  old_cpu.environment = kWithoutFma;
  ExpectSame(Run({}), Run(old_cpu));
}

// No result passes through exp, log and the like at all: with all of them wrong, the same bytes.
TEST_F(DeterminismTest, WithWrongLibm) {
  Setting wrong = Second();
  wrong.environment = kWrongLibm;
  ExpectSame(Run({}), Run(wrong));
}

// What libm_digest prints, a line a function.
std::vector<std::string> LibmDigests(const std::string& environment) {
  const TempFolder folder;
  const std::string out = folder.File("digest");
  EXPECT_EQ(
      std::system(absl::StrCat("env ", environment, " '", LIBM_DIGEST, "' >'", out, "'").c_str()),
      0);
  return absl::StrSplit(ReadFile(out), '\n', absl::SkipEmpty());
}

// The switch of WithoutFma reaches libm; else that test would compare a CPU with itself.
TEST(LibmTest, TheSwitchChangesIt) {
  if (!__builtin_cpu_supports("fma")) GTEST_SKIP() << "this CPU has no FMA to switch off";
  const std::vector<std::string> with = LibmDigests("");
  const std::vector<std::string> without = LibmDigests(kWithoutFma);
  EXPECT_EQ(with, LibmDigests(""));
  ASSERT_GE(std::min(with.size(), without.size()), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_NE(with[i], without[i]);  // exp, pow, sin
}

// The wrong libm stands in the right one's place, for every function that is looked at.
TEST(LibmTest, TheWrongOneIsWrong) {
  const std::vector<std::string> right = LibmDigests("");
  const std::vector<std::string> wrong = LibmDigests(kWrongLibm);
  ASSERT_EQ(right.size(), 7u);
  ASSERT_EQ(wrong.size(), right.size());
  for (size_t i = 0; i < right.size(); ++i) EXPECT_NE(right[i], wrong[i]);
}

TEST_F(DeterminismTest, AnotherSeedGivesAnotherResult) {
  Setting other_seed;
  other_seed.set = "seed=2";
  const Outcome a = Run({});
  const Outcome b = Run(other_seed);
  for (const char* run : {"closed/1-h20_lsa", "closed/3-h20_mix", "open"}) {
    const std::string name = absl::StrCat(run, "/result.json");
    EXPECT_EQ(Differences(a.runs, b.runs, {name}).size(), 1u) << name;
  }
}

TEST(DifferencesTest, NoticesWhatIsMissingEmptyOrDifferent) {
  const Contents whole = {{"a", "1"}, {"b", "2"}};
  using Lines = std::vector<std::string>;
  EXPECT_EQ(Differences(whole, whole, {"a", "b"}), Lines{});
  EXPECT_EQ(Differences(whole, {{"a", "1"}}, {"a", "b"}), Lines{"b: missing"});
  EXPECT_EQ(Differences({{"b", "2"}}, whole, {"a", "b"}), Lines{"a: missing"});
  EXPECT_EQ(Differences({{"a", ""}}, {{"a", ""}}, {"a"}), Lines{"a: empty"});
  EXPECT_EQ(Differences(whole, {{"a", "1"}, {"b", "3"}}, {"a", "b"}), Lines{"b: differs"});
  EXPECT_EQ(Differences({}, {}, {"a"}), Lines{"a: missing"});
  EXPECT_EQ(Differences({}, {}, {}), Lines{"nothing to compare"});
}

}  // namespace
}  // namespace tierscope::testing
