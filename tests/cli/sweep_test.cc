// tierscope sweep as a user meets it: resumed, widened, cut into shards, killed and refused.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

#include "reports/sqlite.h"
#include "sim/base/digest.h"
#include "sim/base/rng.h"
#include "tests/testing/command.h"
#include "tests/testing/golden.h"

namespace tierscope::testing {
namespace {

// A small world: attention of 64K over 256 steps, four requests.
constexpr char kWorld[] =
    "set: 'workload.context_tokens=65536,workload.output_tokens=200,workload.concurrency=4'\n"
    "set: 'workload.attention.steps=256,workload.attention.profiles_per_context=2'\n"
    "set: 'engine.simulated_s=10'\n";

class SweepVerbTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cache_ = new TempFolder();
    setenv("TIERSCOPE_CACHE", cache_->path().c_str(), 1);
  }
  static void TearDownTestSuite() { delete cache_; }

  std::string Sweep(const std::string& name, const std::string& axes) {
    return folder_.Write(name, absl::StrCat("scenario: '", TIERSCOPE_SOURCE_DIR,
                                            "/scenarios/h20_lsa.txtpb'\n", kWorld, axes));
  }
  std::string Results(const std::string& name) { return " --results " + folder_.File(name); }
  CommandOutput Run(const std::string& arguments) { return RunTierscope("sweep " + arguments); }

  // Standard output of a sweep that must succeed.
  std::string Output(const std::string& arguments) {
    const CommandOutput output = Run(arguments);
    EXPECT_EQ(output.exit_code, 0) << arguments << output.err;
    return output.out;
  }
  void ExpectRefused(const std::string& arguments, const std::vector<std::string>& parts) {
    const CommandOutput output = Run(arguments);
    EXPECT_EQ(output.exit_code, 2) << arguments;
    EXPECT_EQ(output.out, "") << arguments;
    const size_t last = output.err.rfind('\n', output.err.size() - 2);
    const std::string line = output.err.substr(last == std::string::npos ? 0 : last + 1);
    EXPECT_EQ(line.rfind("tierscope: ", 0), 0u) << output.err;
    for (const std::string& part : parts)
      EXPECT_NE(line.find(part), std::string::npos) << output.err;
  }
  std::string Query(const std::string& file, const std::string& sql) {
    auto database = SqliteDatabase::Open(folder_.File(file));
    EXPECT_TRUE(database.ok());
    const auto text = database->Text(sql);
    EXPECT_TRUE(text.ok()) << text.status();
    return text.ok() ? *text : "";
  }

  static TempFolder* cache_;
  TempFolder folder_;
};
TempFolder* SweepVerbTest::cache_ = nullptr;

constexpr char kGrid[] =
    "axis { field: 'policy.tau_steps' values: [16, 32, 64, 128] }\n"
    "axis { field: 'policy.threshold' range { from: 0.3 to: 0.8 step: 0.1 } }\n"
    "axis { field: 'policy.page_kmax' values: [12, 24, 48] }\n"
    "axis { field: 'policy.kind' names: ['LSA', 'ORACLE', 'RANDOM'] }\n";

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

// The definition of right: a point is what `tierscope run` says of its resolved scenario.
TEST_F(SweepVerbTest, RandomPointsEqualSingleRunsByteForByte) {
  const std::string sweep = Sweep("s.txtpb", kGrid);
  const std::vector<std::string> csv = Lines(Output(sweep + Results("r") + " --format=csv"));
  ASSERT_EQ(csv.size(), 217u);
  const std::vector<std::string> json = Lines(Output(sweep + Results("r") + " --format=json"));
  Rng rng(11);
  std::set<uint64_t> chosen;
  while (chosen.size() < 11) chosen.insert(rng.NextBelow(216));  // 5 %
  for (const uint64_t point : chosen) {
    const std::string text = Output(absl::StrCat(sweep, " --scenario-of ", point));
    const std::string scenario = folder_.Write(absl::StrCat("p", point, ".txtpb"), text);
    const std::string out = folder_.File(absl::StrCat("run-", point));
    ASSERT_EQ(RunTierscope("run " + scenario + " --out " + out).exit_code, 0);
    const std::string result = ReadFile(out + "/result.json");
    Digest digest;
    digest.Add(result);
    const std::vector<std::string> fields = absl::StrSplit(csv[point + 1], ',');
    EXPECT_EQ(fields[0], absl::StrCat(point));
    EXPECT_EQ(fields[6], digest.hex()) << csv[point + 1];
    // Every metric in the sweep's JSON stands in result.json with the same text.
    const std::string& row = json[json.size() - 216 - 2 + point];
    EXPECT_NE(row.find(absl::StrCat("{\"point\": ", point, ",")), std::string::npos) << row;
    const size_t metrics = row.find("\"metrics\": {");
    ASSERT_NE(metrics, std::string::npos);
    size_t found = 0;
    for (size_t at = metrics + 12; row[at] == '"'; ++found) {
      const size_t end = row.find('}', at);
      const std::string metric = row.substr(at, end + 1 - at);
      EXPECT_NE(result.find(metric), std::string::npos) << metric;
      at = row[end + 1] == ',' ? end + 3 : end + 1;
    }
    EXPECT_GT(found, 40u);
  }
}

TEST_F(SweepVerbTest, SameBytesAtAnyJobsAndInAnyHistory) {
  const std::string sweep = Sweep("s.txtpb", kGrid);
  const std::string one = Output(sweep + Results("one") + " --jobs 1 --format=csv");
  EXPECT_EQ(Output(sweep + Results("four") + " --jobs 4 --format=csv"), one);
  EXPECT_EQ(Output(sweep + Results("four") + " --format=csv"), one);
  // First a part of it, then all.
  const std::string part = Sweep("part.txtpb",
                                 "axis { field: 'policy.page_kmax' values: [48, 12] }\n"
                                 "axis { field: 'policy.kind' names: ['ORACLE', 'LSA'] }\n"
                                 "axis { field: 'policy.threshold' values: [0.7, 0.3] }\n"
                                 "axis { field: 'policy.tau_steps' values: [128, 16] }\n");
  Output(part + Results("grown"));
  EXPECT_EQ(Query("grown", "SELECT count(*) FROM results"), "16");
  EXPECT_EQ(Output(sweep + Results("grown") + " --jobs 2 --format=csv"), one);
  EXPECT_EQ(Query("grown", "SELECT count(*) FROM results"), "216");
  EXPECT_EQ(Query("grown", "SELECT max(computed) FROM results"), "1");
  EXPECT_EQ(Output(sweep + Results("one") + " --format=json"),
            Output(sweep + Results("grown") + " --format=json"));
}

// Killed at twenty random moments: every commit holds, and the end is the same to the byte.
TEST_F(SweepVerbTest, KilledTwentyTimesAndResumed) {
  const std::string sweep = Sweep("s.txtpb", kGrid);
  const auto begin = std::chrono::steady_clock::now();
  const std::string whole = Output(sweep + Results("whole") + " --format=csv");
  // What a round gets done stays, so it may run for a small part of all.
  const auto part_us = std::chrono::duration_cast<std::chrono::microseconds>(
                           std::chrono::steady_clock::now() - begin)
                           .count() /
                       8;
  Rng rng(7);
  int64_t least = 0;
  int interrupted = 0;
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      if (freopen("/dev/null", "w", stdout) == nullptr ||
          freopen("/dev/null", "w", stderr) == nullptr) {
        _exit(3);
      }
      execl(TIERSCOPE_BINARY, "tierscope", "sweep", sweep.c_str(), "--results",
            folder_.File("killed").c_str(), "--jobs", "2", static_cast<char*>(nullptr));
      _exit(3);
    }
    std::this_thread::sleep_for(
        std::chrono::microseconds(rng.NextBelow(static_cast<uint64_t>(part_us) + 1)));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    interrupted += WIFSIGNALED(status);
    if (!std::filesystem::exists(folder_.File("killed"))) continue;
    auto database = SqliteDatabase::Open(folder_.File("killed"));
    if (database->Text("SELECT name FROM sqlite_master").value_or("").empty()) continue;
    int64_t rows = 0;
    ASSERT_TRUE(absl::SimpleAtoi(Query("killed", "SELECT count(*) FROM results"), &rows));
    EXPECT_GE(rows, least);
    least = rows;
  }
  EXPECT_GT(interrupted, 5);
  EXPECT_EQ(Output(sweep + Results("killed") + " --format=csv"), whole);
  EXPECT_EQ(Query("killed", "SELECT count(*) FROM results"), "216");
  EXPECT_EQ(Query("killed", "SELECT max(computed) FROM results"), "1");
}

TEST_F(SweepVerbTest, ShardsMergeToTheSameBytes) {
  const std::string sweep = Sweep("s.txtpb", kGrid);
  const std::string whole = Output(sweep + Results("whole") + " --format=csv");
  std::string shards;
  for (int i = 0; i < 3; ++i) {
    const std::string file = absl::StrCat("shard", i);
    EXPECT_EQ(Output(absl::StrCat(sweep, Results(file), " --shard=", i, "/3 --jobs 2")), "");
    shards += " " + folder_.File(file);
  }
  ExpectRefused("merge " + sweep + " " + folder_.File("shard1") + Results("merged"),
                {"144 of 216 points have no result", "merge the shards that are missing"});
  EXPECT_EQ(Output("merge " + sweep + shards + Results("merged") + " --format=csv"), whole);
  EXPECT_EQ(Query("merged", "SELECT max(computed) FROM results"), "1");
  ExpectRefused("merge " + sweep + " " + sweep + Results("merged"), {"no results file"});
  ExpectRefused(sweep + " --shard=3/3", {"0 <= i < n"});
  ExpectRefused(sweep + " --shard=0/1 --points " + folder_.Write("points", "3\n216\n"),
                {"points:2", "no point of this sweep"});
}

// A row of another build is never taken for this one's.
TEST_F(SweepVerbTest, ResultsOfAnotherBuildAreNotUsed) {
  const std::string sweep = Sweep("s.txtpb", "axis { field: 'policy.tau_steps' values: [32, 64] }");
  const std::string csv = Output(sweep + Results("r") + " --format=csv");
  // What another build leaves: other keys, other values.
  Query("r", "UPDATE results SET key = randomblob(16), build = 'other', coverage = 0");
  const CommandOutput again = Run(sweep + Results("r") + " --format=csv");
  EXPECT_EQ(again.out, csv);
  EXPECT_NE(again.err.find("2 results of other builds"), std::string::npos) << again.err;
  EXPECT_EQ(Query("r", "SELECT count(*) FROM results"), "4");
}

TEST_F(SweepVerbTest, RepeatsVaryTheSeed) {
  const std::string sweep =
      Sweep("s.txtpb", "repeats: 3 axis { field: 'policy.tau_steps' values: [32, 64] }");
  const std::vector<std::string> csv =
      Lines(Output(sweep + Results("r") + " --set seed=5 --format=csv"));
  ASSERT_EQ(csv.size(), 7u);
  EXPECT_EQ(csv[0].rfind("point,policy.tau_steps,seed,error,", 0), 0u);
  EXPECT_EQ(csv[1].rfind("0,32,5,,", 0), 0u);
  EXPECT_EQ(csv[6].rfind("5,64,7,,", 0), 0u);
}

// A point that cannot run is a row with its reason, not the end of the others.
TEST_F(SweepVerbTest, PointsThatCannotRunSayWhy) {
  const std::string sweep = folder_.Write(
      "s.txtpb", absl::StrCat("scenario: '", TIERSCOPE_SOURCE_DIR,
                              "/scenarios/h20_lsa.txtpb'\n"
                              "set: 'workload.context_tokens=65536,engine.simulated_s=10'\n"
                              "set: 'workload.attention.steps=256'\n"
                              "axis { field: 'policy.tau_steps' values: [24, 32] }"
                              "axis { field: 'node.host_bytes' values: [2e12, 1e9] }"));
  const std::vector<std::string> csv = Lines(Output(sweep + Results("r") + " --format=csv"));
  ASSERT_EQ(csv.size(), 5u);
  EXPECT_NE(csv[1].find("no multiple of the trace's tick stride"), std::string::npos) << csv[1];
  EXPECT_NE(csv[2].find("does not fit"), std::string::npos) << csv[2];
  EXPECT_EQ(csv[3].rfind("2,32,2e+12,,", 0), 0u) << csv[3];
  const std::string table = Output(sweep + Results("r"));
  EXPECT_NE(table.find("4 points, 3 cannot run"), std::string::npos) << table;
  EXPECT_NE(table.find("! point 0 (policy.tau_steps=24"), std::string::npos) << table;
}

// A run that passes the end of the clock is a point that cannot run, and no end of the sweep.
TEST_F(SweepVerbTest, APointThatNeverEndsIsThatPointsAffair) {
  const std::string sweep = folder_.Write(
      "s.txtpb",
      absl::StrCat(
          "scenario: '", TIERSCOPE_SOURCE_DIR,
          "/scenarios/h20_full.txtpb'\n"
          "set: 'workload.request_limit=4,workload.output_tokens=64,workload.ramp_start=false'\n"
          "set: 'engine.simulated_s=0,workload.context_tokens=65536'\n"
          "axis { field: 'hardware.hbm_bytes_per_s' values: [1e3, 4e12] }"));
  const std::vector<std::string> csv = Lines(Output(sweep + Results("r") + " --format=csv"));
  ASSERT_EQ(csv.size(), 3u);
  EXPECT_NE(csv[1].find("clock ends at"), std::string::npos) << csv[1];
  EXPECT_EQ(csv[2].rfind("1,4e+12,,", 0), 0u) << csv[2];
}

TEST_F(SweepVerbTest, ExplainLeavesTheRunFolderOfThatPoint) {
  const std::string sweep = Sweep("s.txtpb", kGrid);
  const std::string json =
      Output(sweep + " --explain 100 --format=json --out " + folder_.File("point"));
  EXPECT_NE(json.find("\"version\""), std::string::npos);
  for (const char* file : {"scenario.txtpb", "result.json", "timeline.json", "report.html"}) {
    EXPECT_TRUE(std::filesystem::exists(folder_.File("point") + "/" + file)) << file;
  }
  const std::vector<std::string> csv = Lines(Output(sweep + Results("r") + " --format=csv"));
  Digest digest;
  digest.Add(ReadFile(folder_.File("point/result.json")));
  EXPECT_NE(csv[101].find(digest.hex()), std::string::npos) << csv[101];
  ExpectRefused(sweep + " --explain 216", {"no point 216", "0 to 215"});
}

TEST_F(SweepVerbTest, RefinementAddsPointsWithinItsBudget) {
  const std::string sweep =
      Sweep("s.txtpb",
            "axis { field: 'policy.page_kmax' values: [8, 64] }"
            "axis { field: 'policy.threshold' values: [0.3, 0.7] multiple_of: 0.00390625 }"
            "objective { metric: 'hbm_kv_gib_per_request' }"
            "objective { metric: 'coverage' goal: MAXIMIZE }");
  const std::string refined = Output(sweep + Results("r") + " --refine 12 --format=csv");
  const std::vector<std::string> lines = Lines(refined);
  EXPECT_EQ(lines.size(), 1u + 4 + 12);
  std::set<std::string> distinct;
  for (const std::string& line : lines) {
    const std::vector<std::string> fields = absl::StrSplit(line, ',');
    distinct.insert(fields[1] + "," + fields[2]);
  }
  EXPECT_EQ(distinct.size(), lines.size());
  // The same points again, from the file.
  const CommandOutput again = Run(sweep + Results("r") + " --refine 12 --format=csv");
  EXPECT_EQ(again.out, refined);
  EXPECT_EQ(Query("r", "SELECT max(computed) FROM results"), "1");
  EXPECT_EQ(Query("r", "SELECT count(*) FROM results"), "16");
}

// The best of those that keep the limits, found here by hand from the CSV.
TEST_F(SweepVerbTest, ChoosesTheBestUnderLimits) {
  const std::string sweep =
      Sweep("s.txtpb",
            absl::StrCat(kGrid,
                         "objective { metric: 'pages_recalled' }"
                         "limit: 'coverage>=0.8' metric: 'coverage' metric: 'pages_recalled'"));
  const std::vector<std::string> csv = Lines(Output(sweep + Results("r") + " --format=csv"));
  ASSERT_EQ(csv.size(), 217u);
  const std::vector<std::string> header = absl::StrSplit(csv[0], ',');
  const auto column = [&](const std::string& name) {
    return static_cast<size_t>(std::find(header.begin(), header.end(), name) - header.begin());
  };
  const size_t coverage_at = column("coverage"), pages_at = column("pages_recalled");
  ASSERT_LT(std::max(coverage_at, pages_at), header.size());
  std::string best;
  double least = 1e18;
  int64_t serving = 0, equals = 0;
  for (size_t i = 1; i < csv.size(); ++i) {
    const std::vector<std::string> fields = absl::StrSplit(csv[i], ',');
    double coverage = 0, pages = 0;
    ASSERT_TRUE(absl::SimpleAtod(fields[coverage_at], &coverage)) << csv[i];
    ASSERT_TRUE(absl::SimpleAtod(fields[pages_at], &pages)) << csv[i];
    if (coverage < 0.8) continue;
    ++serving;
    if (pages < least) least = pages, best = fields[0], equals = 0;
    equals += pages == least;
  }
  ASSERT_GT(serving, 0);
  ASSERT_LT(serving, 216);
  const std::string table = Output(sweep + Results("r"));
  EXPECT_NE(table.find(absl::StrCat("under coverage >= 0.8: ", equals, " points")),
            std::string::npos)
      << table;
  const std::vector<std::string> lines = Lines(table);
  const auto row = std::find_if(lines.begin(), lines.end(), [](const std::string& line) {
    return line.rfind("pages_recalled (least)", 0) == 0;
  });
  ASSERT_NE(row, lines.end()) << table;
  const std::vector<std::string> words = absl::StrSplit(*row, ' ', absl::SkipEmpty());
  EXPECT_EQ(words[2], best) << table;
}

TEST_F(SweepVerbTest, ChoosesUnderLimits) {
  const std::string sweep = Sweep("s.txtpb", absl::StrCat(kGrid, "limit: 'coverage>=2'"));
  EXPECT_NE(Output(sweep + Results("r")).find("under coverage >= 2: 0 points"), std::string::npos);
}

TEST_F(SweepVerbTest, RefusesWrongInput) {
  // Where results go that no --results names.
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  const std::string sweep = Sweep("s.txtpb", kGrid);
  ExpectRefused("", {"SWEEP"});
  ExpectRefused(folder_.File("nowhere.txtpb"), {"nowhere.txtpb", "cannot be opened"});
  ExpectRefused(Sweep("unknown.txtpb", "axis { field: 'policy.tau' values: 1 }"),
                {"unknown.txtpb:5:1", "policy.tau", "nearest"});
  ExpectRefused(Sweep("range.txtpb", "axis { field: 'policy.threshold' values: [0.5, 1.5] }"),
                {"range.txtpb", "point 1", "policy.threshold", "less than 1"});
  ExpectRefused(sweep + " --set policy.page_kmax=8", {"policy.page_kmax", "also set by"});
  ExpectRefused(sweep + " --results " + folder_.Write("text", "not a database, a long text"),
                {"text", "no results file"});
  EXPECT_EQ(ReadFile(folder_.File("text")), "not a database, a long text");
  ExpectRefused(sweep + " --format=xml", {"xml"});
  ExpectRefused(Sweep("empty.txtpb",
                      "axis { field: 'policy.threshold' range { from: 0.9 to: 0.1 step: 0.1 } }"),
                {"empty.txtpb:5:1", "policy.threshold", "is empty"});
  const std::string many =
      Sweep("many.txtpb",
            "axis { field: 'seed' range { from: 1 to: 4000 step: 1 } }"
            "axis { field: 'policy.page_kmax' range { from: 1 to: 2501 step: 1 } }");
  ExpectRefused(many, {"many.txtpb", "10,004,000 points", "--yes"});
  EXPECT_FALSE(std::filesystem::exists("tierscope-runs")) << "a refused sweep leaves no file";
  std::filesystem::current_path(before);
}

// An axis that no point reads is a mistake; one that some points read is not.
TEST_F(SweepVerbTest, RefusesAnAxisWithoutEffect) {
  const std::string thresholds = "axis { field: 'policy.threshold' values: [0.4, 0.6] }";
  const std::string oracle = Sweep("oracle.txtpb", "set: 'policy.kind=oracle' " + thresholds);
  ExpectRefused(oracle + Results("o"), {"oracle.txtpb: policy.threshold: has no effect because "
                                        "policy.kind ORACLE reads no scores"});
  EXPECT_FALSE(std::filesystem::exists(folder_.File("o")));
  const std::string both =
      Sweep("both.txtpb", thresholds + "axis { field: 'policy.kind' names: ['LSA', 'ORACLE'] }");
  EXPECT_EQ(Lines(Output(both + Results("b") + " --format=csv")).size(), 5u);
  Output(both + " --explain 1 --out " + folder_.File("point"));
  ExpectRefused(both + Results("b") + " --set policy.staged_pieces=per_entry",
                {"policy.staged_pieces: has no effect"});
}

// A results file of another schema is kept as it is.
TEST_F(SweepVerbTest, RefusesResultsOfAnotherSchema) {
  const std::string sweep = Sweep("s.txtpb", "axis { field: 'policy.tau_steps' values: [32, 64] }");
  Output(sweep + Results("r"));
  Query("r", "UPDATE meta SET schema = 'older'");
  Query("r", "PRAGMA wal_checkpoint(TRUNCATE)");
  const std::string bytes = ReadFile(folder_.File("r"));
  ExpectRefused(sweep + Results("r"), {"another schema (older", "give another --results"});
  EXPECT_EQ(ReadFile(folder_.File("r")), bytes);
}

// Peak memory of a sweep that must succeed, in bytes.
int64_t PeakBytes(const std::vector<std::string>& arguments) {
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> words = {const_cast<char*>("tierscope")};
    for (const std::string& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    if (freopen("/dev/null", "w", stdout) == nullptr) _exit(3);
    execv(TIERSCOPE_BINARY, words.data());
    _exit(3);
  }
  int status = 0;
  rusage usage = {};
  EXPECT_EQ(wait4(child, &status, 0, &usage), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  return int64_t{usage.ru_maxrss} * 1024;
}

// 100,000 points in 2 GB are 20 KB a point. Where each kept its scenario, 8 KB as text, this fails;
// a key and a group stay, and the database's cache grows to 2 MB.
TEST_F(SweepVerbTest, MemoryDoesNotGrowWithPoints) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "freed memory stays in the sanitizer's quarantine";
#endif
  const auto peak = [&](const std::string& name, const std::string& seeds) {
    const std::string sweep =
        Sweep(name, absl::StrCat("set: 'engine.simulated_s=1,workload.request_limit=4'"
                                 "axis { field: 'seed' range { from: 1 to: ",
                                 seeds, " step: 1 } }"));
    return PeakBytes(
        {"sweep", sweep, "--results", folder_.File(name + ".r"), "--jobs", "1", "--format", "csv"});
  };
  const int64_t few = peak("few.txtpb", "100");
  const int64_t many = peak("many.txtpb", "1100");
  EXPECT_LT(many - few, 1000 * 4000) << few << " " << many;
}

TEST_F(SweepVerbTest, ARunningSweepKeepsItsResultsFile) {
  const std::string sweep = Sweep("s.txtpb", kGrid);
  Output(sweep + Results("r"));
  const std::string bytes = ReadFile(folder_.File("r"));
  // `tail` holds the lock as a running sweep does.
  const std::string command = absl::StrCat("flock ", folder_.File("r.lock"), " ", TIERSCOPE_BINARY,
                                           " sweep ", sweep, Results("r"), " 2>&1");
  FILE* pipe = popen(command.c_str(), "r");
  char line[1000] = {};
  const size_t size = fread(line, 1, sizeof line - 1, pipe);
  EXPECT_EQ(WEXITSTATUS(pclose(pipe)), 2);
  EXPECT_NE(std::string(line, size).find("another sweep is writing it"), std::string::npos) << line;
  EXPECT_EQ(ReadFile(folder_.File("r")), bytes);
}

TEST_F(SweepVerbTest, WithoutSlurmSaysWhatToDo) {
  const std::string sweep = Sweep("s.txtpb", kGrid);
  const char* path = getenv("PATH");
  setenv("PATH", "/nonexistent", 1);
  ExpectRefused(sweep + Results("r") + " --engine=slurm", {"no Slurm here", "--shard=i/n"});
  setenv("PATH", path, 1);
  ExpectRefused(sweep + " --engine=cloud", {"cloud"});
}

}  // namespace
}  // namespace tierscope::testing
