// Index scoring with wgmma, TMA and specialised warps.
//
// One block an SM: a producer warp brings key tiles (a page of one layer: 64 keys, with their
// scales) into a ring of shared memory; two warpgroups take pages in turn, each multiplying a tile
// by all heads of the layer at once (m64 n128 k32, e4m3) and adding up the heads in registers. q
// lies in shared memory for as long as the block works on one request; when the request changes the
// consumers meet and load the next.
#include "kernels/hopper.cuh"
#include "kernels/index_score_hopper.h"
#include "kernels/paged.h"
#include "kernels/score_code.h"

namespace tierscope {
namespace {

constexpr int kConsumers = 2;
constexpr int kGroupThreads = 128;
constexpr int kThreads = kGroupThreads * (kConsumers + 1);
constexpr int kStages = 8;
constexpr int kGroupWarps = 4;

struct HopperScoreArguments {
  KeyPageMap maps[kMemoryLayers];
  ScoreInput input;
  int32_t code_cutoff;
  uint8_t* density;
  uint8_t* codes;
  uint8_t* histogram;
  float* logits;
};

template <int kLayers, int kHeads>
struct HopperShared {
  alignas(1024) uint8_t q[kLayers][kHeads * kIndexDim];  // swizzled by 128 B
  alignas(1024) uint8_t keys[kStages][kIndexKeyPlaneBytes];
  float scales[kStages][kPageEntries];
  float weights[kLayers * kHeads];
  uint64_t full[kStages];
  uint64_t empty[kStages];
  int32_t wanted[kConsumers][2][kGroupWarps];
  uint32_t bins[kConsumers][kScoreCodes];
};

#ifdef TIERSCOPE_HAS_WGMMA

constexpr uint32_t kScaleBytes = kPageEntries * 4;
// Named barriers; 0 is the block's.
constexpr int kConsumersBarrier = 1;
constexpr int kGroupBarrier = 2;  // + the consumer

// The place of a tile in the ring: the n-th tile of the block.
struct RingPlace {
  int stage;
  uint32_t parity;
};
__device__ __forceinline__ RingPlace PlaceOf(int n) {
  return {n % kStages, static_cast<uint32_t>(n / kStages % 2)};
}

template <int kLayers, int kHeads>
__device__ __forceinline__ void Produce(const HopperScoreArguments& p,
                                        HopperShared<kLayers, kHeads>& shared, TileWalk walk,
                                        const WorkRange& pages) {
  int n = 0;
  for (int item = pages.begin; item < pages.end; ++item) {
    const int page = walk.SeekFirstPage(item);
    const int64_t place = static_cast<int64_t>(walk.request) * p.input.pages_max + page;
    const int32_t pool_page = p.input.pages[place];
#pragma unroll 1
    for (int layer = 0; layer < kLayers; ++layer, ++n) {
      const RingPlace at = PlaceOf(n);
      BarrierWait(&shared.empty[at.stage], at.parity ^ 1);
      BarrierExpect(&shared.full[at.stage],
                    static_cast<uint32_t>(kIndexKeyPlaneBytes) + kScaleBytes);
      CopyKeyPage(shared.keys[at.stage], p.maps[layer], pool_page, &shared.full[at.stage]);
      CopyBulk(shared.scales[at.stage],
               p.input.keys[layer] + pool_page * kIndexPageBytes + kIndexKeyPlaneBytes, kScaleBytes,
               &shared.full[at.stage]);
    }
  }
}

template <int kLayers, int kHeads>
__device__ __forceinline__ void LoadQueries(const HopperScoreArguments& p,
                                            HopperShared<kLayers, kHeads>& shared, int request) {
  constexpr int kRows = kLayers * kHeads;
  const int thread = threadIdx.x - kGroupThreads;
  const uint8_t* q = p.input.q + static_cast<int64_t>(request) * kRows * kIndexDim;
  const float* weights = p.input.head_weights + static_cast<int64_t>(request) * kRows;
  for (int i = thread; i < kRows * 8; i += kConsumers * kGroupThreads) {
    const int row = i / 8;
    const int chunk = i % 8 ^ row % 8;
    *reinterpret_cast<uint4*>(&shared.q[0][0] + row * kIndexDim + chunk * 16) =
        *reinterpret_cast<const uint4*>(q + i * 16);
  }
  for (int i = thread; i < kRows; i += kConsumers * kGroupThreads) shared.weights[i] = weights[i];
  FenceForAsyncReads();
}

// logits of this thread's keys, 16 warp + lane / 4 and 8 more, in one layer; all four lanes of a
// group have them.
template <int kLayers, int kHeads>
__device__ __forceinline__ void ScoreTile(HopperShared<kLayers, kHeads>& shared, int layer,
                                          int stage, float (&logits)[2]) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32 % kGroupWarps;
  float acc[kHeads / 2];
  const uint64_t keys = SwizzledTile(shared.keys[stage]);
  const uint64_t heads = SwizzledTile(shared.q[layer]);
  WgmmaFence();
#pragma unroll
  for (int k = 0; k < kIndexDim / 32; ++k) {
    WgmmaE4m3<kHeads>(acc, keys + k * 2, heads + k * 2,
                      k > 0);  // 32 B are two units of a descriptor
  }
  WgmmaCommitAndWait();
  float sums[2] = {0.0f, 0.0f};
#pragma unroll
  for (int n = 0; n < kHeads / 8; ++n) {
    const float2 w =
        *reinterpret_cast<const float2*>(&shared.weights[layer * kHeads + n * 8 + 2 * (lane % 4)]);
    sums[0] += w.x * fmaxf(acc[4 * n], 0.0f) + w.y * fmaxf(acc[4 * n + 1], 0.0f);
    sums[1] += w.x * fmaxf(acc[4 * n + 2], 0.0f) + w.y * fmaxf(acc[4 * n + 3], 0.0f);
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    sums[i] += __shfl_xor_sync(kWholeWarp, sums[i], 1);
    sums[i] += __shfl_xor_sync(kWholeWarp, sums[i], 2);
    logits[i] = sums[i] * shared.scales[stage][warp * 16 + i * 8 + lane / 4];
  }
}

// What one page's scores are asked for. Lanes t = 0 and 1 of a group of four write keys lane / 4
// and 8 more.
template <int kLayers, int kHeads>
__device__ __forceinline__ void WritePage(const HopperScoreArguments& p,
                                          HopperShared<kLayers, kHeads>& shared, int consumer,
                                          int turn, int request, int page, const float (&best)[2]) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32 % kGroupWarps;
  const int thread = threadIdx.x % kGroupThreads;
  const int64_t row = static_cast<int64_t>(request) * p.input.pages_max + page;
  const int key = warp * 16 + lane % 4 * 8 + lane / 4;
  const bool exists = lane % 4 < 2 && key < p.input.entry_counts[request] - page * kPageEntries;
  const float logit = lane % 4 == 0 ? best[0] : best[1];
  const uint8_t code = ScoreCodeOf(logit);
  uint32_t* bins = shared.bins[consumer];
  if (p.histogram != nullptr) {
    bins[2 * thread] = bins[2 * thread + 1] = 0;
    TIERSCOPE_NAMED_BARRIER(kGroupBarrier + consumer, kGroupThreads);
  }
  if (exists && p.logits != nullptr) p.logits[row * kPageEntries + key] = logit;
  if (exists && p.codes != nullptr) p.codes[row * kPageEntries + key] = code;
  if (exists && p.histogram != nullptr) atomicAdd(&bins[code], 1u);
  const int wanted = __popc(__ballot_sync(kWholeWarp, exists && code >= p.code_cutoff));
  if (p.density == nullptr) return;
  // Two sets of counts in turn, so that one barrier a page is enough.
  if (lane == 0) shared.wanted[consumer][turn][warp] = wanted;
  TIERSCOPE_NAMED_BARRIER(kGroupBarrier + consumer, kGroupThreads);
  if (thread == 0) {
    int32_t sum = 0;
    for (const int32_t count : shared.wanted[consumer][turn]) sum += count;
    p.density[row] = static_cast<uint8_t>(sum);
  }
  if (p.histogram != nullptr) {
    uint8_t* out = p.histogram + row * kScoreCodes + 2 * thread;
    out[0] = static_cast<uint8_t>(bins[2 * thread]);
    out[1] = static_cast<uint8_t>(bins[2 * thread + 1]);
  }
}

template <int kLayers, int kHeads>
__device__ __forceinline__ void Consume(const HopperScoreArguments& p,
                                        HopperShared<kLayers, kHeads>& shared, TileWalk walk,
                                        const WorkRange& pages) {
  const int consumer = threadIdx.x / kGroupThreads - 1;
  int loaded = -1;
  for (int item = pages.begin; item < pages.end; ++item) {
    const int page = walk.SeekFirstPage(item);
    if (walk.request != loaded) {
      TIERSCOPE_NAMED_BARRIER(kConsumersBarrier, kConsumers * kGroupThreads);
      LoadQueries(p, shared, walk.request);
      TIERSCOPE_NAMED_BARRIER(kConsumersBarrier, kConsumers * kGroupThreads);
      loaded = walk.request;
    }
    const int turn = item - pages.begin;
    if (turn % kConsumers != consumer) continue;
    float best[2] = {-INFINITY, -INFINITY};
#pragma unroll 1
    for (int layer = 0; layer < kLayers; ++layer) {
      const RingPlace at = PlaceOf(turn * kLayers + layer);
      BarrierWait(&shared.full[at.stage], at.parity);
      float logits[2];
      ScoreTile(shared, layer, at.stage, logits);
      __syncwarp();
      if (threadIdx.x % 32 == 0) BarrierArrive(&shared.empty[at.stage]);
      best[0] = fmaxf(best[0], logits[0]);
      best[1] = fmaxf(best[1], logits[1]);
    }
    WritePage(p, shared, consumer, turn / kConsumers % 2, walk.request, page, best);
  }
}

#endif  // TIERSCOPE_HAS_WGMMA

template <int kLayers, int kHeads>
__global__ void __launch_bounds__(kThreads, 1)
    HopperScoreKernel(const __grid_constant__ HopperScoreArguments p) {
#ifdef TIERSCOPE_HAS_WGMMA
  auto& shared = SharedAs<HopperShared<kLayers, kHeads>>();
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      BarrierInit(&shared.full[stage], 1);
      BarrierInit(&shared.empty[stage], kGroupWarps);
    }
    BarrierInitFence();
  }
  __syncthreads();
  const TileWalk walk{p.input.entry_counts, p.input.request_count, 1};
  const WorkRange pages = WorkRangeOf(walk.TilesTotal(), blockIdx.x, gridDim.x);
  if (threadIdx.x / kGroupThreads == 0) {
    if (threadIdx.x == 0) Produce(p, shared, walk, pages);
  } else {
    Consume(p, shared, walk, pages);
  }
#endif
}

template <int kLayers, int kHeads>
KernelStatus Launch(const ScoreInput& input, int32_t key_pages, HopperScoreArguments& arguments,
                    CUstream_st* stream) {
  TIERSCOPE_KERNEL_REQUIRE(key_pages >= 1, "index score on Hopper: key_pages below 1");
  if (DeviceAttribute(cudaDevAttrComputeCapabilityMajor) != 9 ||
      DeviceAttribute(cudaDevAttrComputeCapabilityMinor) != 0) {
    return {KernelCode::kUnsupportedDevice,
            "index score on Hopper: no device of compute capability 9.0"};
  }
  if (input.request_count == 0) return {};
  arguments.input = input;
  for (int layer = 0; layer < kLayers; ++layer) {
    TIERSCOPE_KERNEL_RETURN_IF_ERROR(
        EncodeKeyPageMap(&arguments.maps[layer], input.keys[layer], key_pages));
  }
  const auto blocks = static_cast<unsigned>(DeviceAttribute(cudaDevAttrMultiProcessorCount));
  return LaunchKernel(HopperScoreKernel<kLayers, kHeads>,
                      {dim3(blocks), dim3(kThreads), sizeof(HopperShared<kLayers, kHeads>)},
                      arguments, stream);
}

}  // namespace

KernelStatus LaunchMemoryScoreHopper(const MemoryScoreParams& params, int32_t key_pages,
                                     CUstream_st* stream) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckMemoryScore(params));
  HopperScoreArguments arguments{};
  arguments.code_cutoff = params.code_cutoff;
  arguments.density = params.density;
  arguments.codes = params.codes;
  arguments.histogram = params.histogram;
  return Launch<kMemoryLayers, kMemoryHeads>(params.input, key_pages, arguments, stream);
}

KernelStatus LaunchNativeScoreHopper(const NativeScoreParams& params, int32_t key_pages,
                                     CUstream_st* stream) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckNativeScore(params));
  HopperScoreArguments arguments{};
  arguments.code_cutoff = kScoreCodes + 1;
  arguments.logits = params.logits;
  return Launch<1, kNativeHeads>(params.input, key_pages, arguments, stream);
}

}  // namespace tierscope
