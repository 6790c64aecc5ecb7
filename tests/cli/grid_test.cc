// Suites of a reconciliation keep off the grid that their profile is measured on; what lies outside
// of it is where the suite says so. No profile is needed to know either.
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

#include "calibration/device_profile.h"
#include "real/op_grid.h"
#include "scenarios/loader.h"

namespace tierscope {
namespace {

const std::string kScenarios = absl::StrCat(TIERSCOPE_SOURCE_DIR, "/scenarios/");

// Tables on the grid; their times are nobody's.
MeasuredOps TablesOn(const OpGrid& grid, const Model& model, int32_t tile_entries) {
  MeasuredOps ops;
  ops.set_attention_tile_entries(tile_entries);
  for (const OpTable::Op op : kMeasuredOps) {
    OpTable* table = ops.add_tables();
    table->set_op(op);
    for (const double x : AxisOf(op, grid, model.page_entries())) table->add_x(x);
    for (const double batch : BatchesOf(op, grid)) table->add_batch(batch);
    for (int i = 0; i < table->x_size() * table->batch_size(); ++i) table->add_us(1.0);
  }
  return ops;
}

// Looks at every line of a suite: none on the grid; lines under "# Outside" beyond it, at least
// five, and those above within it.
void CheckSuite(const std::string& name, OpGrid (*grid_of)(const Model&), int32_t tile_entries,
                bool inside_is_inside) {
  std::ifstream suite(absl::StrCat(kScenarios, name, ".txt"));
  bool outside = false;
  int lines = 0, beyond = 0;
  for (std::string line; std::getline(suite, line);) {
    if (absl::StartsWith(line, "#")) {
      outside = outside || absl::StrContains(line, "# Outside of it");
      continue;
    }
    SCOPED_TRACE(line);
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    ASSERT_EQ(words.size(), 2u);
    auto scenario = LoadScenario(absl::StrCat(kScenarios, name, ".txtpb"), {words[1]});
    ASSERT_TRUE(scenario.ok()) << scenario.status();
    *scenario->mutable_hardware()->mutable_measured_ops() =
        TablesOn(grid_of(scenario->model()), scenario->model(), tile_entries);
    const GridPlace place = PlaceInGrid(*scenario);
    EXPECT_EQ(absl::StrJoin(place.on_grid, "; "), "");
    if (!outside && inside_is_inside) {
      EXPECT_EQ(absl::StrJoin(place.outside, "; "), "");
    }
    ++lines;
    beyond += place.outside.empty() ? 0 : 1;
  }
  EXPECT_GE(lines, 12);
  EXPECT_GE(beyond, 5);
}

TEST(SuiteGridTest, Cpu) { CheckSuite("reconcile_cpu", DefaultOpGrid, 1, false); }
TEST(SuiteGridTest, Gpu) { CheckSuite("reconcile_gpu", GpuOpGrid, 64, true); }

}  // namespace
}  // namespace tierscope
