#include "sim/base/file_lock.h"

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

#include "tests/testing/temp_folder.h"

namespace tierscope::testing {
namespace {

TEST(FileLockTest, OneHolderAtATime) {
  const TempFolder folder;
  for (const bool of_folder : {false, true}) {
    const std::string path = of_folder ? folder.path() : folder.File("lock");
    const auto take = [&](FileLock& lock) {
      return of_folder ? lock.TakeFolder(path) : lock.TakeFile(path);
    };
    FileLock again;
    {
      FileLock first, second;
      EXPECT_EQ(take(first), FileLock::Outcome::kTaken);
      EXPECT_EQ(take(second), FileLock::Outcome::kHeldByAnother);
    }
    EXPECT_EQ(take(again), FileLock::Outcome::kTaken);
  }
  FileLock nowhere;
  EXPECT_EQ(nowhere.TakeFolder(folder.File("nowhere")), FileLock::Outcome::kFailed);
}

TEST(FileLockTest, AbandonedFilesAreThoseNobodyHolds) {
  const TempFolder folder;
  for (const char* name : {"t.partial-1", "t.partial-2", "t.partial", "u.partial-1", "t"}) {
    std::ofstream(folder.File(name)) << "x";
  }
  std::filesystem::create_directory(folder.File("t.partial-3"));
  FileLock held;
  ASSERT_EQ(held.TakeFile(folder.File("t.partial-2")), FileLock::Outcome::kTaken);
  RemoveAbandoned(folder.File("t"), ".partial-", "");
  EXPECT_FALSE(std::filesystem::exists(folder.File("t.partial-1")));
  for (const char* name : {"t.partial-2", "t.partial", "u.partial-1", "t", "t.partial-3"}) {
    EXPECT_TRUE(std::filesystem::exists(folder.File(name))) << name;
  }
  RemoveAbandoned(folder.File("nowhere/t"), ".partial-", "");
}

}  // namespace
}  // namespace tierscope::testing
