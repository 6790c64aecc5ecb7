#include "kernels/cpu_vector.h"

#include <algorithm>

// Not under sanitizers: their start-up code and the choice of a clone (an ifunc) do not mix.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TIERSCOPE_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define TIERSCOPE_VECTOR_CLONES
#endif

namespace tierscope {
namespace {

constexpr int kBlock = 16;  // entries whose sums stay in registers

}  // namespace

TIERSCOPE_VECTOR_CLONES
void DotTile(const float* q, int q_pitch, const float* columns, int dim, float* dots) {
  for (int first = 0; first < kCpuTile; first += kBlock) {
    float sums[kCpuHeads][kBlock] = {};
    for (int d = 0; d < dim; ++d) {
      const float* column = columns + d * kCpuTile + first;
      for (int h = 0; h < kCpuHeads; ++h) {
        const float x = q[h * q_pitch + d];
        for (int i = 0; i < kBlock; ++i) sums[h][i] += x * column[i];
      }
    }
    for (int h = 0; h < kCpuHeads; ++h) {
      for (int i = 0; i < kBlock; ++i) dots[h * kCpuTile + first + i] = sums[h][i];
    }
  }
}

TIERSCOPE_VECTOR_CLONES
void AddRelu(const float* dots, float weight, float* sums) {
  for (int i = 0; i < kCpuTile; ++i) sums[i] += weight * (dots[i] > 0.0f ? dots[i] : 0.0f);
}

TIERSCOPE_VECTOR_CLONES
void AddScaled(const float* row, float weight, int count, float* out) {
  for (int i = 0; i < count; ++i) out[i] += weight * row[i];
}

}  // namespace tierscope
