// Families carried from a card that has a table to one that lacks it.
//
// What is carried is the time of one SM, not a fraction of the card's peak: latencies as they
// stand, work of an SM as it stands but never faster than the tensor cores of the target, of whose
// peak a product reaches what the target's own tables show. An H20 has the SMs of an H100 with a
// quarter of its tensor rate, so kernels that cannot use an H100's tensor cores (dequantisation,
// reductions) use an H20's almost fully. tables fitted on both cards say how wrong that is
// (README.md).
#ifndef TIERSCOPE_CALIBRATION_CARRY_H_
#define TIERSCOPE_CALIBRATION_CARRY_H_

#include <string>

#include "calibration/calibrate.h"

namespace tierscope {

// What the target's own tables say its tensor cores reach, as fractions of the peak.
struct TensorReach {
  double gemm = 1.0;       // FP8 products, scoring
  double experts = 1.0;    // grouped products
  double attention = 1.0;  // BF16 attention
};

// The efficiency on `to` of a product that reaches `efficiency` of `from_peak` on `from`: the same
// rate per SM, at most `reach` of the target's peak.
double CarriedEfficiency(double efficiency, double from_peak, const CardRates& from, double to_peak,
                         const CardRates& to, double reach);

// Fills what `kernels` has not got, and names it in `carried`.
void CarryMissing(const CarrySource& from, const Card& to, const TensorReach& reach,
                  KernelCalibration* kernels);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_CARRY_H_
