#include "real/backend.h"

#include <cmath>

namespace tierscope {

int64_t WeightBytes(std::span<const GemmShape> products, double weight_bytes_each) {
  int64_t weights = 0;
  for (const GemmShape& p : products) weights += p.columns * p.inner * p.groups;
  return static_cast<int64_t>(std::ceil(static_cast<double>(weights) * weight_bytes_each));
}

int64_t GemmFlop(std::span<const GemmShape> products) {
  int64_t flop = 0;
  for (const GemmShape& p : products) flop += 2 * p.rows * p.columns * p.inner * p.groups;
  return flop;
}

}  // namespace tierscope
