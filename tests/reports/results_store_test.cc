#include "reports/results_store.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <limits>

#include "gtest/gtest.h"

#include "reports/schema/metrics.h"
#include "reports/sqlite.h"
#include "sim/base/rng.h"
#include "tests/testing/golden.h"
#include "tests/testing/temp_folder.h"

namespace tierscope {
namespace {

ResultRow RowOf(uint8_t id) {
  ResultRow row;
  row.key.fill(id);
  row.build = "b";
  row.sets = "policy.tau_steps=8";
  row.event_digest = "0123456789abcdef";
  row.result_digest = "fedcba9876543210";
  Rng rng(id);
  for (size_t i = 0; i < MetricDefinitions().size(); ++i) {
    const bool none = i % 7 == 3;
    row.values.push_back(none ? std::numeric_limits<double>::quiet_NaN() : rng.NextNormal() * 1e9);
    row.absent.push_back(none ? "no reason at all, 'quoted'" : "");
  }
  return row;
}

void ExpectSame(const ResultRow& a, const ResultRow& b) {
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.build, b.build);
  EXPECT_EQ(a.sets, b.sets);
  EXPECT_EQ(a.error, b.error);
  EXPECT_EQ(a.event_digest, b.event_digest);
  EXPECT_EQ(a.result_digest, b.result_digest);
  EXPECT_EQ(a.absent, b.absent);
  ASSERT_EQ(a.values.size(), b.values.size());
  for (size_t i = 0; i < a.values.size(); ++i) {
    EXPECT_TRUE(a.values[i] == b.values[i] || (std::isnan(a.values[i]) && std::isnan(b.values[i])));
  }
}

TEST(ResultsStoreTest, KeepsRowsToTheLastBit) {
  const testing::TempFolder folder;
  {
    auto store = ResultsStore::Open(folder.File("sub/r.sweep"));
    ASSERT_TRUE(store.ok()) << store.status();
    for (uint8_t id = 0; id < 20; ++id) ASSERT_TRUE(store->Put(RowOf(id)).ok());
  }
  auto store = ResultsStore::Open(folder.File("sub/r.sweep"));
  ASSERT_TRUE(store.ok()) << store.status();
  for (uint8_t id = 0; id < 20; ++id) {
    ResultRow row;
    const auto found = store->Get(RowOf(id).key, &row);
    ASSERT_TRUE(found.ok() && *found);
    ExpectSame(row, RowOf(id));
  }
  ResultRow row;
  EXPECT_FALSE(*store->Get(RowOf(99).key, &row));
  EXPECT_EQ(*store->RowCount(), 20);
}

TEST(ResultsStoreTest, ComputingTwiceIsCountedAndChangesNothing) {
  const testing::TempFolder folder;
  const std::string path = folder.File("r.sweep");
  {
    auto store = ResultsStore::Open(path);
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE(store->Put(RowOf(1)).ok());
    ResultRow other = RowOf(2);
    other.key = RowOf(1).key;
    ASSERT_TRUE(store->Put(other).ok());
    ResultRow row;
    ASSERT_TRUE(*store->Get(RowOf(1).key, &row));
    ExpectSame(row, RowOf(1));
  }
  auto database = SqliteDatabase::Open(path);
  ASSERT_TRUE(database.ok());
  EXPECT_EQ(*database->Text("SELECT max(computed) FROM results"), "2");
}

TEST(ResultsStoreTest, OneWriterAtATime) {
  const testing::TempFolder folder;
  auto store = ResultsStore::Open(folder.File("r.sweep"));
  ASSERT_TRUE(store.ok());
  const auto second = ResultsStore::Open(folder.File("r.sweep"));
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find("another sweep is writing it"), absl::string_view::npos);
}

TEST(ResultsStoreTest, RefusesOtherFilesAndLeavesThemAlone) {
  const testing::TempFolder folder;
  const std::string text = folder.Write("notes", std::string(5000, 'x'));
  const auto not_sqlite = ResultsStore::Open(text);
  ASSERT_FALSE(not_sqlite.ok());
  EXPECT_NE(not_sqlite.status().message().find("no results file"), absl::string_view::npos);
  EXPECT_EQ(testing::ReadFile(text), std::string(5000, 'x'));

  const std::string other = folder.File("other.db");
  {
    auto database = SqliteDatabase::Open(other);
    ASSERT_TRUE(database->Execute("CREATE TABLE mine(x); INSERT INTO mine VALUES(7);").ok());
  }
  const std::string before = testing::ReadFile(other);
  EXPECT_FALSE(ResultsStore::Open(other).ok());
  EXPECT_EQ(testing::ReadFile(other), before);

  const std::string old = folder.File("old.sweep");
  ASSERT_TRUE(ResultsStore::Open(old)->Put(RowOf(1)).ok());
  {
    auto database = SqliteDatabase::Open(old);
    ASSERT_TRUE(database->Execute("UPDATE meta SET schema = 'of old'").ok());
  }
  const auto refused = ResultsStore::Open(old);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("another schema"), absl::string_view::npos);
}

TEST(ResultsStoreTest, WholeFilesMergeOnce) {
  const testing::TempFolder folder;
  for (uint8_t shard = 0; shard < 3; ++shard) {
    auto part = ResultsStore::OpenInMemory();
    ASSERT_TRUE(part.ok());
    for (uint8_t id = 0; id < 5; ++id) {
      ASSERT_TRUE(part->Put(RowOf(static_cast<uint8_t>(shard * 4 + id))).ok());
    }
    ASSERT_TRUE(part->WriteWhole(folder.File(std::string("part") + char('0' + shard))).ok());
  }
  auto store = ResultsStore::Open(folder.File("all.sweep"));
  ASSERT_TRUE(store.ok());
  int64_t added = 0;
  for (const char* name : {"part0", "part1", "part2", "part1"}) {
    const auto part = ResultsStore::OpenWhole(folder.File(name));
    ASSERT_TRUE(part.ok()) << part.status();
    added += *store->Merge(*part);
  }
  EXPECT_EQ(added, 13);  // neighbours share a row
  EXPECT_EQ(*store->RowCount(), 13);
  for (uint8_t id = 0; id < 13; ++id) {
    ResultRow row;
    ASSERT_TRUE(*store->Get(RowOf(id).key, &row));
    ExpectSame(row, RowOf(id));
  }
  const std::string whole = testing::ReadFile(folder.File("part0"));
  folder.Write("cut", whole.substr(0, whole.size() / 2));
  folder.Write("empty", "");
  for (const char* name : {"cut", "empty", "nowhere"}) {
    const auto part = ResultsStore::OpenWhole(folder.File(name));
    if (part.ok()) {
      EXPECT_FALSE(store->Merge(*part).ok()) << name;
    }
  }
  EXPECT_EQ(*store->RowCount(), 13);
}

// A process that dies between two rows leaves all that it put, whatever the moment.
TEST(ResultsStoreTest, AKilledWriterLeavesEveryRowItPut) {
  const testing::TempFolder folder;
  const std::string path = folder.File("r.sweep");
  Rng rng(3);
  int64_t least = 0;
  for (int round = 0; round < 5; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto store = ResultsStore::Open(path);
      for (int i = 0; store.ok(); ++i) {
        ResultRow row = RowOf(static_cast<uint8_t>(i));
        row.key[0] = static_cast<uint8_t>(round);
        row.key[1] = static_cast<uint8_t>(i >> 8);
        if (!store->Put(row).ok() || write(pipe_ends[1], "x", 1) != 1) break;
      }
      _exit(1);
    }
    close(pipe_ends[1]);
    const auto rows = static_cast<int>(1 + rng.NextBelow(60));
    char byte;
    for (int i = 0; i < rows; ++i) ASSERT_EQ(read(pipe_ends[0], &byte, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(pipe_ends[0]);
    least += rows;
    auto store = ResultsStore::Open(path);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_GE(*store->RowCount(), least);
    least = *store->RowCount();
  }
}

}  // namespace
}  // namespace tierscope
