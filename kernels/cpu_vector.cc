#include "kernels/cpu_vector.h"

#include <cstring>

// Not under sanitizers: their start-up code and the choice of a clone (an ifunc) do not mix.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TIERSCOPE_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define TIERSCOPE_VECTOR_CLONES
#endif

namespace tierscope {
namespace {

constexpr int kBlock = 16;  // entries whose sums stay in registers

// Left to itself gcc spills the sums of every head in each of `dim` rounds.
using Block [[gnu::vector_size(kBlock * sizeof(float))]] = float;

}  // namespace

TIERSCOPE_VECTOR_CLONES
void DotTile(const float* q, int q_pitch, const float* columns, int dim, float* dots) {
  for (int first = 0; first < kCpuTile; first += kBlock) {
    Block sums[kCpuHeads] = {};
    for (int d = 0; d < dim; ++d) {
      Block column;
      std::memcpy(&column, columns + d * kCpuTile + first, sizeof column);
      for (int h = 0; h < kCpuHeads; ++h) sums[h] += q[h * q_pitch + d] * column;
    }
    for (int h = 0; h < kCpuHeads; ++h) {
      std::memcpy(dots + h * kCpuTile + first, &sums[h], sizeof sums[h]);
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
