// Families from tables in the column layout of alibaba/InferSim (bench_data). Microseconds; `mfu`
// is relative to the card's peak, which tells the card.
//
//   gemm          all; FP8, m, k, n
//   grouped GEMM  DeepGEMM's masked product of num_local_experts groups, up and down projection,
//   groups
//                 4 and more. The benchmark draws each group's tokens from 0.7 to 1.3 of
//                 tokens_per_expert; with fewer groups that draw is all there is in a row
//   MLA           dense decode attention, 128 heads, BF16; compute_efficiency is that of the SMs
//   that work
#ifndef TIERSCOPE_CALIBRATION_INFERSIM_H_
#define TIERSCOPE_CALIBRATION_INFERSIM_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "calibration/card.h"
#include "calibration/family.h"

namespace tierscope {

absl::StatusOr<Family> ReadInferSimGemm(const std::string& path, const Card& card);

// Values: floor_us, memory_efficiency, compute_efficiency, and the fraction of a 64-row tile's cost
// that does not depend on how full it is. `few_groups`: the rows of 1 to 3 groups instead.
absl::StatusOr<Family> ReadGroupedGemm(const std::string& path, const Card& card, bool few_groups);

// Values: floor_us, compute_efficiency.
absl::StatusOr<Family> ReadMla(const std::string& path, const Card& card);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_INFERSIM_H_
