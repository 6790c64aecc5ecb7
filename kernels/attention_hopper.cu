// Attention with wgmma and specialised warpgroups: one block a part of a request, a tile of 64
// entries at a time.
//
// A producer warpgroup gathers the entries of a tile, turns them to bf16 and lays them out for
// wgmma, two tiles in turn. Of two consumer warpgroups each multiplies q by half the tile's
// entries; they swap row maxima, put their weights into one 64 x 64 tile, and each adds 256 of the
// 512 dimensions. Entries lie in eight tiles of 64 rows of 128 B, swizzled: as keys their rows go
// along k, as values along the columns.
#include "kernels/attention_common.cuh"
#include "kernels/attention_hopper.h"
#include "kernels/hopper.cuh"

namespace tierscope {
namespace {

constexpr int kGroupThreads = 128;
constexpr int kConsumers = 2;
constexpr int kThreads = kGroupThreads * (kConsumers + 1);
constexpr int kTile = kAttentionTileEntries;
constexpr int kHeads = kAttentionHeads;
constexpr int kStages = 2;
constexpr int kTileDims = 64;  // of bf16 in 128 B
constexpr int kTileBytes = kTile * 128;
constexpr int kTiles = kKvDim / kTileDims;

struct HopperAttentionShared {
  alignas(1024) uint8_t q[kTiles][kTileBytes];
  alignas(1024) uint8_t kv[kStages][kTiles][kTileBytes];
  alignas(1024) uint8_t weights[kTileBytes];
  float of_heads[kConsumers][kHeads];  // each consumer's row maxima, and at the end its sums
  uint32_t exists[kStages][kTile];
  uint64_t full[kStages];
  uint64_t empty[kStages];
};
static_assert(kTile == kHeads, "q, entries and weights have tiles of one shape");

#ifdef TIERSCOPE_HAS_WGMMA

constexpr int kConsumersBarrier = 1;
constexpr int kRowsOfPass = kGroupThreads / 8;
constexpr int kPasses = kTile / kRowsOfPass;

// 16 B chunk `chunk` of a tile's row.
__device__ __forceinline__ uint4* ChunkOf(uint8_t* tile, int row, int chunk) {
  return reinterpret_cast<uint4*>(tile + row * 128 + (chunk ^ row % 8) * 16);
}

__device__ __forceinline__ void StoreRowPart(HopperAttentionShared& shared, int stage, int row,
                                             const RowPart& part) {
  const int s = threadIdx.x % 8;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    if (j == 3 && s >= 4) break;
    const UnitValues values = ValuesOfUnit(part, s, j);
    const int unit = s + 8 * j;
    *ChunkOf(shared.kv[stage][unit / 4], row, unit % 4 * 2) = values.low;
    *ChunkOf(shared.kv[stage][unit / 4], row, unit % 4 * 2 + 1) = values.high;
  }
  *ChunkOf(shared.kv[stage][kTiles - 1], row, s) = part.rope;
  if (s == 0) shared.exists[stage][row] = part.exists;
}

__device__ __forceinline__ void Produce(const AttentionParams& p, HopperAttentionShared& shared,
                                        int request, const WorkRange& tiles) {
  const int first_row = threadIdx.x / 8;
  for (int tile = tiles.begin; tile < tiles.end; ++tile) {
    const int n = tile - tiles.begin;
    const int stage = n % kStages;
    RowPart parts[kPasses];
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      LoadRowPart(parts[pass], p, request, tile * kTile + pass * kRowsOfPass + first_row);
    }
    BarrierWait(&shared.empty[stage], static_cast<uint32_t>(n / kStages % 2) ^ 1);
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      StoreRowPart(shared, stage, pass * kRowsOfPass + first_row, parts[pass]);
    }
    FenceForAsyncReads();
    BarrierArrive(&shared.full[stage]);
  }
}

__device__ __forceinline__ void LoadQuery(HopperAttentionShared& shared, const uint16_t* q) {
  for (int i = threadIdx.x; i < kHeads * kKvDim / 8; i += kThreads) {
    const int head = i / (kKvDim / 8);
    const int chunk = i % (kKvDim / 8);
    *ChunkOf(shared.q[chunk / 8], head, chunk % 8) =
        *reinterpret_cast<const uint4*>(q + head * kKvDim + chunk * 8);
  }
  FenceForAsyncReads();
}

// A consumer thread's state: its two heads, 16 warp + lane / 4 and 8 more.
struct Consumer {
  int index;
  int head[2];
  float top[2] = {-INFINITY, -INFINITY};  // in base 2
  float sum[2] = {0.0f, 0.0f};            // of this thread's entries
};

__device__ __forceinline__ float MaxOfFour(float x) {
  x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, 1));
  return fmaxf(x, __shfl_xor_sync(kWholeWarp, x, 2));
}
__device__ __forceinline__ float SumOfFour(float x) {
  x += __shfl_xor_sync(kWholeWarp, x, 1);
  return x + __shfl_xor_sync(kWholeWarp, x, 2);
}

// Scores of this consumer's 32 entries, in base 2; -inf where there is no entry.
__device__ __forceinline__ void ComputeScores(const HopperAttentionShared& shared,
                                              const Consumer& consumer, int stage, float scale2,
                                              float (&x)[16]) {
  WgmmaFence();
#pragma unroll
  for (int k = 0; k < kKvDim / 16; ++k) {
    const uint64_t a = SwizzledTile(shared.q[k / 4]) + k % 4 * 2;  // 32 B
    const uint64_t b =
        SwizzledTile(shared.kv[stage][k / 4] + consumer.index * kTileBytes / 2) + k % 4 * 2;
    WgmmaBf16<32>(x, a, b, k > 0);
  }
  WgmmaCommitAndWait();
  const int first = consumer.index * 32 + 2 * (threadIdx.x % 4);
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const bool exists = shared.exists[stage][first + i / 4 * 8 + i % 2];
    x[i] = exists ? x[i] * scale2 : -INFINITY;
  }
}

// Turns scores to weights in shared memory; rescale[i]: what the sums so far of head i are to be
// multiplied by.
__device__ __forceinline__ void ComputeWeights(HopperAttentionShared& shared, Consumer& consumer,
                                               const float (&x)[16], float (&rescale)[2]) {
  const int t = threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float top = -INFINITY;
#pragma unroll
    for (int n = 0; n < 4; ++n) top = fmaxf(top, fmaxf(x[4 * n + 2 * i], x[4 * n + 2 * i + 1]));
    top = MaxOfFour(top);
    if (t == 0) shared.of_heads[consumer.index][consumer.head[i]] = top;
  }
  TIERSCOPE_NAMED_BARRIER(kConsumersBarrier, kConsumers * kGroupThreads);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int head = consumer.head[i];
    const float top =
        fmaxf(consumer.top[i], fmaxf(shared.of_heads[0][head], shared.of_heads[1][head]));
    const float base = top == -INFINITY ? 0.0f : top;
    rescale[i] = exp2f(consumer.top[i] - base);
    consumer.sum[i] *= rescale[i];
    consumer.top[i] = top;
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      const float low = exp2f(x[4 * n + 2 * i] - base);
      const float high = exp2f(x[4 * n + 2 * i + 1] - base);
      consumer.sum[i] += low + high;
      auto* chunk =
          reinterpret_cast<uint32_t*>(ChunkOf(shared.weights, head, consumer.index * 4 + n));
      chunk[t] = PackBf16(low, high);
    }
  }
  FenceForAsyncReads();
  TIERSCOPE_NAMED_BARRIER(kConsumersBarrier, kConsumers * kGroupThreads);
}

__device__ __forceinline__ void AddWeighted(const HopperAttentionShared& shared,
                                            const Consumer& consumer, int stage, float (&o)[128]) {
  constexpr int kTilesOfConsumer = kTiles / kConsumers;
  const uint64_t weights = SwizzledTile(shared.weights);
  const uint64_t values =
      TileAlongColumns(shared.kv[stage][consumer.index * kTilesOfConsumer], kTileBytes);
  WgmmaFence();
#pragma unroll
  for (int k = 0; k < kTile / 16; ++k) {
    WgmmaBf16<256>(o, weights + k * 2, values + k * (16 * 128 / 16), true);
  }
  WgmmaCommitAndWait();
}

// Sums over both consumers, writes lse, and says by what the output is to be multiplied. The last
// tile's maxima were read before its second barrier, so their place is free.
__device__ __forceinline__ void FinishHeads(const AttentionParams& p, HopperAttentionShared& shared,
                                            Consumer& consumer, int64_t request, int split,
                                            float (&factor)[2]) {
  const int t = threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float sum = SumOfFour(consumer.sum[i]);
    if (t == 0) shared.of_heads[consumer.index][consumer.head[i]] = sum;
  }
  TIERSCOPE_NAMED_BARRIER(kConsumersBarrier, kConsumers * kGroupThreads);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int head = consumer.head[i];
    const float sum = shared.of_heads[0][head] + shared.of_heads[1][head];
    const float lse2 = Log2Sum(consumer.top[i], sum);
    factor[i] = sum > 0.0f ? 1.0f / sum : 0.0f;
    if (p.splits == 1) factor[i] *= ShareBesideSink(p.sink, head, lse2);
    if (t != 0 || consumer.index != 0) continue;
    if (p.splits == 1) {
      p.lse[request * kHeads + head] = lse2 * kLn2;
    } else {
      p.partial_lse[(request * p.splits + split) * kHeads + head] = lse2;
    }
  }
}

__device__ __forceinline__ void WriteOutput(const AttentionParams& p, const Consumer& consumer,
                                            int64_t part, const float (&factor)[2],
                                            const float (&o)[128]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int64_t at = (part * kHeads + consumer.head[i]) * kKvDim + consumer.index * (kKvDim / 2) +
                       2 * (threadIdx.x % 4);
#pragma unroll
    for (int n = 0; n < 32; ++n) {
      const float low = o[4 * n + 2 * i] * factor[i];
      const float high = o[4 * n + 2 * i + 1] * factor[i];
      if (p.splits == 1) {
        *reinterpret_cast<uint32_t*>(p.out + at + n * 8) = PackBf16(low, high);
      } else {
        *reinterpret_cast<float2*>(p.partial_out + at + n * 8) = make_float2(low, high);
      }
    }
  }
}

__device__ __forceinline__ void Consume(const AttentionParams& p, HopperAttentionShared& shared,
                                        int request, int split, const WorkRange& tiles) {
  const int thread = threadIdx.x % kGroupThreads;
  const int head = thread / 32 * 16 + thread % 32 / 4;
  Consumer consumer{static_cast<int>(threadIdx.x) / kGroupThreads - 1, {head, head + 8}};
  float o[128] = {};
  for (int tile = tiles.begin; tile < tiles.end; ++tile) {
    const int n = tile - tiles.begin;
    const int stage = n % kStages;
    BarrierWait(&shared.full[stage], static_cast<uint32_t>(n / kStages % 2));
    float x[16];
    ComputeScores(shared, consumer, stage, p.scale * kLog2E, x);
    float rescale[2];
    ComputeWeights(shared, consumer, x, rescale);
#pragma unroll
    for (int i = 0; i < 128; ++i) o[i] *= rescale[i / 2 % 2];
    AddWeighted(shared, consumer, stage, o);
    __syncwarp();
    if (threadIdx.x % 32 == 0) BarrierArrive(&shared.empty[stage]);
  }
  float factor[2];
  FinishHeads(p, shared, consumer, request, split, factor);
  WriteOutput(p, consumer, static_cast<int64_t>(request) * p.splits + split, factor, o);
}

#endif  // TIERSCOPE_HAS_WGMMA

__global__ void __launch_bounds__(kThreads, 1)
    HopperAttentionKernel(const __grid_constant__ AttentionParams p) {
#ifdef TIERSCOPE_HAS_WGMMA
  auto& shared = SharedAs<HopperAttentionShared>();
  const int split = blockIdx.x;
  const int request = blockIdx.y;
  const int32_t entries = OwnEntryCount(p, request) + WindowEntryCount(p);
  const WorkRange tiles = WorkRangeOf(CeilDiv(entries, kTile), split, p.splits);
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      BarrierInit(&shared.full[stage], kGroupThreads);
      BarrierInit(&shared.empty[stage], kConsumers * kGroupThreads / 32);
    }
    BarrierInitFence();
  }
  LoadQuery(shared, p.q + static_cast<int64_t>(request) * kHeads * kKvDim);
  __syncthreads();
  if (threadIdx.x / kGroupThreads == 0) {
    SetRegisters<136, false>();
    Produce(p, shared, request, tiles);
  } else {
    SetRegisters<184, true>();
    Consume(p, shared, request, split, tiles);
  }
#endif
}

}  // namespace

KernelStatus LaunchAttentionHopper(const AttentionParams& params, CUstream_st* stream) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckAttention(params));
  if (DeviceAttribute(cudaDevAttrComputeCapabilityMajor) != 9 ||
      DeviceAttribute(cudaDevAttrComputeCapabilityMinor) != 0) {
    return {KernelCode::kUnsupportedDevice,
            "attention on Hopper: no device of compute capability 9.0"};
  }
  if (params.request_count == 0) return {};
  const dim3 grid(static_cast<unsigned>(params.splits),
                  static_cast<unsigned>(params.request_count));
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(
      LaunchKernel(HopperAttentionKernel, {grid, dim3(kThreads), sizeof(HopperAttentionShared)},
                   params, stream));
  return params.splits == 1 ? KernelStatus{} : LaunchAttentionCombine(params, stream);
}

}  // namespace tierscope
