// What the attention kernels share: loading entries, and the end of the softmax. For .cu sources.
#ifndef TIERSCOPE_KERNELS_ATTENTION_COMMON_CUH_
#define TIERSCOPE_KERNELS_ATTENTION_COMMON_CUH_

#include "kernels/attention.h"
#include "kernels/device.cuh"
#include "kernels/fp8.h"
#include "kernels/kv_entry.h"
#include "kernels/paged.h"

namespace tierscope {

inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr float kLn2 = 0.6931471805599453f;

// Eight threads share a row: thread s of them takes its 16 B units s, s + 8, s + 16, s
// + 24 of fp8 (there are 28) and unit s of rope.
struct RowPart {
  uint4 fp8[4];
  uint4 rope;
  uint2 scales;
  bool exists;
};

// Of the entry at `place` of the request.
__device__ __forceinline__ void LoadRowPart(RowPart& part, const AttentionParams& p, int request,
                                            int32_t place) {
  const int s = threadIdx.x % 8;
  const KvRow row = KvEntryAt(p, request, place);
  part.exists = row.values != nullptr;
  const uint4 zero = make_uint4(0, 0, 0, 0);
  part.rope = zero;
  part.scales = make_uint2(0, 0);
#pragma unroll
  for (int j = 0; j < 4; ++j) part.fp8[j] = zero;
  if (!part.exists) return;
#pragma unroll
  for (int j = 0; j < 3; ++j) part.fp8[j] = LoadOnce16(row.values + (s + 8 * j) * 16);
  if (s < 4) part.fp8[3] = LoadOnce16(row.values + (s + 24) * 16);
  part.rope = LoadOnce16(row.values + kKvFp8Dim + s * 16);
  part.scales = *reinterpret_cast<const uint2*>(row.scales);
}

// Four e4m3 values times a power of two, as bf16.
__device__ __forceinline__ uint2 ScaledWord(uint32_t word, float scale) {
  uint32_t f[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) f[i] = __float_as_uint(E4m3ToFloat(word >> (8 * i) & 0xFFu) * scale);
  return make_uint2(__byte_perm(f[0], f[1], 0x7632), __byte_perm(f[2], f[3], 0x7632));
}

// The 16 values of the j-th fp8 unit of thread s of a row, as bf16.
struct UnitValues {
  uint4 low;
  uint4 high;
};
__device__ __forceinline__ UnitValues ValuesOfUnit(const RowPart& part, int s, int j) {
  const int group = (s + 8 * j) / 4;
  const uint32_t code = ((group < 4 ? part.scales.x : part.scales.y) >> (group % 4 * 8)) & 0xFFu;
  const float scale = Ue8m0ToFloat(code);
  const uint2 a = ScaledWord(part.fp8[j].x, scale);
  const uint2 b = ScaledWord(part.fp8[j].y, scale);
  const uint2 c = ScaledWord(part.fp8[j].z, scale);
  const uint2 d = ScaledWord(part.fp8[j].w, scale);
  return {make_uint4(a.x, a.y, b.x, b.y), make_uint4(c.x, c.y, d.x, d.y)};
}

// log2 of the sum of exponentials; -inf where there was no entry.
__device__ __forceinline__ float Log2Sum(float top, float sum) {
  return sum > 0.0f ? top + log2f(sum) : -INFINITY;
}
// The share of the softmax that the sink leaves; 0 without entries.
__device__ __forceinline__ float ShareBesideSink(const float* sink, int head, float lse2) {
  if (lse2 == -INFINITY) return 0.0f;
  return sink == nullptr ? 1.0f : 1.0f / (1.0f + exp2f(sink[head] * kLog2E - lse2));
}

// Adds up the parts of every request; for splits above 1, after a kernel that wrote them.
KernelStatus LaunchAttentionCombine(const AttentionParams& params, CUstream_st* stream);

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_ATTENTION_COMMON_CUH_
