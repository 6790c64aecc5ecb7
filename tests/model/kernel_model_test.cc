#include "sim/model/kernel_model.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

#include "scenarios/presets.h"
#include "sim/base/rng.h"
#include "sim/model/layer_kernels.h"
#include "sim/model/layer_work.h"

namespace tierscope {
namespace {

// A card with round numbers: 1 TB/s, 100 and 50 TFLOP/s, 10 SMs.
constexpr CardRates kCard = {1e3, 1e5, 5e4, 10.0};

GemmKernel Gemm(double floor_us, double ns_per_k, double memory, double compute) {
  GemmKernel kernel;
  kernel.set_floor_us(floor_us);
  kernel.set_ns_per_k(ns_per_k);
  kernel.set_memory_efficiency(memory);
  kernel.set_compute_efficiency(compute);
  return kernel;
}

TEST(KernelModelTest, SoftRoof) {
  EXPECT_DOUBLE_EQ(SoftRoof(3.0, 0.0), 3.0);
  EXPECT_NEAR(SoftRoof(1.0, 1.0), std::pow(2.0, 0.25), 1e-12);
  EXPECT_NEAR(SoftRoof(10.0, 1.0), 10.0, 1e-3);
}

// BF16, m 64, n 100, k 1000: 12.8 MFLOP at 0.5 of 50 TFLOP/s is 512 ns; bytes 2 * 1000 * 164 + 2 *
// 6,400 = 340,800 at 0.8 TB/s are 426 ns.
TEST(KernelModelTest, GemmHandWorked) {
  const double ns = GemmNs(Gemm(2.0, 0.1, 0.8, 0.5), {64, 100, 1000, 1, 2.0}, kCard);
  EXPECT_NEAR(ns, 2000 + 100 + SoftRoof(512, 426), 1e-9);
  // One row costs what 64 cost in compute: 64 x 1,000 x 4,096 at 1 of 100 TFLOP/s.
  const GemmKernel compute_bound = Gemm(0, 0, 1e3, 1);
  EXPECT_NEAR(GemmNs(compute_bound, {1, 1000, 4096, 1, 1.0}, kCard),
              GemmNs(compute_bound, {64, 1000, 4096, 1, 1.0}, kCard), 0.1);
  // 16 tiles on 10 SMs are two waves: half of the loss of 2 / 1.6, in logarithm.
  EXPECT_NEAR(GemmNs(compute_bound, {128, 2048, 1000, 1, 1.0}, kCard),
              2.0 * 128 * 2048 * 1000 / 1e5 * std::sqrt(2.0 / 1.6), 1.0);
}

// Uniform routing, against drawing experts for every token.
TEST(KernelModelTest, ExpertsTouchedIsTheMeanOfDraws) {
  EXPECT_DOUBLE_EQ(ExpertsTouched(1, 256, 6, 0.0), 6.0);
  EXPECT_NEAR(ExpertsTouched(1, 256, 6, 1.0), 6.0, 1e-6);
  EXPECT_EQ(ExpertsTouched(10, 4, 6, 0.0), 4.0);
  Rng rng(7);
  double touched = 0.0;
  constexpr int kDraws = 400, kTokens = 60;
  for (int draw = 0; draw < kDraws; ++draw) {
    std::vector<bool> seen(256, false);
    for (int token = 0; token < kTokens; ++token) {
      std::vector<bool> mine(256, false);
      for (int chosen = 0; chosen < 6;) {
        const auto expert = static_cast<size_t>(rng.NextBelow(256));
        if (mine[expert]) continue;
        mine[expert] = seen[expert] = true;
        ++chosen;
      }
    }
    for (const bool expert : seen) touched += expert ? 1.0 / kDraws : 0.0;
  }
  EXPECT_NEAR(ExpertsTouched(kTokens, 256, 6, 0.0), touched, 1.0);
  // Popular experts are shared.
  EXPECT_LT(ExpertsTouched(kTokens, 256, 6, 1.0), ExpertsTouched(kTokens, 256, 6, 0.0) - 20);
}

// 8 bits: 10 experts of 1e6 weights are 10 MB, 10 us at 1 TB/s; (30 + 10 * 4) rows x 2e6 flop = 140
// MFLOP, 1.4 us. 4 bits: half the bytes, BF16's peak, 2 rows of padding: 100 MFLOP in 2 us.
TEST(KernelModelTest, MoeHandWorked) {
  MoeKernel kernel;
  kernel.set_floor_us(5.0);
  kernel.set_ns_per_token(10.0);
  kernel.set_memory_efficiency(1.0);
  kernel.set_compute_efficiency(1.0);
  kernel.set_tile_rows(4.0);
  kernel.set_tile_rows_low_bit(2.0);
  EXPECT_NEAR(MoeNs(kernel, {5, 30, 10, 1e6, 8.0}, kCard), 5050 + SoftRoof(1400, 10000), 1e-9);
  EXPECT_NEAR(MoeNs(kernel, {5, 30, 10, 1e6, 4.0}, kCard), 5050 + SoftRoof(2000, 5000), 1e-9);
}

TEST(KernelModelTest, TopK) {
  TopKKernel kernel;
  kernel.set_k(100);
  kernel.set_small_entries_max(1000);
  kernel.set_small_floor_us(2.0);
  kernel.set_small_ns_per_entry(1.0);
  kernel.set_large_floor_us(8.0);
  kernel.set_large_ns_per_entry(0.5);
  kernel.set_large_sms(5.0);
  EXPECT_EQ(TopKNs(kernel, 4, 100, kCard), 0.0);       // all are taken
  EXPECT_EQ(TopKNs(kernel, 10, 500, kCard), 2500.0);   // a request an SM
  EXPECT_EQ(TopKNs(kernel, 11, 500, kCard), 5000.0);   // a second wave
  EXPECT_EQ(TopKNs(kernel, 2, 2000, kCard), 9000.0);   // five SMs each
  EXPECT_EQ(TopKNs(kernel, 6, 2000, kCard), 27000.0);  // three times as many
}

AttentionKernel Attention() {
  AttentionKernel kernel;
  kernel.set_request_us(7.0);
  kernel.set_block_us(3.0);
  kernel.set_combine_us(2.0);
  kernel.set_split_us(0.5);
  kernel.set_split_traffic_us(0.1);
  return kernel;
}

// FlashMLA's schedule on 10 SMs, 5 blocks of overhead a request.
TEST(KernelModelTest, AttentionSchedule) {
  // One request of 20 blocks: 25 / 10 -> 3 blocks a part, 7 parts.
  EXPECT_DOUBLE_EQ(AttentionNs(Attention(), 1, 20, kCard),
                   1e3 * (7 + 3 * 3 + 2 + 0.5 * 7 + 0.1 * 7));
  // 10 requests of 2 blocks: 7 blocks a part, none split, one request an SM.
  EXPECT_DOUBLE_EQ(AttentionNs(Attention(), 10, 2, kCard), 1e3 * (7 + 3 * 2));
  // 40 requests of 2: 28 blocks a part, (28 + 5) / 7 = 4 requests an SM.
  EXPECT_DOUBLE_EQ(AttentionNs(Attention(), 40, 2, kCard), 1e3 * 4 * (7 + 3 * 2));
  EXPECT_EQ(AttentionNs(Attention(), 0, 2, kCard), 0.0);
}

TEST(KernelModelTest, AllReduce) {
  AllReduceKernel kernel;
  kernel.set_floor_us(2.0);
  kernel.set_per_peer_us(0.1);
  kernel.set_one_shot_gb_per_s(100.0);
  kernel.set_two_shot_gb_per_s(50.0);
  kernel.set_ring_floor_us(40.0);
  kernel.set_ring_gb_per_s(200.0);
  EXPECT_EQ(AllReduceNs(kernel, 1, 1e6), 0.0);
  EXPECT_NEAR(AllReduceNs(kernel, 8, 100'000), 2600 + 7 * 1000, 1e-9);
  EXPECT_NEAR(AllReduceNs(kernel, 8, 400'000), 2800 + 1.75 * 400'000 / 50, 1e-9);
  EXPECT_NEAR(AllReduceNs(kernel, 8, 16e6), 40'000 + 1.75 * 16e6 / 200, 1e-9);
  EXPECT_NEAR(AllReduceNs(kernel, 2, 4e6), 2000 + 4e6 / 100, 1e-9);  // always one-shot
}

// V4-Flash at TP8: the q projection is 1024 -> 8 heads x 512, the output 1 group of 4,096; the
// indexer and the compressor stay whole.
TEST(LayerWorkTest, TensorParallelismShardsHeadsAndExpertsOnly) {
  const Model flash = *ModelPreset("v4_flash");
  const auto eight = AttentionGemms(flash, LayerKind::kCsa, 8, 16, 1.0);
  const auto one = AttentionGemms(flash, LayerKind::kCsa, 1, 16, 1.0);
  ASSERT_EQ(eight.size(), 8u);
  EXPECT_EQ(eight[0].n, 1536);  // replicated: q_lora + head_dim
  EXPECT_EQ(one[0].n, 1536);
  EXPECT_EQ(eight[1].n, 4096);
  EXPECT_EQ(one[1].n, 32768);
  EXPECT_EQ(eight[2].groups, 1);
  EXPECT_EQ(eight[2].k, 4096);
  EXPECT_EQ(one[2].groups, 8);
  for (size_t i = 4; i < 8; ++i) EXPECT_EQ(eight[i].n, one[i].n) << i;
  EXPECT_EQ(AttentionGemms(flash, LayerKind::kHca, 8, 16, 1.0).size(), 5u);
  EXPECT_EQ(AttentionGemms(flash, LayerKind::kSwa, 8, 16, 1.0).size(), 4u);
  EXPECT_EQ(RoutedExperts(flash, 8, 16, 100).weights, 3.0 * 4096 * 2048 / 8);
}

Scenario FlashOn(const std::string& hardware) {
  Scenario scenario;
  *scenario.mutable_model() = *ModelPreset("v4_flash");
  *scenario.mutable_hardware() = *HardwarePreset(hardware);
  return scenario;
}

// The table and the sum of the parts are the same number, within the table, beyond it, and for
// models with MLA.
TEST(LayerKernelsTest, PartsAddUp) {
  for (const char* hardware : {"h20_141", "h100_sxm"}) {
    const LayerKernels kernels(FlashOn(hardware));
    for (const int32_t requests : {1, 7, 60, 1024, 1500}) {
      for (const double context : {4096.0, 524288.0}) {
        double sum = 0.0;
        for (const auto& part :
             kernels.Parts(requests, requests, requests * context / 4, requests * context)) {
          EXPECT_GE(part.ns, 0.0);
          sum += part.ns;
        }
        const double ns =
            kernels.StepNs(requests, requests, requests * context / 4, requests * context);
        EXPECT_NEAR(ns / sum, 1.0, 1e-12) << requests << " " << context;
      }
    }
  }
}

// More requests, more scored entries, longer contexts and the flat distribution never cost less.
TEST(LayerKernelsTest, MoreWorkTakesLonger) {
  const LayerKernels kernels(FlashOn("h20_141"));
  const double base = kernels.StepNs(60, 60, 60 * 12288, 60 * 524288.0);
  EXPECT_GT(kernels.StepNs(72, 72, 72 * 12288, 72 * 524288.0), base);
  EXPECT_GT(kernels.StepNs(60, 60, 60 * 131072.0, 60 * 524288.0), 1.2 * base);
  EXPECT_GT(kernels.StepNs(60, 60, 60 * 12288, 60 * 1048576.0), 1.1 * base);
  EXPECT_GT(kernels.StepNs(64, 60, 60 * 12288, 60 * 524288.0), base);  // padding
  Scenario peaked = FlashOn("h20_141");
  peaked.mutable_hardware()->mutable_step_model()->set_topk_scores(TopKKernel::PEAKED);
  EXPECT_LT(LayerKernels(peaked).StepNs(60, 60, 60 * 12288, 60 * 524288.0), base);
  Scenario popular = FlashOn("h20_141");
  popular.mutable_hardware()->mutable_step_model()->set_expert_alpha(1.0);
  EXPECT_LT(LayerKernels(popular).StepNs(60, 60, 60 * 12288, 60 * 524288.0), base);
}

TEST(LayerKernelsTest, TheNearestTopKIsChosen) {
  const StepModel step = HardwarePreset("h100_sxm")->step_model();
  EXPECT_EQ(ChooseTopK(step, 512).k(), 512);
  EXPECT_EQ(ChooseTopK(step, 2048).k(), 1024);
  EXPECT_EQ(ChooseTopK(step, 2048).version(), TopKKernel::V1);
}

}  // namespace
}  // namespace tierscope
