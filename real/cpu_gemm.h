// Products of the CPU backend's ballast: row-major floats on the cores of the caller's arena.
#ifndef TIERSCOPE_REAL_CPU_GEMM_H_
#define TIERSCOPE_REAL_CPU_GEMM_H_

#include "real/backend.h"

namespace tierscope {

// y = x w for each group, shapes as in GemmShape. For few rows, so that reading w is the cost: each
// column block of w is read once for all rows.
void GemmOnCpu(const GemmShape& shape, const float* x, const float* w, float* y);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CPU_GEMM_H_
