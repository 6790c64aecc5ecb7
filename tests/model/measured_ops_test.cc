#include "sim/model/measured_ops.h"

#include <cmath>
#include <functional>

#include "gtest/gtest.h"

#include "sim/model/step_model.h"

namespace tierscope {
namespace {

OpTable Table(OpTable::Op op, const std::vector<double>& x, const std::vector<double>& batch,
              const std::function<double(double, double)>& us) {
  OpTable table;
  table.set_op(op);
  for (const double value : x) table.add_x(value);
  for (const double value : batch) table.add_batch(value);
  for (const double b : batch) {
    for (const double value : x) table.add_us(us(value, b));
  }
  return table;
}

TEST(OpCurveTest, ExactAtThePointsOfTheGrid) {
  const std::vector<double> x = {100, 300, 1000}, batch = {1, 2, 8};
  const auto us = [](double v, double b) { return 3.7 + std::sqrt(v) * b + 0.01 * v; };
  const OpCurve curve(Table(OpTable::SCORE, x, batch, us));
  for (const double b : batch) {
    for (const double v : x) EXPECT_NEAR(curve.Ns(v, b), 1e3 * us(v, b), 1e-9 * us(v, b) * 1e3);
  }
}

// A power law is a plane in the logarithms, inside the grid and out of it.
TEST(OpCurveTest, APowerLawIsReproducedEverywhere) {
  const auto us = [](double v, double b) { return 0.02 * std::pow(v, 0.8) * std::pow(b, 1.1); };
  const OpCurve curve(Table(OpTable::SCORE, {64, 512, 4096}, {1, 4, 16}, us));
  for (const double b : {0.5, 1.0, 3.0, 7.0, 40.0}) {
    for (const double v : {10.0, 64.0, 100.0, 3000.0, 20000.0}) {
      EXPECT_NEAR(curve.Ns(v, b) / (1e3 * us(v, b)), 1.0, 1e-9) << v << " " << b;
    }
  }
}

TEST(OpCurveTest, BetweenTwoPointsByHand) {
  // Half-way in the logarithm between 100 and 10,000 is 1,000: the geometric mean of 2 and 8.
  const OpCurve curve(Table(OpTable::SCORE, {100, 10000}, {1},
                            [](double v, double) { return v == 100 ? 2.0 : 8.0; }));
  EXPECT_NEAR(curve.Ns(1000, 1), 4000.0, 1e-6);
  EXPECT_NEAR(curve.Ns(1000, 77), 4000.0, 1e-6) << "one batch covers all";
}

TEST(OpCurveTest, CoversItsGridAndNoMore) {
  const OpCurve curve(
      Table(OpTable::SCORE, {100, 300, 1000}, {1, 8}, [](double v, double b) { return v * b; }));
  EXPECT_TRUE(curve.Covers(100, 1));
  EXPECT_TRUE(curve.Covers(1000, 8));
  EXPECT_TRUE(curve.Covers(999, 3));
  EXPECT_FALSE(curve.Covers(1001, 8));
  EXPECT_FALSE(curve.Covers(99, 8));
  EXPECT_FALSE(curve.Covers(300, 9));
  EXPECT_TRUE(curve.Covers(0, 8)) << "nothing to do";
  EXPECT_EQ(curve.Ns(0, 8), 0.0);
  EXPECT_EQ(curve.Ns(300, 0), 0.0);
  EXPECT_EQ(OpCurve().Ns(300, 1), 0.0);
}

// Each op costs a round number, so that a step can be added up by hand.
Scenario Measured() {
  Scenario scenario;
  Model* model = scenario.mutable_model();
  model->set_csa_layers(3);
  model->set_hca_layers(2);
  model->set_swa_layers(1);
  model->set_top_k(128);
  model->set_window_tokens(128);
  model->set_hca_tokens_per_entry(128);
  model->set_page_entries(64);
  MeasuredOps* ops = scenario.mutable_hardware()->mutable_measured_ops();
  const auto add = [&](OpTable::Op op, const std::vector<double>& x,
                       const std::function<double(double, double)>& us) {
    *ops->add_tables() = Table(op, x, {1, 16}, us);
  };
  add(OpTable::BALLAST, {1}, [](double, double b) { return 1000 * b; });
  add(OpTable::NATIVE_SCORE, {100, 10000}, [](double v, double b) { return 0.5 * v * b; });
  add(OpTable::NATIVE_TOP_K, {100, 10000}, [](double, double) { return 7.0; });
  add(OpTable::CSA_ATTENTION, {100, 1000}, [](double v, double b) { return 2 * v * b; });
  add(OpTable::HCA_ATTENTION, {100, 1000}, [](double v, double b) { return 3 * v * b; });
  add(OpTable::SCORE, {100, 100000}, [](double v, double b) { return 10 * v * b; });
  add(OpTable::SELECT, {1, 1000}, [](double v, double b) { return 0.1 * v * b; });
  add(OpTable::PUBLISH, {1, 1000}, [](double v, double b) { return v * b; });
  return scenario;
}

// 4 requests of 16,384 tokens with 1,088 active entries each.
TEST(MeasuredOpModelTest, AStepByHand) {
  const Scenario scenario = Measured();
  const StepTimeModel model(scenario);
  const BatchWork work = {4, 4 * 1088, 4 * 16384};
  const StepParts parts = model.Phases(work);
  EXPECT_NEAR(parts.ballast_ns, 4e6, 1);
  EXPECT_NEAR(parts.native_score_ns, 3 * 0.5 * 1088 * 4 * 1e3, 1);
  EXPECT_NEAR(parts.native_top_k_ns, 3 * 7e3, 1);
  EXPECT_NEAR(parts.csa_attention_ns, 3 * 2 * 256 * 4 * 1e3, 1);
  EXPECT_NEAR(parts.hca_attention_ns, 2 * 3 * (128 + 128) * 4 * 1e3, 1);
  EXPECT_NEAR(parts.swa_attention_ns, 1 * 2 * 128 * 4 * 1e3, 1);
  EXPECT_EQ(parts.engine_ns, 0.0);
  EXPECT_NEAR(static_cast<double>(model.Step(work).ns), parts.total_ns(), 1.0);
  EXPECT_TRUE(model.Covers(work));
  EXPECT_FALSE(model.Covers(BatchWork{17, 17 * 1088, 17 * 16384})) << "more than 16 requests";
  EXPECT_FALSE(model.Covers(BatchWork{4, 4 * 64, 4 * 16384})) << "fewer than 100 active entries";
  EXPECT_NEAR(model.Phases({4, 4 * 1088, 4 * 12288}).hca_attention_ns, 2 * 3 * (96 + 128) * 4 * 1e3,
              1);
  EXPECT_LT(model.Phases({4, 4 * 1088, 4 * 8192}).hca_attention_ns, parts.hca_attention_ns);
  // Before the first publish nothing is active, and attention sees the window alone.
  const StepParts cold = model.Phases({4, 0, 4 * 16384});
  EXPECT_EQ(cold.native_score_ns, 0.0);
  EXPECT_NEAR(cold.csa_attention_ns, 3 * 2 * 128 * 4 * 1e3, 1);
}

// 96 + 128 entries are 3.5 tiles of 64, which cost 4 where the device's kernels work in such.
TEST(MeasuredOpModelTest, ATileCostsAWholeOne) {
  Scenario scenario = Measured();
  scenario.mutable_hardware()->mutable_measured_ops()->set_attention_tile_entries(64);
  const StepTimeModel model(scenario);
  EXPECT_NEAR(model.Phases({4, 4 * 1088, 4 * 12288}).hca_attention_ns,
              2 * 3 * (128 + 128) * 4 * 1e3, 1);
}

// What the host does in a step is part of it, whatever its kernels take.
TEST(MeasuredOpModelTest, TheHostsPartIsInTheStep) {
  Scenario scenario = Measured();
  const BatchWork work = {4, 4 * 1088, 4 * 16384};
  const int64_t without_ns = StepTimeModel(scenario).Step(work).ns;
  OpTable* engine = scenario.mutable_hardware()->mutable_measured_ops()->add_tables();
  engine->set_op(OpTable::ENGINE);
  engine->add_x(1);
  for (const double batch : {1.0, 4.0}) {
    engine->add_batch(batch);
    engine->add_us(10.0 * batch);
  }
  const StepTimeModel model(scenario);
  EXPECT_NEAR(model.Phases(work).engine_ns, 40e3, 1);
  EXPECT_NEAR(static_cast<double>(model.Step(work).ns - without_ns), 40e3, 1);
}

TEST(MeasuredOpModelTest, ALevel1JobByHand) {
  const StepTimeModel model(Measured());
  const Level1Work work = {2, 2 * 4096};
  const Level1Parts parts = model.PartsOfLevel1(work, /*scores=*/true);
  EXPECT_NEAR(parts.score_ns, 10 * 4096 * 2 * 1e3, 1);
  EXPECT_NEAR(parts.select_ns, 0.1 * 64 * 2 * 1e3, 1);
  EXPECT_NEAR(static_cast<double>(model.Level1(work, true).ns), parts.score_ns + parts.select_ns,
              1.0);
  EXPECT_NEAR(static_cast<double>(model.Level1(work, false).ns), parts.select_ns, 1.0);
  EXPECT_NEAR(static_cast<double>(model.Publish(60, 2).ns), 30 * 2 * 1e3, 1.0);
  EXPECT_FALSE(model.Covers(Level1Work{1, 50}));
}

}  // namespace
}  // namespace tierscope
