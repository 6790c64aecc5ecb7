#include "reports/table.h"

#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "reports/grid.h"
#include "reports/text.h"
#include "tests/reports/sample_run.h"
#include "tests/testing/golden.h"

namespace tierscope::testing {
namespace {

void ExpectFits(const std::string& table) {
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(ColumnsOf(line), kGridColumns) << line;
    EXPECT_TRUE(line.empty() || line.back() != ' ') << "trailing space: " << line;
  }
}

TEST(TableTest, OneRun) {
  const std::vector<RunReport> runs = {SampleLsaRun()};
  const std::string table = RunTable(runs);
  ExpectFits(table);
  ExpectGolden(table, "reports_table_one.txt");
}

TEST(TableTest, RunsSideBySide) {
  const std::vector<RunReport> runs = {SampleLsaRun(), SampleFullRun()};
  const std::string table = RunTable(runs);
  ExpectFits(table);
  ExpectGolden(table, "reports_table_two.txt");
}

TEST(TableTest, ManyRunsTakeBlocksAndLoseNone) {
  std::vector<RunReport> runs(9, SampleLsaRun());
  for (size_t i = 0; i < runs.size(); ++i) {
    runs[i].result.set_scenario("s" + std::to_string(i));
  }
  const std::string table = RunTable(runs);
  ExpectFits(table);
  size_t blocks = 0;
  for (size_t at = table.find("\nSpeed"); at != std::string::npos;
       at = table.find("\nSpeed", at + 1)) {
    ++blocks;
  }
  EXPECT_EQ(blocks, 3u);
  EXPECT_NE(table.find("[9] s8"), std::string::npos);
}

TEST(TableTest, ColorOnlyWhenAsked) {
  const std::vector<RunReport> runs = {HostileRun()};
  EXPECT_EQ(RunTable(runs).find('\x1b'), std::string::npos);
  EXPECT_NE(RunTable(runs, {.color = true}).find("\x1b[1m"), std::string::npos);
  EXPECT_EQ(RunTable(runs, {.color = true}).find("\x1b[31m\xff"), std::string::npos);
}

TEST(TableTest, HostileTextStaysOnItsLine) {
  const std::vector<RunReport> runs = {HostileRun(), HostileRun()};
  for (const std::string& table : {RunTable(runs), RunTable(std::span(runs).first(1))}) {
    ExpectFits(table);
    EXPECT_EQ(table, ValidUtf8(table));
    EXPECT_EQ(table.find('\r'), std::string::npos);
    EXPECT_NE(table.find("VIOLATIONS"), std::string::npos);
    EXPECT_NE(table.find("(3 times)"), std::string::npos);
  }
}

TEST(TableTest, MemoryPastItsCapacityAndWithoutOne) {
  std::vector<RunReport> runs = {SampleLsaRun()};
  for (Pool& pool : *runs[0].result.mutable_footprint()) {
    pool.set_capacity_bytes(pool.tier() == "hbm" ? 1 : 0);
  }
  ExpectFits(RunTable(runs));
}

TEST(TableTest, EmptyResult) {
  const std::vector<RunReport> runs(1);
  ExpectFits(RunTable(runs));
}

}  // namespace
}  // namespace tierscope::testing
