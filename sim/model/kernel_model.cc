#include "sim/model/kernel_model.h"

#include <algorithm>
#include <cmath>

#include "sim/base/det_math.h"

namespace tierscope {
namespace {

constexpr double kNsPerUs = 1e3;
constexpr double kTile = 128;
constexpr double kGemmRows = 64;           // rows of the smallest tile of tensor-core products
constexpr double kScoringFlop = 64 * 258;  // per entry, what entry_ns is calibrated for
constexpr double kScheduleBlocks = 5;      // FlashMLA, fixed_overhead_num_blocks
constexpr double kOneShotBytesOf4 = 512 * 1024;  // SGLang's custom all-reduce, up to 4 GPUs
constexpr double kOneShotBytes = 256 * 1024;     // and more
constexpr double kCustomBytesMax = 8 * 1024 * 1024;

// By how much the last wave of 128 x 128 tiles lengthens an FP8 product (DeepGEMM: whole tiles, one
// per SM at a time): half of it, in logarithm, as smaller tiles are chosen where it is thin.
// cuBLAS's BF16 products split along k instead.
double WaveLoss(const GemmWork& work, const CardRates& rates) {
  if (work.weight_bytes > 1.0) return 1.0;
  const double tiles = work.groups * std::ceil(work.m / kTile) * std::ceil(work.n / kTile);
  const double waves = tiles / rates.sm_count;
  return waves > 1.0 ? std::sqrt(std::ceil(waves) / waves) : 1.0;
}

double RoundUp(double value, double step) { return std::ceil(value / step) * step; }

}  // namespace

CardRates RatesOf(const Hardware& hardware, int32_t sm_count) {
  return {static_cast<double>(hardware.hbm_bytes_per_s()) * 1e-9, hardware.fp8_flop_per_s() * 1e-9,
          hardware.bf16_flop_per_s() * 1e-9, static_cast<double>(sm_count)};
}

double SoftRoof(double a, double b) {
  const double a2 = a * a;
  const double b2 = b * b;
  return std::sqrt(std::sqrt(a2 * a2 + b2 * b2));
}

double GemmNs(const GemmKernel& kernel, const GemmWork& work, const CardRates& rates) {
  const double peak = work.weight_bytes > 1.0 ? rates.bf16_flop_per_ns : rates.fp8_flop_per_ns;
  const double bytes =
      work.groups * (work.weight_bytes * work.k * (work.n + work.m) + 2.0 * work.m * work.n);
  const double flop =
      work.groups * 2.0 * RoundUp(work.m, kGemmRows) * work.n * work.k * WaveLoss(work, rates);
  return kernel.floor_us() * kNsPerUs + kernel.ns_per_k() * work.k +
         SoftRoof(flop / (kernel.compute_efficiency() * peak),
                  bytes / (kernel.memory_efficiency() * rates.hbm_bytes_per_ns));
}

double MoeNs(const MoeKernel& kernel, const MoeWork& work, const CardRates& rates) {
  const bool low_bit = work.weight_bits < 8.0;
  // Weights of fewer bits are widened to BF16 before the product.
  const bool fp8 = !low_bit && work.weight_bits < 16.0;
  const double peak = fp8 ? rates.fp8_flop_per_ns : rates.bf16_flop_per_ns;
  const double tile_rows = low_bit ? kernel.tile_rows_low_bit() : kernel.tile_rows();
  const double flop = 2.0 * (work.rows + work.touched * tile_rows) * work.weights;
  const double bytes = work.touched * work.weights * work.weight_bits / 8.0;
  return kernel.floor_us() * kNsPerUs + kernel.ns_per_token() * work.tokens +
         SoftRoof(flop / (kernel.compute_efficiency() * peak),
                  bytes / (kernel.memory_efficiency() * rates.hbm_bytes_per_ns));
}

double ExpertsTouched(double tokens, int32_t experts, int32_t top, double alpha) {
  if (top >= experts) return experts;
  if (alpha == 0.0) {
    return experts * (1.0 - DetPow(1.0 - static_cast<double>(top) / experts, tokens));
  }
  double weight_sum = 0.0;
  for (int32_t i = 1; i <= experts; ++i) weight_sum += DetPow(i, -alpha);
  double touched = 0.0;
  for (int32_t i = 1; i <= experts; ++i) {
    const double chosen = top * DetPow(i, -alpha) / weight_sum;
    touched += chosen < 1.0 ? 1.0 - DetPow(1.0 - chosen, tokens) : 1.0;
  }
  return touched;
}

ExpertShare BusiestExpertGroup(double tokens, int32_t experts, int32_t top, double alpha,
                               int32_t groups) {
  if (alpha == 0.0 || top >= experts) {
    return {tokens * std::min(top, experts) / groups,
            ExpertsTouched(tokens, experts, top, alpha) / groups};
  }
  double weight_sum = 0.0;
  for (int32_t i = 1; i <= experts; ++i) weight_sum += DetPow(i, -alpha);
  ExpertShare share;
  for (int32_t i = 1; i <= experts; i += groups) {
    const double chosen = std::min(1.0, top * DetPow(i, -alpha) / weight_sum);
    share.rows += tokens * chosen;
    share.touched += chosen < 1.0 ? 1.0 - DetPow(1.0 - chosen, tokens) : 1.0;
  }
  return share;
}

double ScoringNs(const ScoringKernel& kernel, const ScoringWork& work, const CardRates& rates) {
  const double compute = (work.queries * kernel.query_us() * kNsPerUs +
                          work.entries * kernel.entry_ns() * (work.heads_x_dim / kScoringFlop)) /
                         rates.sm_count;
  const double efficiency =
      work.keys_cached ? kernel.cached_efficiency() : kernel.memory_efficiency();
  return kernel.floor_us() * kNsPerUs +
         SoftRoof(compute, work.key_bytes / (efficiency * rates.hbm_bytes_per_ns));
}

double TopKNs(const TopKKernel& kernel, double requests, double entries, const CardRates& rates) {
  if (entries <= kernel.k() || requests <= 0.0) return 0.0;
  if (entries <= kernel.small_entries_max()) {
    const double waves = std::ceil(requests / rates.sm_count);
    return waves * (kernel.small_floor_us() * kNsPerUs + kernel.small_ns_per_entry() * entries);
  }
  const double waves = std::max(1.0, requests * kernel.large_sms() / rates.sm_count);
  return waves * (kernel.large_floor_us() * kNsPerUs + kernel.large_ns_per_entry() * entries);
}

double AttentionNs(const AttentionKernel& kernel, double requests, double blocks,
                   const CardRates& rates) {
  if (requests <= 0.0) return 0.0;
  const double part_blocks =
      std::ceil(requests * (blocks + kScheduleBlocks) / rates.sm_count);  // of one SM
  if (part_blocks < blocks) {
    const double splits = std::ceil(blocks / part_blocks);
    return kNsPerUs * (kernel.request_us() + kernel.block_us() * part_blocks + kernel.combine_us() +
                       kernel.split_us() * splits + kernel.split_traffic_us() * requests * splits);
  }
  const double whole =
      std::max(1.0, std::floor((part_blocks + kScheduleBlocks) / (blocks + kScheduleBlocks)));
  return kNsPerUs * whole * (kernel.request_us() + kernel.block_us() * blocks);
}

double GlueNs(const LayerGlue& glue, double requests) {
  return kNsPerUs * (glue.floor_us() + glue.per_request_us() * requests);
}

double AllReduceNs(const AllReduceKernel& kernel, int32_t gpus, double bytes) {
  if (gpus <= 1) return 0.0;
  const double twice = 2.0 * (gpus - 1) / gpus * bytes;  // received under two-shot and ring
  if (bytes > kCustomBytesMax) {
    return kernel.ring_floor_us() * kNsPerUs + twice / kernel.ring_gb_per_s();
  }
  const double floor_us = kernel.floor_us() + kernel.per_peer_us() * (gpus - 2);
  const bool one_shot = gpus == 2 || bytes < (gpus <= 4 ? kOneShotBytesOf4 : kOneShotBytes);
  if (one_shot) return floor_us * kNsPerUs + (gpus - 1) * bytes / kernel.one_shot_gb_per_s();
  // A second round of barriers.
  return (floor_us + 2.0 * kernel.per_peer_us()) * kNsPerUs + twice / kernel.two_shot_gb_per_s();
}

}  // namespace tierscope
