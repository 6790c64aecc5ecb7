// Attention with mma.sync, sm_80 and up: one block of 16 warps a part of a request, a tile of 64
// entries at a time, online softmax in base 2.
//
// The entries of a tile are loaded to registers while the tile before is worked on, and turned to
// bf16 in shared memory, where they serve as keys and as values. bf16 holds a scaled e4m3 value
// exactly.
#include "kernels/attention.h"
#include "kernels/attention_common.cuh"
#include "kernels/device.cuh"
#include "kernels/fp8.h"
#include "kernels/kv_entry.h"
#include "kernels/paged.h"

namespace tierscope {
namespace {

constexpr int kThreads = 512;
constexpr int kTile = kAttentionTileEntries;
constexpr int kHeads = kAttentionHeads;
// A row is followed by 16 B, so that eight rows at one column lie in eight different bank groups.
constexpr int kRowPitch = kKvDim + 8;
constexpr int kScorePitch = kTile + 4;
constexpr int kWeightPitch = kTile + 8;

struct AttentionShared {
  uint16_t q[kHeads * kRowPitch];
  uint16_t kv[kTile * kRowPitch];
  float scores[kHeads * kScorePitch];
  uint16_t weights[kHeads * kWeightPitch];
  float rescale[kHeads];
  uint32_t exists[kTile];
};

// --- Loading.
__device__ __forceinline__ void StoreRowPart(AttentionShared& shared, const RowPart& part) {
  const int s = threadIdx.x % 8;
  const int row = threadIdx.x / 8;
  uint16_t* out = shared.kv + row * kRowPitch;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    if (j == 3 && s >= 4) break;
    const UnitValues unit = ValuesOfUnit(part, s, j);
    auto* to = reinterpret_cast<uint4*>(out + (s + 8 * j) * 16);
    to[0] = unit.low;
    to[1] = unit.high;
  }
  *reinterpret_cast<uint4*>(out + kKvFp8Dim + s * 8) = part.rope;
  if (s == 0) shared.exists[row] = part.exists;
}

__device__ __forceinline__ void LoadQuery(AttentionShared& shared, const uint16_t* q) {
  for (int i = threadIdx.x; i < kHeads * kKvDim / 8; i += kThreads) {
    const int head = i / (kKvDim / 8);
    const int unit = i % (kKvDim / 8);
    *reinterpret_cast<uint4*>(shared.q + head * kRowPitch + unit * 8) =
        *reinterpret_cast<const uint4*>(q + head * kKvDim + unit * 8);
  }
}

// --- Scores. Warp w: heads 16 (w / 4) .. + 16, entries 16 (w % 4) .. + 16.
__device__ __forceinline__ void ComputeScores(AttentionShared& shared) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int head0 = warp / 4 * 16;
  const int entry0 = warp % 4 * 16;
  // Matrices of A: rows 0-7 and 8-15 of k 0-7, then of k 8-15. Of B: entries 0-7 of k 0-7, of k
  // 8-15, then entries 8-15.
  const uint16_t* a_row = shared.q + (head0 + lane % 16) * kRowPitch + lane / 16 * 8;
  const uint16_t* b_row =
      shared.kv + (entry0 + lane % 8 + lane / 16 * 8) * kRowPitch + lane / 8 % 2 * 8;
  float acc[2][4] = {};
#pragma unroll 4
  for (int k = 0; k < kKvDim; k += 16) {
    uint32_t a[4];
    uint32_t b[4];
    LoadMatrix4(a, a_row + k);
    LoadMatrix4(b, b_row + k);
    const uint32_t left[2] = {b[0], b[1]};
    const uint32_t right[2] = {b[2], b[3]};
    MmaBf16(acc[0], a, left);
    MmaBf16(acc[1], a, right);
  }
  const int group = lane / 4;
  const int t = lane % 4;
#pragma unroll
  for (int n = 0; n < 2; ++n) {
    float* upper = shared.scores + (head0 + group) * kScorePitch + entry0 + n * 8 + 2 * t;
    *reinterpret_cast<float2*>(upper) = make_float2(acc[n][0], acc[n][1]);
    *reinterpret_cast<float2*>(upper + 8 * kScorePitch) = make_float2(acc[n][2], acc[n][3]);
  }
}

// --- Softmax. Eight threads share a head; each keeps the head's running maximum and its part of
// the sum.
struct HeadState {
  float top = -INFINITY;  // in base 2
  float sum = 0;
};

__device__ __forceinline__ float MaxOfEight(float x) {
#pragma unroll
  for (int delta = 1; delta < 8; delta *= 2) x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, delta));
  return x;
}
__device__ __forceinline__ float SumOfEight(float x) {
#pragma unroll
  for (int delta = 1; delta < 8; delta *= 2) x += __shfl_xor_sync(kWholeWarp, x, delta);
  return x;
}

__device__ __forceinline__ void UpdateSoftmax(AttentionShared& shared, HeadState& state,
                                              float scale2) {
  const int head = threadIdx.x / 8;
  const int first = threadIdx.x % 8 * 8;
  float x[8];
  float top = -INFINITY;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    x[i] = shared.exists[first + i] ? shared.scores[head * kScorePitch + first + i] * scale2
                                    : -INFINITY;
    top = fmaxf(top, x[i]);
  }
  top = fmaxf(state.top, MaxOfEight(top));
  const float base = top == -INFINITY ? 0.0f : top;
  const float rescale = exp2f(state.top - base);
  state.sum *= rescale;
  state.top = top;
  uint32_t packed[4];
#pragma unroll
  for (int i = 0; i < 8; i += 2) {
    const float low = exp2f(x[i] - base);
    const float high = exp2f(x[i + 1] - base);
    state.sum += low + high;
    packed[i / 2] = PackBf16(low, high);
  }
  *reinterpret_cast<uint4*>(shared.weights + head * kWeightPitch + first) =
      make_uint4(packed[0], packed[1], packed[2], packed[3]);
  if (threadIdx.x % 8 == 0) shared.rescale[head] = rescale;
}

// --- Weighted sum. Warp w: heads 32 (w / 8) .. + 32, dimensions 64 (w % 8) .. + 64.
struct Output {
  float acc[2][8][4];
};

__device__ __forceinline__ void AddWeighted(const AttentionShared& shared, Output& o) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int head0 = warp / 8 * 32;
  const int dim0 = warp % 8 * 64;
#pragma unroll
  for (int m = 0; m < 2; ++m) {
    const float upper = shared.rescale[head0 + m * 16 + lane / 4];
    const float lower = shared.rescale[head0 + m * 16 + 8 + lane / 4];
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      o.acc[m][n][0] *= upper;
      o.acc[m][n][1] *= upper;
      o.acc[m][n][2] *= lower;
      o.acc[m][n][3] *= lower;
    }
  }
  const uint16_t* a_row = shared.weights + (head0 + lane % 16) * kWeightPitch + lane / 16 * 8;
  // Transposed: matrices of entries 0-7 and 8-15 at dimensions 0-7, then at 8-15.
  const uint16_t* b_row = shared.kv + lane % 16 * kRowPitch + dim0 + lane / 16 * 8;
#pragma unroll
  for (int k = 0; k < kTile; k += 16) {
    uint32_t a[2][4];
    LoadMatrix4(a[0], a_row + k);
    LoadMatrix4(a[1], a_row + 16 * kWeightPitch + k);
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
      uint32_t b[4];
      LoadMatrix4Transposed(b, b_row + k * kRowPitch + n * 8);
      const uint32_t left[2] = {b[0], b[1]};
      const uint32_t right[2] = {b[2], b[3]};
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        MmaBf16(o.acc[m][n], a[m], left);
        MmaBf16(o.acc[m][n + 1], a[m], right);
      }
    }
  }
}

// Leaves each head's factor in shared.rescale and writes lse.
__device__ __forceinline__ void FinishHeads(const AttentionParams& p, AttentionShared& shared,
                                            HeadState& state, int request, int split) {
  state.sum = SumOfEight(state.sum);
  if (threadIdx.x % 8 != 0) return;
  const int head = threadIdx.x / 8;
  const float lse2 = Log2Sum(state.top, state.sum);
  float factor = state.sum > 0.0f ? 1.0f / state.sum : 0.0f;
  if (p.splits == 1) {
    factor *= ShareBesideSink(p.sink, head, lse2);
    p.lse[static_cast<int64_t>(request) * kHeads + head] = lse2 * kLn2;
  } else {
    p.partial_lse[(static_cast<int64_t>(request) * p.splits + split) * kHeads + head] = lse2;
  }
  shared.rescale[head] = factor;
}

__device__ __forceinline__ void WriteOutput(const AttentionParams& p, const AttentionShared& shared,
                                            const Output& o, int request, int split) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int64_t part = static_cast<int64_t>(request) * p.splits + split;
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int head = warp / 8 * 32 + m * 16 + half * 8 + lane / 4;
      const float factor = shared.rescale[head];
      const int64_t at = (part * kHeads + head) * kKvDim + warp % 8 * 64 + 2 * (lane % 4);
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const float low = o.acc[m][n][2 * half] * factor;
        const float high = o.acc[m][n][2 * half + 1] * factor;
        if (p.splits == 1) {
          *reinterpret_cast<uint32_t*>(p.out + at + n * 8) = PackBf16(low, high);
        } else {
          *reinterpret_cast<float2*>(p.partial_out + at + n * 8) = make_float2(low, high);
        }
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads, 1)
    AttentionKernel(const __grid_constant__ AttentionParams p) {
  auto& shared = SharedAs<AttentionShared>();
  const int split = blockIdx.x;
  const int request = blockIdx.y;
  const int32_t entries = OwnEntryCount(p, request) + WindowEntryCount(p);
  const WorkRange tiles = WorkRangeOf(CeilDiv(entries, kTile), split, p.splits);
  HeadState state;
  Output o = {};
  RowPart part;
  if (tiles.begin < tiles.end) LoadRowPart(part, p, request, tiles.begin * kTile + threadIdx.x / 8);
  LoadQuery(shared, p.q + static_cast<int64_t>(request) * kHeads * kKvDim);
  for (int tile = tiles.begin; tile < tiles.end; ++tile) {
    StoreRowPart(shared, part);
    __syncthreads();
    if (tile + 1 < tiles.end) LoadRowPart(part, p, request, (tile + 1) * kTile + threadIdx.x / 8);
    ComputeScores(shared);
    __syncthreads();
    UpdateSoftmax(shared, state, p.scale * kLog2E);
    __syncthreads();
    AddWeighted(shared, o);
    __syncthreads();  // the tile's entries and factors make room
  }
  FinishHeads(p, shared, state, request, split);
  __syncthreads();
  WriteOutput(p, shared, o, request, split);
}

// --- Adding up the parts: one block a head of a request, four dimensions a thread.
constexpr int kCombineThreads = kKvDim / 4;

__global__ void __launch_bounds__(kCombineThreads)
    CombineKernel(const __grid_constant__ AttentionParams p) {
  const int head = blockIdx.x;
  const int64_t request = blockIdx.y;
  const float* lse2 = p.partial_lse + request * p.splits * kHeads + head;
  float top = -INFINITY;
  for (int s = 0; s < p.splits; ++s) top = fmaxf(top, lse2[s * kHeads]);
  float sum = 0.0f;
  float4 o = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  for (int s = 0; s < p.splits; ++s) {
    if (lse2[s * kHeads] == -INFINITY) continue;
    const float weight = exp2f(lse2[s * kHeads] - top);
    const float4 part = *reinterpret_cast<const float4*>(
        p.partial_out + ((request * p.splits + s) * kHeads + head) * kKvDim + threadIdx.x * 4);
    sum += weight;
    o.x += weight * part.x;
    o.y += weight * part.y;
    o.z += weight * part.z;
    o.w += weight * part.w;
  }
  const float total = sum > 0.0f ? top + log2f(sum) : -INFINITY;
  const float factor = sum > 0.0f ? ShareBesideSink(p.sink, head, total) / sum : 0.0f;
  const int64_t at = request * kHeads + head;
  if (threadIdx.x == 0) p.lse[at] = total * kLn2;
  *reinterpret_cast<uint2*>(p.out + at * kKvDim + threadIdx.x * 4) =
      make_uint2(PackBf16(o.x * factor, o.y * factor), PackBf16(o.z * factor, o.w * factor));
}

}  // namespace

KernelStatus LaunchAttentionCombine(const AttentionParams& params, CUstream_st* stream) {
  return LaunchKernel(
      CombineKernel,
      {dim3(kHeads, static_cast<unsigned>(params.request_count)), dim3(kCombineThreads), 0}, params,
      stream);
}

KernelStatus LaunchAttention(const AttentionParams& params, CUstream_st* stream) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckAttention(params));
  if (params.request_count == 0) return {};
  const dim3 grid(static_cast<unsigned>(params.splits),
                  static_cast<unsigned>(params.request_count));
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(LaunchKernel(
      AttentionKernel, {grid, dim3(kThreads), sizeof(AttentionShared)}, params, stream));
  return params.splits == 1 ? KernelStatus{} : LaunchAttentionCombine(params, stream);
}

}  // namespace tierscope
