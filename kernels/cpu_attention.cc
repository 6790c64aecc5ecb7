// Sixteen heads of a request at a time: tiles of 64 entries become floats by row and by column,
// softmax runs online over the tiles.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "tbb/parallel_for.h"

#include "kernels/cpu_kernels.h"
#include "kernels/cpu_vector.h"
#include "kernels/fp8.h"
#include "kernels/kv_entry.h"
#include "kernels/paged.h"

namespace tierscope {
namespace {

constexpr int kTaskHeads = 16;
static_assert(kTaskHeads % kCpuHeads == 0 && kAttentionHeads % kTaskHeads == 0);

struct Work {
  float q[kTaskHeads * kKvDim];
  float rows[kCpuTile * kKvDim];
  float columns[kKvDim * kCpuTile];
  float dots[kTaskHeads * kCpuTile];
  float out[kTaskHeads * kKvDim];
  float top[kTaskHeads];
  float sum[kTaskHeads];
};

// Decodes the entries at places [first, first + 64) that exist, one after the other; how many.
int LoadTile(const AttentionParams& params, int32_t request, int32_t first, Work& work) {
  int count = 0;
  for (int32_t i = first; i < first + kCpuTile; ++i) {
    const KvRow row = KvEntryAt(params, request, i);
    if (row.values == nullptr) continue;
    float* out = work.rows + count * kKvDim;
    for (int d = 0; d < kKvFp8Dim; ++d)
      out[d] = E4m3ToFloat(row.values[d]) * Ue8m0ToFloat(row.scales[d / kKvScaleGroup]);
    for (int d = kKvFp8Dim; d < kKvDim; ++d) {
      uint16_t bits;
      std::memcpy(&bits, row.values + kKvFp8Dim + 2 * (d - kKvFp8Dim), sizeof bits);
      out[d] = Bf16ToFloat(bits);
    }
    for (int d = 0; d < kKvDim; ++d) work.columns[d * kCpuTile + count] = out[d];
    ++count;
  }
  return count;
}

// One head's softmax over a tile of `count` > 0 entries, added to what came before.
void AddTile(const AttentionParams& params, int head, int count, Work& work) {
  float* scores = work.dots + head * kCpuTile;
  for (int i = 0; i < count; ++i) scores[i] *= params.scale;
  const float top = std::max(work.top[head], *std::max_element(scores, scores + count));
  const float rescale = std::exp(work.top[head] - top);
  float* out = work.out + head * kKvDim;
  for (int d = 0; d < kKvDim; ++d) out[d] *= rescale;
  work.top[head] = top;
  work.sum[head] *= rescale;
  for (int i = 0; i < count; ++i) {
    const float p = std::exp(scores[i] - top);
    work.sum[head] += p;
    AddScaled(work.rows + i * kKvDim, p, kKvDim, out);
  }
}

void WriteHead(const AttentionParams& params, int64_t at, int head, const Work& work) {
  const bool any = work.sum[head] > 0;
  const float lse =
      any ? work.top[head] + std::log(work.sum[head]) : -std::numeric_limits<float>::infinity();
  float factor = any ? 1.0f / work.sum[head] : 0.0f;
  if (any && params.sink != nullptr)
    factor /= 1.0f + std::exp(params.sink[at % kAttentionHeads] - lse);
  params.lse[at] = lse;
  for (int d = 0; d < kKvDim; ++d) {
    params.out[at * kKvDim + d] = FloatToBf16(work.out[head * kKvDim + d] * factor);
  }
}

void Attend(const AttentionParams& params, int32_t request, int first_head, Work& work) {
  const int64_t at = int64_t{request} * kAttentionHeads + first_head;
  for (int i = 0; i < kTaskHeads * kKvDim; ++i) work.q[i] = Bf16ToFloat(params.q[at * kKvDim + i]);
  std::fill(work.out, work.out + kTaskHeads * kKvDim, 0.0f);
  std::fill(work.columns, work.columns + kKvDim * kCpuTile, 0.0f);
  std::fill(work.top, work.top + kTaskHeads, -std::numeric_limits<float>::infinity());
  std::fill(work.sum, work.sum + kTaskHeads, 0.0f);
  const int32_t entries = OwnEntryCount(params, request) + WindowEntryCount(params);
  for (int32_t first = 0; first < entries; first += kCpuTile) {
    const int count = LoadTile(params, request, first, work);
    if (count == 0) continue;
    for (int head = 0; head < kTaskHeads; head += kCpuHeads) {
      DotTile(work.q + head * kKvDim, kKvDim, work.columns, kKvDim, work.dots + head * kCpuTile);
    }
    for (int head = 0; head < kTaskHeads; ++head) AddTile(params, head, count, work);
  }
  for (int head = 0; head < kTaskHeads; ++head) WriteHead(params, at + head, head, work);
}

}  // namespace

KernelStatus AttentionOnCpu(const AttentionParams& params) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckAttention(params));
  constexpr int kTasks = kAttentionHeads / kTaskHeads;
  tbb::parallel_for(0, params.request_count * kTasks, [&](int task) {
    const auto work = std::make_unique<Work>();
    Attend(params, task / kTasks, task % kTasks * kTaskHeads, *work);
  });
  return {};
}

}  // namespace tierscope
