#include "calibration/kernel_table.h"

#include "gtest/gtest.h"

#include "tests/testing/temp_folder.h"

namespace tierscope {
namespace {

std::string Problem(const std::string& text, const std::vector<std::string>& columns) {
  const testing::TempFolder folder;
  const std::string path = folder.Write("t.csv", text);
  const auto table = KernelTable::Read(path, columns);
  if (table.ok()) return "accepted";
  const std::string message(table.status().message());
  return message.substr(folder.path().size() + 1);
}

TEST(KernelTableTest, ReadsRows) {
  const testing::TempFolder folder;
  const auto table = KernelTable::Read(folder.Write("t.csv", "a,b\r\n1,x\n\n2.5,y\n"), {"a"});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->rows(), 2u);
  EXPECT_EQ(*table->Number(1, "a"), 2.5);
  EXPECT_EQ(table->Text(0, "b"), "x");
  EXPECT_EQ(table->sha256().size(), 64u);
}

TEST(KernelTableTest, Refusals) {
  EXPECT_EQ(Problem("a,b\n1,2\n", {"a", "latency_ms"}),
            "t.csv:1: no column 'latency_ms'; this table needs a,latency_ms, and has a,b");
  EXPECT_EQ(Problem("a,b\n1,2\n1\n", {"a"}),
            "t.csv:3: has 1 cells and the header 2; repair the row");
  EXPECT_EQ(Problem("a,b\n", {"a"}), "t.csv:1: has no rows; give measurements");
  EXPECT_EQ(Problem("", {"a"}), "t.csv: has 0 bytes; a table has 1 to 67108864");
  EXPECT_EQ(KernelTable::Read("absent.csv", {}).status().code(), absl::StatusCode::kNotFound);
}

TEST(KernelTableTest, CellsAreCheckedWhereTheyAreRead) {
  const testing::TempFolder folder;
  const std::string path = folder.Write("t.csv", "a\n1\nNaN\n-3\n0\n");
  const auto table = KernelTable::Read(path, {"a"});
  ASSERT_TRUE(table.ok());
  const auto problem = [&](size_t row, bool positive) {
    Cells cells(*table, row);
    if (positive) {
      cells.Positive("a");
    } else {
      cells["a"];
    }
    return cells.status().ok() ? "accepted"
                               : std::string(cells.status().message()).substr(path.size());
  };
  EXPECT_EQ(problem(0, true), "accepted");
  EXPECT_EQ(problem(1, false), ":3: a 'NaN' is no number; repair the row");
  EXPECT_EQ(problem(2, false), ":4: a -3 is not 0 or more and at most 1e15; repair the row");
  EXPECT_EQ(problem(3, false), "accepted");
  EXPECT_EQ(problem(3, true), ":5: a 0 is not more than 0 and at most 1e15; repair the row");
}

}  // namespace
}  // namespace tierscope
