#include "reports/run_folder.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "gtest/gtest.h"

#include "reports/atomic_file.h"
#include "reports/csv.h"
#include "reports/html.h"
#include "reports/result_json.h"
#include "sim/base/file_lock.h"
#include "tests/reports/sample_run.h"
#include "tests/testing/golden.h"
#include "tests/testing/temp_folder.h"

namespace tierscope::testing {
namespace {

namespace fs = std::filesystem;

void Put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::set<std::string> NamesIn(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

// Default names are relative to the current folder.
class DefaultNameTest : public ::testing::Test {
 protected:
  DefaultNameTest() : before_(fs::current_path()) { fs::current_path(folder_.path()); }
  ~DefaultNameTest() override { fs::current_path(before_); }

  TempFolder folder_;
  fs::path before_;
};

TEST_F(DefaultNameTest, FirstFreeNameIsTaken) {
  EXPECT_EQ(CreateRunFolder("", "h20_lsa", false)->path, "tierscope-runs/h20_lsa");
  EXPECT_EQ(CreateRunFolder("", "h20_lsa", false)->path, "tierscope-runs/h20_lsa-2");
  EXPECT_EQ(CreateRunFolder("", "h20_lsa", false)->path, "tierscope-runs/h20_lsa-3");
  fs::remove("tierscope-runs/h20_lsa-2");
  EXPECT_EQ(CreateRunFolder("", "h20_lsa", false)->path, "tierscope-runs/h20_lsa-2");
  Put("tierscope-runs/file", "in the way");
  EXPECT_EQ(CreateRunFolder("", "file", false)->path, "tierscope-runs/file-2");
}

TEST_F(DefaultNameTest, OverwriteTakesTheFirstName) {
  ASSERT_TRUE(CreateRunFolder("", "h20_lsa", false).ok());
  EXPECT_EQ(CreateRunFolder("", "h20_lsa", true)->path, "tierscope-runs/h20_lsa");
}

TEST_F(DefaultNameTest, NameOfAScenarioCannotLeaveTheFolder) {
  EXPECT_EQ(CreateRunFolder("", "../../etc", false)->path, "tierscope-runs/_._.._etc");
  EXPECT_EQ(CreateRunFolder("", "..", false)->path, "tierscope-runs/_.");
  EXPECT_EQ(CreateRunFolder("", "", false)->path, "tierscope-runs/run");
  EXPECT_EQ(CreateRunFolder("", "a b\n\xff<", false)->path, "tierscope-runs/a_b___");
  EXPECT_TRUE(CreateRunFolder("", std::string(5'000, 'x'), false).ok());
  EXPECT_EQ(NamesIn(folder_.path()), std::set<std::string>{"tierscope-runs"});
}

TEST(RunFolderTest, ExistingOutIsRefusedAndUntouched) {
  const TempFolder temp;
  const std::string out = temp.path() + "/deep/er/run/";
  ASSERT_TRUE(CreateRunFolder(out, "s", false).ok());
  Put(out + "result.json", "old");
  const auto refused = CreateRunFolder(out, "s", false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(std::string(refused.status().message()),
            temp.path() + "/deep/er/run exists: choose another --out or add --overwrite");
  EXPECT_EQ(ReadFile(out + "result.json"), "old");
}

void Write(const RunFolder& folder, const std::string& scenario_text, RunReport run) {
  const absl::Status status =
      WriteRunFolder(folder, scenario_text, run, [](HostResult& host) { host.sim_wall_s = 3; });
  ASSERT_TRUE(status.ok()) << status;
}

TEST(RunFolderTest, OverwriteReplacesOnlyWhatARunWrites) {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  ASSERT_TRUE(CreateRunFolder(out, "s", false).ok());
  for (const char* name :
       {"result.json", "timeline.json", "samples.csv", "mine.txt", "result.json.bak"}) {
    Put(out + "/" + name, "old");
  }
  fs::create_directory(out + "/folder");
  const auto folder = CreateRunFolder(out, "s", true);
  ASSERT_TRUE(folder.ok());
  Write(*folder, "", SampleLsaRun());
  const std::set<std::string> names = NamesIn(out);
  for (const char* kept : {"mine.txt", "result.json.bak", "folder"})
    EXPECT_EQ(names.count(kept), 1u);
  EXPECT_EQ(names.count("timeline.json"), 0u) << "an old timeline would pass for the new run's";
  EXPECT_NE(ReadFile(out + "/result.json"), "old");
}

// Whatever ends the run, until its own are whole the old results stand.
TEST(RunFolderTest, AnUnfinishedRunLeavesTheOldResults) {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  ASSERT_TRUE(CreateRunFolder(out, "s", false).ok());
  Put(out + "/result.json", "old");
  Put(out + "/timeline.json", "old");
  {
    const auto folder = CreateRunFolder(out, "s", true);
    ASSERT_TRUE(folder.ok());
    ASSERT_TRUE(WriteFileAtomically(folder->Staged("timeline.json"), "new").ok());
    ASSERT_TRUE(WriteFileAtomically(folder->Staged("result.json"), "new").ok());
    EXPECT_EQ(ReadFile(out + "/result.json"), "old");
    EXPECT_EQ(ReadFile(out + "/timeline.json"), "old");
  }
  EXPECT_EQ(NamesIn(out), (std::set<std::string>{"result.json", "timeline.json"}));
  EXPECT_EQ(ReadFile(out + "/result.json"), "old");
}

// A killed run removes nothing itself: its staged files are there without a lock.
TEST_F(DefaultNameTest, WhatAKilledRunLeftIsRemovedByTheNextOfItsName) {
  fs::create_directories("tierscope-runs/s/.partial");
  Put("tierscope-runs/s/.partial/timeline.json.77.tmp", "half");
  const auto folder = CreateRunFolder("", "s", false);
  ASSERT_TRUE(folder.ok());
  EXPECT_EQ(folder->path, "tierscope-runs/s") << "nothing but leftovers: the name is free";
  EXPECT_EQ(NamesIn("tierscope-runs/s/.partial"), std::set<std::string>{});
  // While it is at work the name is taken, and nobody else may overwrite it.
  EXPECT_EQ(CreateRunFolder("", "s", false)->path, "tierscope-runs/s-2");
  const auto refused = CreateRunFolder("tierscope-runs/s", "s", true);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(
      std::string(refused.status().message()),
      "tierscope-runs/s is being written by another run: wait for it or choose another --out");
}

TEST(RunFolderTest, AFolderInAFilesPlaceIsSaidBeforeTheRun) {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  fs::create_directories(out + "/host.json");
  const auto folder = CreateRunFolder(out, "s", true);
  ASSERT_FALSE(folder.ok());
  EXPECT_NE(std::string(folder.status().message()).find(out + "/host.json is a folder"),
            std::string::npos);
}

TEST(RunFolderTest, OverwriteDoesNotFollowALink) {
  const TempFolder temp;
  const std::string out = temp.path() + "/run", target = temp.path() + "/precious";
  ASSERT_TRUE(CreateRunFolder(out, "s", false).ok());
  Put(target, "precious");
  fs::create_symlink(target, out + "/result.json");
  const auto folder = CreateRunFolder(out, "s", true);
  ASSERT_TRUE(folder.ok());
  Write(*folder, "", SampleLsaRun());
  EXPECT_EQ(ReadFile(target), "precious");
  EXPECT_FALSE(fs::is_symlink(out + "/result.json"));
}

TEST(RunFolderTest, FileInTheWayIsAStatusEvenWithOverwrite) {
  const TempFolder temp;
  Put(temp.path() + "/file", "text");
  for (const std::string& out : {temp.path() + "/file", temp.path() + "/file/run"}) {
    const auto folder = CreateRunFolder(out, "s", true);
    ASSERT_FALSE(folder.ok());
    EXPECT_NE(std::string(folder.status().message()).find(temp.path() + "/file"),
              std::string::npos);
  }
  EXPECT_EQ(ReadFile(temp.path() + "/file"), "text");
}

TEST(RunFolderTest, HoldsTheFilesAndNothingElse) {
  const TempFolder temp;
  auto folder = CreateRunFolder(temp.path() + "/run", "s", false);
  ASSERT_TRUE(folder.ok());
  RunReport run = SampleLsaRun();
  Write(*folder, "name: \"s\"\n", run);
  run.host.sim_wall_s = 3;
  folder->claim = nullptr;
  const std::set<std::string> expected = {"scenario.txtpb", "result.json", "host.json",
                                          "metrics.csv", "report.html"};
  EXPECT_EQ(NamesIn(folder->path), expected);
  const std::span<const RunReport> runs(&run, 1);
  EXPECT_EQ(ReadFile(folder->File("scenario.txtpb")), "name: \"s\"\n");
  EXPECT_EQ(ReadFile(folder->File("result.json")), ResultJson(run.result));
  EXPECT_EQ(ReadFile(folder->File("host.json")), HostJson(run.host));
  EXPECT_EQ(ReadFile(folder->File("metrics.csv")), MetricsCsv(runs));
  EXPECT_EQ(ReadFile(folder->File("report.html")), ReportHtml(runs));
}

TEST(AtomicFileTest, OldFileStandsUntilCommit) {
  const TempFolder temp;
  const std::string path = temp.path() + "/file";
  ASSERT_TRUE(WriteFileAtomically(path, "old").ok());
  AtomicFile file;
  ASSERT_TRUE(file.Open(path).ok());
  file.Append(std::string(1 << 20, 'n'));
  EXPECT_EQ(ReadFile(path), "old");
  ASSERT_TRUE(file.Commit().ok());
  EXPECT_EQ(ReadFile(path), std::string(1 << 20, 'n'));
  EXPECT_EQ(NamesIn(temp.path()), std::set<std::string>{"file"});
}

// A file that nobody holds locked was left by a killed process; one that somebody holds is at work.
TEST(AtomicFileTest, RemovesWhatAKilledProcessLeft) {
  const TempFolder temp;
  const std::string path = temp.path() + "/file";
  for (const char* name :
       {"/file.12345.tmp", "/file.tmp", "/other.12345.tmp", "/file.12345.tmpx"}) {
    Put(temp.path() + name, "left");
  }
  FileLock at_work;
  ASSERT_EQ(at_work.TakeFile(temp.path() + "/file.77.tmp"), FileLock::Outcome::kTaken);
  ASSERT_TRUE(WriteFileAtomically(path, "new").ok());
  EXPECT_EQ(NamesIn(temp.path()), (std::set<std::string>{"file", "file.77.tmp", "file.tmp",
                                                         "other.12345.tmp", "file.12345.tmpx"}));
}

TEST(AtomicFileTest, DiscardAndDestructionLeaveTheOldFile) {
  const TempFolder temp;
  const std::string path = temp.path() + "/file";
  ASSERT_TRUE(WriteFileAtomically(path, "old").ok());
  {
    AtomicFile file;
    ASSERT_TRUE(file.Open(path).ok());
    file.Append("new");
  }
  EXPECT_EQ(ReadFile(path), "old");
  EXPECT_EQ(NamesIn(temp.path()), std::set<std::string>{"file"});
}

TEST(AtomicFileTest, ReplacingAFolderIsAStatusAndLeavesNoTemporaryFile) {
  const TempFolder temp;
  const std::string path = temp.path() + "/folder";
  fs::create_directory(path);
  const absl::Status status = WriteFileAtomically(path, "text");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find(path), std::string::npos);
  EXPECT_EQ(NamesIn(temp.path()), std::set<std::string>{"folder"});
}

// A file-size limit stands in for a full disk: write(2) fails in the same place.
TEST(AtomicFileTest, WriteErrorKeepsTheOldFileAndNamesThePath) {
  const TempFolder temp;
  const std::string path = temp.path() + "/file";
  ASSERT_TRUE(WriteFileAtomically(path, "old").ok());
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {100'000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = WriteFileAtomically(path, std::string(1 << 20, 'n'));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find(path + ": cannot write"), std::string::npos)
      << status.message();
  EXPECT_EQ(ReadFile(path), "old");
  EXPECT_EQ(NamesIn(temp.path()), std::set<std::string>{"file"});
}

}  // namespace
}  // namespace tierscope::testing
