// The inner loops of the CPU versions, compiled for several vector widths and chosen when the
// program starts.
#ifndef TIERSCOPE_KERNELS_CPU_VECTOR_H_
#define TIERSCOPE_KERNELS_CPU_VECTOR_H_

namespace tierscope {

inline constexpr int kCpuTile = 64;  // entries that are worked on together
inline constexpr int kCpuHeads = 4;  // heads that share a load of them

// dots[h][i] = sum over d of q[h][d] * columns[d][i]. q: [kCpuHeads] rows of `dim` floats,
// `q_pitch` apart. columns: [dim][kCpuTile]. dots: [kCpuHeads][kCpuTile].
void DotTile(const float* q, int q_pitch, const float* columns, int dim, float* dots);

// sums[i] += weight * max(dots[i], 0), i < kCpuTile.
void AddRelu(const float* dots, float weight, float* sums);

// out[i] += weight * row[i], i < count.
void AddScaled(const float* row, float weight, int count, float* out);

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_CPU_VECTOR_H_
