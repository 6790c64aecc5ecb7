#include "sim/model/step_model.h"

#include "gtest/gtest.h"

#include "scenarios/presets.h"

namespace tierscope {
namespace {

Scenario FlashOn(const std::string& hardware) {
  Scenario scenario;
  *scenario.mutable_model() = *ModelPreset("v4_flash");
  *scenario.mutable_hardware() = *HardwarePreset(hardware);
  return scenario;
}

// The same card without calibrated kernels: two constants and three rooflines.
Scenario RooflinesOn(const std::string& hardware) {
  Scenario scenario = FlashOn(hardware);
  StepModel* step = scenario.mutable_hardware()->mutable_step_model();
  step->clear_kernels();
  step->set_base_ms(14.0);
  step->set_per_request_ms(0.119);
  step->set_scoring_efficiency(0.6);
  step->set_attention_efficiency(0.865);
  return scenario;
}

double StepMs(const StepTimeModel& model, int32_t requests, int64_t scored_each, int64_t context) {
  return ToMilliseconds(model.Step({requests, requests * scored_each, requests * context}));
}

// Rows 7 and 8 of the published results, the six rates that the engine's two constants were fitted
// to; the kernels come from tables.
TEST(StepTimeModelTest, ReproducesThePublishedRates) {
  const StepTimeModel model(FlashOn("h20_141"));
  struct Row {
    int64_t context;
    int32_t requests;
    double tok_per_s;
    int64_t kmax;  // 0: full KV
  };
  const Row rows[] = {{262144, 47, 1584, 0},  {524288, 25, 1028, 0},   {1048576, 11, 455, 0},
                      {262144, 76, 2759, 96}, {524288, 60, 2008, 192}, {1048576, 30, 1266, 384}};
  for (const Row& row : rows) {
    const int64_t scored = row.kmax == 0 ? row.context / 4 : row.kmax * 64;
    const double predicted = row.requests * 1e3 / StepMs(model, row.requests, scored, row.context);
    EXPECT_NEAR(predicted / row.tok_per_s, 1.0, 0.06) << row.context << " " << row.kmax;
  }
}

// By hand, 60 requests of 512K under LSA, KMAX 192 (12,288 entries): 14 + 60 x 0.119 ms;
// scoring 60 x 12,288 x 21 x 64 x 258 flop at 0.6 x 296 TFLOP/s = 1.43949 ms;
// HCA 60 x 4,096 x 20 x 64 x 2,048 at 0.865 x 148 = 5.03239 ms; CSA 60 x 640 x 21 x 64 x 2,048 =
// 0.82562.
TEST(StepTimeModelTest, HandWorked) {
  const StepTimeModel model(RooflinesOn("h20_141"));
  const double scoring = 60.0 * 12288 * 21 * 64 * 258 / (0.6 * 296e12) * 1e3;
  const double hca = 60.0 * 4096 * 20 * 64 * 2048 / (0.865 * 148e12) * 1e3;
  const double csa = 60.0 * 640 * 21 * 64 * 2048 / (0.865 * 148e12) * 1e3;
  EXPECT_NEAR(StepMs(model, 60, 12288, 524288), 14 + 60 * 0.119 + scoring + hca + csa, 1e-6);
  EXPECT_NEAR(scoring, 1.43949, 1e-4);
}

// On H20 scoring is bound by compute; on H100 and H200, with six times the FLOP/s, by memory.
TEST(StepTimeModelTest, TheRoofDependsOnTheCard) {
  const auto scoring_ns = [](const std::string& hardware) {
    const StepTimeModel model(RooflinesOn(hardware));
    return ToMilliseconds(model.Step({1, 1'000'000, 0}) - model.Step({1, 0, 0})) * 1e6;
  };
  const double flop = 1e6 * 21 * 64 * 258;
  const double bytes = 1e6 * 21 * 132;
  EXPECT_NEAR(scoring_ns("h20_141"), flop / (0.6 * 296e12) * 1e9, 1.0);
  const Hardware h100 = *HardwarePreset("h100_sxm");
  EXPECT_NEAR(scoring_ns("h100_sxm"),
              bytes / (h100.step_model().memory_efficiency() * 3.35e12) * 1e9, 1.0);
  EXPECT_GT(scoring_ns("h100_sxm"), flop / (0.6 * 1979e12) * 1e9);
}

// Level 1 of one request of 512K: 131,072 entries x 3 layers x 128 heads x 256 flop = 12.885 GFLOP.
TEST(StepTimeModelTest, LevelOne) {
  Scenario scenario = RooflinesOn("h20_141");
  scenario.mutable_hardware()->mutable_step_model()->set_level1_launch_ms(0.5);
  const StepTimeModel model(scenario);
  EXPECT_NEAR(model.Level1Flop(131072) / 1e9, 12.885, 0.001);
  EXPECT_NEAR(ToMilliseconds(model.Level1({1, 131072}, true)),
              0.5 + 12.885e9 / (0.6 * 296e12) * 1e3, 1e-5);
  EXPECT_EQ(model.Level1({1, 131072}, false).ns, 500'000);
}

TEST(StepTimeModelTest, PadsToTheNextCapturedBatch) {
  Scenario scenario = RooflinesOn("h20_141");
  const auto step_ns = [&](int32_t requests) {
    return StepTimeModel(scenario).Step({requests, 0, 0}).ns;
  };
  const int64_t per_request = step_ns(9) - step_ns(8);
  for (int32_t size : {1, 8, 16}) scenario.mutable_engine()->add_graph_batch_sizes(size);
  // Padding costs the constant per request, not the attention of requests that are not there.
  const int64_t csa = per_request - 119'000;
  EXPECT_NEAR(static_cast<double>(step_ns(16) - step_ns(9)), 7.0 * static_cast<double>(csa), 8.0);
  EXPECT_NEAR(static_cast<double>(step_ns(17) - step_ns(16)),  // beyond the largest: as it is
              static_cast<double>(119'000 + csa), 2.0);
}

// base + per_request * padded batch + kernels, rounded to the nanosecond.
TEST(StepTimeModelTest, KernelsAndEngineAddUp) {
  Scenario scenario = FlashOn("h20_141");
  for (int32_t size : {16, 64}) scenario.mutable_engine()->add_graph_batch_sizes(size);
  const StepModel& step = scenario.hardware().step_model();
  const double kernels = LayerKernels(scenario).StepNs(64, 60, 60 * 12288.0, 60 * 524288.0);
  EXPECT_NEAR(static_cast<double>(StepTimeModel(scenario).Step({60, 60 * 12288, 60 * 524288}).ns),
              step.base_ms() * 1e6 + step.per_request_ms() * 1e6 * 64 + kernels, 0.6);
}

// Level 1 with kernels: 3 layers of scoring at 128 heads x 256 flop an entry, 1.98 times the native
// 16,512.
TEST(StepTimeModelTest, LevelOneScoresWithTheCalibratedKernel) {
  const Scenario scenario = FlashOn("h20_141");
  const KernelCalibration& kernels = scenario.hardware().step_model().kernels();
  const double entries = 8e6;
  const double compute_ns = entries * kernels.scoring().entry_ns() * (32768.0 / 16512) / 78;
  const double ns = static_cast<double>(StepTimeModel(scenario).Level1({1, 8'000'000}, true).ns) -
                    scenario.hardware().step_model().level1_launch_ms() * 1e6;
  EXPECT_NEAR(ns / (3 * (compute_ns + kernels.scoring().floor_us() * 1e3)), 1.0, 0.02);
  EXPECT_EQ(StepTimeModel(scenario).Level1({1, 8'000'000}, false).ns, 100'000);
}

}  // namespace
}  // namespace tierscope
