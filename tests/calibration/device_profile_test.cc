#include "calibration/device_profile.h"

#include <cmath>
#include <functional>

#include "absl/strings/match.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "scenarios/fields.h"

namespace tierscope {
namespace {

OpTable Table(OpTable::Op op, const std::vector<double>& x, const std::vector<double>& batch,
              const std::function<double(double, double)>& us) {
  OpTable table;
  table.set_op(op);
  for (const double value : x) table.add_x(value);
  for (const double value : batch) table.add_batch(value);
  for (const double b : batch) {
    for (const double value : x) {
      table.add_us(us(value, b));
      table.add_spread(0.01);
    }
  }
  return table;
}

double PowerLaw(double x, double batch) { return 3 * std::pow(x, 0.7) * std::pow(batch, 0.9); }

Hardware Profile() {
  Hardware hardware;
  hardware.set_gpu("a machine");
  hardware.set_hbm_bytes(1 << 30);
  hardware.mutable_step_model()->set_base_ms(0);
  MeasuredOps* ops = hardware.mutable_measured_ops();
  ops->set_device("a machine");
  ops->set_step_beside_score(1.23456789);
  *ops->add_tables() = Table(OpTable::BALLAST, {1}, {1, 4, 8}, PowerLaw);
  *ops->add_tables() = Table(OpTable::NATIVE_SCORE, {128, 1024, 4096}, {1, 4, 8}, PowerLaw);
  *ops->add_tables() = Table(OpTable::SCORE, {1024, 4096, 16384}, {1, 4}, PowerLaw);
  *ops->add_tables() = Table(OpTable::HCA_ATTENTION, {160, 256, 640}, {1, 4, 8}, PowerLaw);
  return hardware;
}

TEST(LeaveOneOutTest, APowerLawIsPredictedFromItsNeighbours) {
  const LeaveOneOut fit =
      LeaveOneOutOf(Table(OpTable::SCORE, {1, 10, 70, 1000}, {1, 3, 8}, PowerLaw));
  EXPECT_EQ(fit.points, 2 * 3 + 1 * 4);
  EXPECT_LT(fit.worst_error, 0.01);
  EXPECT_NEAR(fit.median_spread, 0.01, 1e-12);
}

// One point of a line is 30 % off: it is missed by 23 % (1 - 1 / 1.3), and its neighbours, whose
// interpolation uses it, by less.
TEST(LeaveOneOutTest, ABentCurveShows) {
  OpTable table = Table(OpTable::SCORE, {1, 10, 100, 1000, 10000}, {1}, PowerLaw);
  table.set_us(2, table.us(2) * 1.3);
  const LeaveOneOut fit = LeaveOneOutOf(table);
  EXPECT_EQ(fit.points, 3);
  EXPECT_NEAR(fit.worst_error, 1 - 1 / 1.3, 1e-6);
}

TEST(LeaveOneOutTest, WithoutNeighboursThereIsNothingToSay) {
  EXPECT_EQ(LeaveOneOutOf(Table(OpTable::BALLAST, {1}, {1, 2}, PowerLaw)).points, 0);
}

TEST(DeviceProfileTest, TheDigestIsOfAllButItself) {
  Hardware hardware = Profile();
  SealProfile("2026-01-01", &hardware);
  EXPECT_EQ(hardware.measured_ops().sha256().size(), 64u);
  EXPECT_TRUE(CheckProfileUnchanged(hardware).ok());
  EXPECT_EQ(hardware.measured_ops().step_beside_score(), 1.23457) << "what the text holds";

  // What a scenario makes of it, its defaults filled in, is the same profile.
  Hardware resolved = hardware;
  FillDefaults(&resolved);
  EXPECT_TRUE(CheckProfileUnchanged(resolved).ok());

  // Through its text too.
  Hardware read;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(ProfileText(hardware, "cmd"), &read));
  EXPECT_TRUE(CheckProfileUnchanged(read).ok());

  // A point that was bent afterwards, to fit a run, is another profile.
  read.mutable_measured_ops()->mutable_tables(1)->set_us(4, 1.0);
  EXPECT_TRUE(absl::StrContains(CheckProfileUnchanged(read).message(), "not the digest"));
}

Scenario OnProfile(int64_t context, int32_t batch, int32_t kmax) {
  Scenario scenario;
  *scenario.mutable_hardware() = Profile();
  Model* model = scenario.mutable_model();
  model->set_top_k(128);
  model->set_window_tokens(128);
  model->set_csa_tokens_per_entry(4);
  model->set_hca_tokens_per_entry(128);
  model->set_page_entries(64);
  scenario.mutable_workload()->set_context_tokens(context);
  scenario.mutable_workload()->set_output_tokens(32);
  scenario.mutable_workload()->set_concurrency(batch);
  scenario.mutable_policy()->set_page_kmax(kmax);
  scenario.mutable_policy()->set_recency_entries(128);
  return scenario;
}

TEST(GridPlaceTest, AScenarioAtAPointOfTheGridIsNoTest) {
  // 4,096 entries of history are a point of SCORE, for one request and for four.
  const GridPlace history = PlaceInGrid(OnProfile(16384, 3, 12));
  EXPECT_EQ(history.on_grid, std::vector<std::string>{"SCORE at 4096, batch 1"});
  // 13 + 2 + 1 pages are 1,024 active entries, a point with 4 requests and none with 3.
  EXPECT_EQ(PlaceInGrid(OnProfile(20480, 4, 13)).on_grid,
            std::vector<std::string>{"NATIVE_SCORE at 1024, batch 4"});
  EXPECT_TRUE(PlaceInGrid(OnProfile(20480, 3, 13)).on_grid.empty());
  EXPECT_TRUE(PlaceInGrid(OnProfile(20480, 4, 11)).on_grid.empty()) << "ballast is no evidence";
}

TEST(GridPlaceTest, WhatLiesOutsideIsNamed) {
  EXPECT_TRUE(PlaceInGrid(OnProfile(20480, 3, 12)).outside.empty());
  const GridPlace batch = PlaceInGrid(OnProfile(20480, 12, 12));
  ASSERT_FALSE(batch.outside.empty());
  EXPECT_EQ(batch.outside[0], "BALLAST at 1, batch 12");
  const GridPlace context = PlaceInGrid(OnProfile(131072, 3, 12));
  EXPECT_TRUE(std::any_of(context.outside.begin(), context.outside.end(), [](const auto& name) {
    return absl::StartsWith(name, "HCA_ATTENTION at 1152");
  }));
}

}  // namespace
}  // namespace tierscope
