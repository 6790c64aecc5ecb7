#include "real/cpu_gemm.h"

#include <algorithm>

#include "tbb/parallel_for.h"

#include "kernels/cpu_vector.h"
#include "sim/base/units.h"

namespace tierscope {
namespace {

constexpr int64_t kBlockColumns = 512;  // 2 KiB of every row: a few rows of y stay in the L1 cache

}  // namespace

void GemmOnCpu(const GemmShape& shape, const float* x, const float* w, float* y) {
  const int64_t blocks = CeilDiv(shape.columns, kBlockColumns);
  tbb::parallel_for(int64_t{0}, shape.groups * blocks, [&](int64_t task) {
    const int64_t group = task / blocks;
    const int64_t begin = task % blocks * kBlockColumns;
    const auto columns = static_cast<int>(std::min(kBlockColumns, shape.columns - begin));
    const float* x_group = x + group * shape.rows * shape.inner;
    const float* w_block = w + group * shape.inner * shape.columns + begin;
    float* y_block = y + group * shape.rows * shape.columns + begin;
    for (int64_t row = 0; row < shape.rows; ++row) {
      std::fill_n(y_block + row * shape.columns, columns, 0.0f);
    }
    for (int64_t i = 0; i < shape.inner; ++i) {
      const float* w_row = w_block + i * shape.columns;
      for (int64_t row = 0; row < shape.rows; ++row) {
        AddScaled(w_row, x_group[row * shape.inner + i], columns, y_block + row * shape.columns);
      }
    }
  });
}

}  // namespace tierscope
