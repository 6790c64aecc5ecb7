// A page at a time: its keys become columns of floats, against which the heads go four by four.
#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "tbb/blocked_range.h"
#include "tbb/parallel_for.h"

#include "kernels/cpu_kernels.h"
#include "kernels/cpu_vector.h"
#include "kernels/fp8.h"
#include "kernels/paged.h"
#include "kernels/score_code.h"

namespace tierscope {
namespace {

static_assert(kCpuTile == kPageEntries);

const std::array<float, 256>& E4m3Table() {
  static const std::array<float, 256> table = [] {
    std::array<float, 256> values;
    for (uint32_t code = 0; code < 256; ++code) values[code] = E4m3ToFloat(code);
    return values;
  }();
  return table;
}

std::vector<float> DecodeQueries(const ScoreInput& input, int layers, int heads) {
  std::vector<float> q(static_cast<size_t>(input.request_count) *
                       static_cast<size_t>(layers * heads * kIndexDim));
  const auto& table = E4m3Table();
  for (size_t i = 0; i < q.size(); ++i) q[i] = table[input.q[i]];
  return q;
}

struct PageWork {
  float columns[kIndexDim * kPageEntries];
  float dots[kCpuHeads * kPageEntries];
  float sums[kPageEntries];
};

// work.sums[i] = logit of entry i of the page in one layer.
void ScorePage(const ScoreInput& input, const float* q, const float* weights, int heads, int layer,
               int64_t pool_page, PageWork& work) {
  const auto& table = E4m3Table();
  const uint8_t* page = input.keys[layer] + pool_page * kIndexPageBytes;
  for (int i = 0; i < kPageEntries; ++i) {
    for (int d = 0; d < kIndexDim; ++d)
      work.columns[d * kPageEntries + i] = table[page[i * kIndexDim + d]];
  }
  std::fill(work.sums, work.sums + kPageEntries, 0.0f);
  for (int head = 0; head < heads; head += kCpuHeads) {
    DotTile(q + head * kIndexDim, kIndexDim, work.columns, kIndexDim, work.dots);
    for (int h = 0; h < kCpuHeads; ++h)
      AddRelu(work.dots + h * kPageEntries, weights[head + h], work.sums);
  }
  float scales[kPageEntries];
  std::memcpy(scales, page + kIndexKeyPlaneBytes, sizeof scales);
  for (int i = 0; i < kPageEntries; ++i) work.sums[i] *= scales[i];
}

// Calls take(request, page, entries on it, logits of the best layer [64]) for every page, from all
// threads.
template <typename F>
void ForEachPage(const ScoreInput& input, int layers, int heads, F take) {
  const std::vector<float> q = DecodeQueries(input, layers, heads);
  const int64_t places = int64_t{input.request_count} * input.pages_max;
  tbb::parallel_for(tbb::blocked_range<int64_t>(0, places, 4), [&](const auto& range) {
    auto work = std::make_unique<PageWork>();
    for (int64_t place = range.begin(); place < range.end(); ++place) {
      const int64_t request = place / input.pages_max;
      const int64_t page = place % input.pages_max;
      const int64_t entries =
          std::min<int64_t>(input.entry_counts[request] - page * kPageEntries, kPageEntries);
      if (entries <= 0) continue;
      float best[kPageEntries];
      std::fill(best, best + kPageEntries, -std::numeric_limits<float>::infinity());
      for (int layer = 0; layer < layers; ++layer) {
        const int64_t row = (request * layers + layer) * heads;
        ScorePage(input, q.data() + row * kIndexDim, input.head_weights + row, heads, layer,
                  input.pages[place], *work);
        for (int i = 0; i < kPageEntries; ++i) best[i] = std::max(best[i], work->sums[i]);
      }
      take(place, static_cast<int>(entries), best);
    }
  });
}

}  // namespace

KernelStatus MemoryScoreOnCpu(const MemoryScoreParams& params) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckMemoryScore(params));
  ForEachPage(params.input, kMemoryLayers, kMemoryHeads,
              [&](int64_t place, int entries, const float* logits) {
                params.density[place] = 0;
                if (params.histogram)
                  std::memset(params.histogram + place * kScoreCodes, 0, kScoreCodes);
                for (int i = 0; i < entries; ++i) {
                  const uint8_t code = ScoreCodeOf(logits[i]);
                  if (code >= params.code_cutoff) ++params.density[place];
                  if (params.codes) params.codes[place * kPageEntries + i] = code;
                  if (params.histogram) ++params.histogram[place * kScoreCodes + code];
                }
              });
  return {};
}

KernelStatus NativeScoreOnCpu(const NativeScoreParams& params) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckNativeScore(params));
  ForEachPage(params.input, 1, kNativeHeads, [&](int64_t place, int entries, const float* logits) {
    std::copy(logits, logits + entries, params.logits + place * kPageEntries);
  });
  return {};
}

}  // namespace tierscope
