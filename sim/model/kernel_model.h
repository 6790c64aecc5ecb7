// Time of one GPU kernel, by family, on one rank. Each is a pure function of the family's
// calibrated parameters (scenarios/calibration.proto), the work and the card. Times are
// nanoseconds.
//
//   roof(c, m)   = (c^4 + m^4)^(1/4), the greater of compute and memory time with a soft corner:
//                  kernels near the corner reach neither roof
//   GEMM         floor + ns_per_k * k + roof(2 m' n k groups / (eff * peak), bytes / (eff * HBM)),
//   m' =
//                  m rounded up to 64 rows, bytes of weights, input and output; FP8 products pay
//                  half of the loss of their last wave of 128 x 128 tiles
//   MoE          floor + ns_per_token * tokens + roof(2 (rows + touched * tile_rows) w / (eff *
//   peak),
//                  touched * w * bits / 8 / (eff * HBM)), w = 3 * hidden * intermediate / TP
//                  weights
//   scoring      floor + roof((queries * query + queries * entries * entry) / SMs, key bytes / (eff
//   * HBM)) top-k        floor + ns_per_entry * entries, times the waves that the requests make; 0
//   up to k entries attention    FlashMLA's schedule: requests of B blocks over the SMs, each part
//   of a request costs 5
//                  blocks more; split requests pay a second kernel that combines the parts
//   all-reduce   one-shot, two-shot, ring: floor(GPUs) + bytes each GPU receives / rate
//   glue         floor + per_request * requests
//
// What was measured on which card, and how well: README.md beside this file. Thread-safe; a call
// costs a few tens of flops.
#ifndef TIERSCOPE_SIM_MODEL_KERNEL_MODEL_H_
#define TIERSCOPE_SIM_MODEL_KERNEL_MODEL_H_

#include <cstdint>

#include "scenarios/calibration.pb.h"
#include "scenarios/scenario.pb.h"

namespace tierscope {

// What of a card the kernels depend on.
struct CardRates {
  double hbm_bytes_per_ns = 0.0;
  double fp8_flop_per_ns = 0.0;  // dense peak
  double bf16_flop_per_ns = 0.0;
  double sm_count = 0.0;
};
CardRates RatesOf(const Hardware& hardware, int32_t sm_count);

// (a^4 + b^4)^(1/4) of non-negative times.
double SoftRoof(double a, double b);

// groups products of [m, k] x [k, n]; weights of weight_bytes each.
struct GemmWork {
  double m = 0.0, n = 0.0, k = 0.0;
  double groups = 1.0;
  double weight_bytes = 1.0;  // 1: FP8, 2: BF16
};
double GemmNs(const GemmKernel& kernel, const GemmWork& work, const CardRates& rates);

struct MoeWork {
  double tokens = 0.0;
  double rows = 0.0;     // tokens * experts per token
  double touched = 0.0;  // distinct experts
  double weights = 0.0;  // of one expert on this rank
  double weight_bits = 8.0;
};
double MoeNs(const MoeKernel& kernel, const MoeWork& work, const CardRates& rates);

// Distinct experts that `tokens` tokens touch, each choosing `top` of `experts` by popularity
// i^-alpha, i = 1..experts, independently: sum over experts of 1 - (1 - top * p)^tokens, top * p at
// most 1. alpha = 0 gives experts * (1 - (1 - top / experts)^tokens).
double ExpertsTouched(double tokens, int32_t experts, int32_t top, double alpha);

// With every groups-th expert by popularity in one group, what the group with the most popular ones
// gets of `tokens` tokens, in expectation: rows (token, expert), and distinct experts.
struct ExpertShare {
  double rows = 0.0;
  double touched = 0.0;
};
ExpertShare BusiestExpertGroup(double tokens, int32_t experts, int32_t top, double alpha,
                               int32_t groups);

struct ScoringWork {
  double queries = 0.0;
  double entries = 0.0;           // over all queries
  double key_bytes = 0.0;         // read from memory
  double heads_x_dim = 64 * 258;  // heads * (2 dim + 2): flop per entry
  bool keys_cached = false;       // as in a benchmark that scores the same keys again and again
};
double ScoringNs(const ScoringKernel& kernel, const ScoringWork& work, const CardRates& rates);

// `entries` of each of `requests` requests.
double TopKNs(const TopKKernel& kernel, double requests, double entries, const CardRates& rates);

// `requests` of `blocks` blocks of 64 entries each, at 64 heads (128 heads: twice the requests).
double AttentionNs(const AttentionKernel& kernel, double requests, double blocks,
                   const CardRates& rates);

double GlueNs(const LayerGlue& glue, double requests);

// 0 on one GPU.
double AllReduceNs(const AllReduceKernel& kernel, int32_t gpus, double bytes);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_KERNEL_MODEL_H_
