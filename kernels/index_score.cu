// Index scoring with mma.sync, sm_80 and up.
//
// A warp takes a page: 64 keys against all heads of all layers. Keys go straight from global memory
// to registers (each is used once, by one warp), q stays in shared memory for as long as the block
// works on one request. The fp8 bits are moved to f16, which holds every e4m3 value times 2^-8
// exactly, and the product is m16n8k16 of f16. (There is an mma.sync of e4m3, but not on sm_80, and
// on sm_90 ptxas spends registers as if it converted to f16 itself; the native fp8 product there is
// wgmma.)
//
// A dot product may take its 128 terms in any order, as long as both sides take the same: lane t of
// a group of four loads 16 consecutive bytes of a row, and their words are the fragments' k
// positions.
#include "kernels/device.cuh"
#include "kernels/index_score.h"
#include "kernels/paged.h"
#include "kernels/score_code.h"

namespace tierscope {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kHalfKeys = 32;  // a warp holds half a page's keys in registers at a time
// Both factors carry 2^-8.
constexpr float kProductScale = 65536.0f;

// Either kind of scoring; outputs that are null are not written.
struct ScoreArguments {
  ScoreInput input;
  int32_t code_cutoff;
  uint8_t* density;
  uint8_t* codes;
  uint8_t* histogram;
  float* logits;
};

template <int kLayers, int kHeads>
struct ScoreShared {
  uint8_t q[kLayers * kHeads * kIndexDim];
  float weights[kLayers * kHeads];
  uint32_t bins[kWarps][kScoreCodes];
};

// Row r keeps its 16 B chunks in order when r is even and the two halves swapped when r is odd: the
// eight lanes of a shared-memory phase (two rows, four chunks each) then touch all 32 banks once.
__device__ __forceinline__ int SwizzledQ(int row, int chunk) {
  return row * kIndexDim + (chunk ^ ((row & 1) << 2)) * 16;
}

// e4m3 bytes 0, 2 (odd = 0) or 1, 3 (odd = 1) of a word as two f16 of 2^-8 times the value.
__device__ __forceinline__ uint32_t HalvesOf(uint32_t word, int odd) {
  const uint32_t high = (odd ? word : word << 8) & 0xFF00FF00u;
  return (high & 0x80008000u) | ((high & 0x7F007F00u) >> 1);
}

// The 16 bytes of a lane as the halves of four k steps: words 0, 1 feed steps 0 and 1, words 2, 3
// steps 2 and 3; of a step, [0] is the fragment's first k half and [1] its second.
__device__ __forceinline__ void ConvertChunk(uint32_t (&halves)[4][2], const uint4& chunk) {
#pragma unroll
  for (int odd = 0; odd < 2; ++odd) {
    halves[odd][0] = HalvesOf(chunk.x, odd);
    halves[odd][1] = HalvesOf(chunk.y, odd);
    halves[2 + odd][0] = HalvesOf(chunk.z, odd);
    halves[2 + odd][1] = HalvesOf(chunk.w, odd);
  }
}

// The keys of half a page as f16: [16-key tile][row group or group + 8][chunk t or t + 4][step][k
// half].
struct KeyTile {
  uint32_t halves[2][2][2][4][2];
};

__device__ __forceinline__ void LoadKeys(KeyTile& tile, const uint8_t* page, int half) {
  const int lane = threadIdx.x % 32;
  const uint8_t* rows = page + (half * kHalfKeys + lane / 4) * kIndexDim + lane % 4 * 16;
  uint4 chunks[2][2][2];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    chunks[i / 4][i / 2 % 2][i % 2] = LoadOnce16(rows + i / 2 * 8 * kIndexDim + i % 2 * 64);
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    ConvertChunk(tile.halves[i / 4][i / 2 % 2][i % 2], chunks[i / 4][i / 2 % 2][i % 2]);
  }
}

// sums[m][i] = sum over this layer's heads of w relu(q . k) for key 16 m + 8 i + group of the half,
// in all four lanes of the group.
template <int kHeads>
__device__ __forceinline__ void ScoreHeads(float (&sums)[2][2], const KeyTile& keys,
                                           const uint8_t* q, const float* weights, int layer) {
  const int lane = threadIdx.x % 32;
  const int group = lane / 4;
  const int t = lane % 4;
#pragma unroll
  for (int m = 0; m < 2; ++m) sums[m][0] = sums[m][1] = 0.0f;
#pragma unroll 1
  for (int head = 0; head < kHeads; head += 8) {
    const int row = layer * kHeads + head + group;
    const float2 w = *reinterpret_cast<const float2*>(weights + layer * kHeads + head + 2 * t);
    float acc[2][4] = {};
#pragma unroll
    for (int chunk = 0; chunk < 2; ++chunk) {
      uint32_t b[4][2];
      ConvertChunk(b, *reinterpret_cast<const uint4*>(q + SwizzledQ(row, t + 4 * chunk)));
#pragma unroll
      for (int step = 0; step < 4; ++step) {
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          const uint32_t(&upper)[2] = keys.halves[m][0][chunk][step];
          const uint32_t(&lower)[2] = keys.halves[m][1][chunk][step];
          const uint32_t a[4] = {upper[0], lower[0], upper[1], lower[1]};
          MmaF16(acc[m], a, b[step]);
        }
      }
    }
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      sums[m][0] += w.x * fmaxf(acc[m][0], 0.0f) + w.y * fmaxf(acc[m][1], 0.0f);
      sums[m][1] += w.x * fmaxf(acc[m][2], 0.0f) + w.y * fmaxf(acc[m][3], 0.0f);
    }
  }
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      sums[m][i] += __shfl_xor_sync(kWholeWarp, sums[m][i], 1);
      sums[m][i] += __shfl_xor_sync(kWholeWarp, sums[m][i], 2);
    }
  }
}

__device__ __forceinline__ int KeyOfLane() {
  const int lane = threadIdx.x % 32;
  return (lane % 4) * 8 + lane / 4;
}

// The largest logit of the layers for the 32 keys of a half page, one key a lane: key KeyOfLane().
template <int kLayers, int kHeads>
__device__ __forceinline__ float ScoreHalf(const ScoreArguments& p,
                                           const ScoreShared<kLayers, kHeads>& shared,
                                           int64_t pool_page, int half) {
  const int t = threadIdx.x % 4;
  float best = -INFINITY;
#pragma unroll 1
  for (int layer = 0; layer < kLayers; ++layer) {
    const uint8_t* page = p.input.keys[layer] + pool_page * kIndexPageBytes;
    KeyTile keys;
    LoadKeys(keys, page, half);
    float sums[2][2];
    ScoreHeads<kHeads>(sums, keys, shared.q, shared.weights, layer);
    const float sum = t == 0 ? sums[0][0] : t == 1 ? sums[0][1] : t == 2 ? sums[1][0] : sums[1][1];
    const auto* scales = reinterpret_cast<const float*>(page + kIndexKeyPlaneBytes);
    best = fmaxf(best, sum * kProductScale * scales[half * kHalfKeys + KeyOfLane()]);
  }
  return best;
}

// Writes what one page's scores are asked for. best: of this lane's key in each half.
__device__ __forceinline__ void WritePage(const ScoreArguments& p, uint32_t* bins, int request,
                                          int page, const float (&best)[2]) {
  const int lane = threadIdx.x % 32;
  const int64_t row = static_cast<int64_t>(request) * p.input.pages_max + page;
  const int entries_left = p.input.entry_counts[request] - page * kPageEntries;
  if (p.histogram != nullptr) {
    for (int code = lane; code < kScoreCodes; code += 32) bins[code] = 0;
    __syncwarp();
  }
  int wanted = 0;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int key = half * kHalfKeys + KeyOfLane();
    const bool exists = key < entries_left;
    const uint8_t code = ScoreCodeOf(best[half]);
    wanted += __popc(__ballot_sync(kWholeWarp, exists && code >= p.code_cutoff));
    if (!exists) continue;
    if (p.logits != nullptr) p.logits[row * kPageEntries + key] = best[half];
    if (p.codes != nullptr) p.codes[row * kPageEntries + key] = code;
    if (p.histogram != nullptr) atomicAdd(&bins[code], 1u);
  }
  if (p.density != nullptr && lane == 0) p.density[row] = static_cast<uint8_t>(wanted);
  if (p.histogram == nullptr) return;
  __syncwarp();
  uint8_t* out = p.histogram + row * kScoreCodes + lane * 8;
#pragma unroll
  for (int i = 0; i < 8; ++i) out[i] = static_cast<uint8_t>(bins[lane * 8 + i]);
  __syncwarp();  // the next page of this warp clears the bins
}

template <int kLayers, int kHeads>
__device__ __forceinline__ void LoadQueries(const ScoreArguments& p,
                                            ScoreShared<kLayers, kHeads>& shared, int request) {
  constexpr int kRows = kLayers * kHeads;
  const uint8_t* q = p.input.q + static_cast<int64_t>(request) * kRows * kIndexDim;
  const float* weights = p.input.head_weights + static_cast<int64_t>(request) * kRows;
  for (int i = threadIdx.x; i < kRows * 8; i += kThreads) {
    *reinterpret_cast<uint4*>(shared.q + SwizzledQ(i / 8, i % 8)) =
        *reinterpret_cast<const uint4*>(q + i * 16);
  }
  for (int i = threadIdx.x; i < kRows; i += kThreads) shared.weights[i] = weights[i];
}

template <int kLayers, int kHeads>
__global__ void __launch_bounds__(kThreads, 2)
    ScoreKernel(const __grid_constant__ ScoreArguments p) {
  auto& shared = SharedAs<ScoreShared<kLayers, kHeads>>();
  const int warp = threadIdx.x / 32;
  TileWalk walk{p.input.entry_counts, p.input.request_count, kWarps};
  const WorkRange tiles = WorkRangeOf(walk.TilesTotal(), blockIdx.x, gridDim.x);
  int loaded = -1;
  for (int tile = tiles.begin; tile < tiles.end; ++tile) {
    const int page = walk.SeekFirstPage(tile) + warp;
    const int request = walk.request;
    if (request != loaded) {
      __syncthreads();  // every warp is done with the queries before
      LoadQueries(p, shared, request);
      __syncthreads();
      loaded = request;
    }
    if (page >= PagesOfEntries(p.input.entry_counts[request])) continue;
    const int64_t pool_page =
        p.input.pages[static_cast<int64_t>(request) * p.input.pages_max + page];
    float best[2] = {0.0f, 0.0f};
#pragma unroll 1
    for (int half = 0; half < 2; ++half) {
      best[0] = best[1];
      best[1] = ScoreHalf<kLayers, kHeads>(p, shared, pool_page, half);
    }
    WritePage(p, shared.bins[warp], request, page, best);
  }
}

template <int kLayers, int kHeads>
KernelStatus Launch(const ScoreArguments& arguments, CUstream_st* stream) {
  using Shared = ScoreShared<kLayers, kHeads>;
  if (arguments.input.request_count == 0) return {};
  // The bins come last and are left out when nothing is recorded.
  const size_t bins_bytes = arguments.histogram == nullptr ? sizeof(Shared::bins) : 0;
  const auto blocks = static_cast<unsigned>(2 * DeviceAttribute(cudaDevAttrMultiProcessorCount));
  return LaunchKernel(ScoreKernel<kLayers, kHeads>,
                      {dim3(blocks), dim3(kThreads), sizeof(Shared) - bins_bytes}, arguments,
                      stream);
}

}  // namespace

KernelStatus LaunchMemoryScore(const MemoryScoreParams& params, CUstream_st* stream) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckMemoryScore(params));
  return Launch<kMemoryLayers, kMemoryHeads>(
      {params.input, params.code_cutoff, params.density, params.codes, params.histogram, nullptr},
      stream);
}

KernelStatus LaunchNativeScore(const NativeScoreParams& params, CUstream_st* stream) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckNativeScore(params));
  return Launch<1, kNativeHeads>(
      {params.input, kScoreCodes + 1, nullptr, nullptr, nullptr, params.logits}, stream);
}

}  // namespace tierscope
