#include "calibration/carry.h"

#include "gtest/gtest.h"

#include "scenarios/presets.h"

namespace tierscope {
namespace {

Card CardNamed(const std::string& preset, int32_t sms) {
  return CardOf(*HardwarePreset(preset), sms);
}

// An H100's SM has 15.0 TFLOP/s of FP8, an H20's 3.79: half of the former is 1.98 times the latter,
// so an H20 runs at what its tensor cores reach.
TEST(CarryTest, TheRateOfAnSmUpToTheTensorCores) {
  const CardRates h100 = CardNamed("h100_sxm", 132).rates;
  const CardRates h20 = CardNamed("h20_96", 78).rates;
  EXPECT_DOUBLE_EQ(
      CarriedEfficiency(0.5, h100.fp8_flop_per_ns, h100, h20.fp8_flop_per_ns, h20, 0.9), 0.9);
  EXPECT_NEAR(CarriedEfficiency(0.1, h100.fp8_flop_per_ns, h100, h20.fp8_flop_per_ns, h20, 0.9),
              0.1 * (1979.0 / 132) / (296.0 / 78), 1e-12);
  // To the same card nothing changes.
  EXPECT_DOUBLE_EQ(
      CarriedEfficiency(0.5, h100.fp8_flop_per_ns, h100, h100.fp8_flop_per_ns, h100, 1.0), 0.5);
}

TEST(CarryTest, FillsWhatIsMissingAndNamesIt) {
  const CarrySource from = {CardNamed("h100_sxm", 132),
                            HardwarePreset("h100_sxm")->step_model().kernels()};
  const Card to = CardNamed("h20_96", 78);
  KernelCalibration kernels;
  kernels.mutable_gemm_fp8()->set_floor_us(1.0);
  CarryMissing(from, to, {0.9, 0.7, 0.8}, &kernels);
  EXPECT_EQ(kernels.gemm_fp8().floor_us(), 1.0);
  EXPECT_EQ(kernels.carried(),
            "GEMM BF16, MoE, scoring, top-k, attention, glue of the layers, all-reduce from NVIDIA "
            "H100 SXM");
  // Latencies as they stand; a block of 64 entries and 64 heads is 8.39 MFLOP on an SM of 1.897
  // TFLOP/s.
  EXPECT_EQ(kernels.attention().request_us(), from.kernels.attention().request_us());
  EXPECT_NEAR(kernels.attention().block_us(), 8.388608 / (0.8 * 148.0 / 78), 1e-9);
  // Scoring: 16,512 flop per query and entry at 0.9 of 3.79 TFLOP/s.
  EXPECT_NEAR(kernels.scoring().entry_ns(), 16.512 / (0.9 * 296.0 / 78), 1e-9);
  EXPECT_EQ(kernels.top_k_size(), from.kernels.top_k_size());
}

// Where the source's SM is the slower one, its time is carried, whatever the tensor cores could do.
TEST(CarryTest, NeverFasterThanTheSource) {
  const CarrySource from = {CardNamed("h100_sxm", 132),
                            HardwarePreset("h100_sxm")->step_model().kernels()};
  Card to = from.card;
  to.rates.bf16_flop_per_ns *= 100.0;
  to.rates.fp8_flop_per_ns *= 100.0;
  KernelCalibration kernels;
  CarryMissing(from, to, {1.0, 1.0, 1.0}, &kernels);
  EXPECT_EQ(kernels.attention().block_us(), from.kernels.attention().block_us());
  EXPECT_EQ(kernels.scoring().entry_ns(), from.kernels.scoring().entry_ns());
}

}  // namespace
}  // namespace tierscope
