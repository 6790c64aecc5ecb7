#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/fp8.h"
#include "kernels/index_score.h"
#include "kernels/paged.h"
#include "kernels/score_code.h"

namespace tierscope {
namespace {

double LogitOf(const ScoreInput& input, int layers, int heads, int layer, int64_t request,
               int64_t entry) {
  const int64_t pool_page = input.pages[request * input.pages_max + entry / kPageEntries];
  const uint8_t* page = input.keys[layer] + pool_page * kIndexPageBytes;
  const int64_t row = entry % kPageEntries;
  const uint8_t* key = page + row * kIndexDim;
  float scale;
  std::memcpy(&scale, page + kIndexKeyPlaneBytes + row * 4, sizeof scale);
  double sum = 0;
  for (int head = 0; head < heads; ++head) {
    const int64_t at = (request * layers + layer) * heads + head;
    double dot = 0;
    for (int i = 0; i < kIndexDim; ++i) {
      dot += double{E4m3ToFloat(input.q[at * kIndexDim + i])} * double{E4m3ToFloat(key[i])};
    }
    sum += input.head_weights[at] * std::max(dot, 0.0);
  }
  return sum * scale;
}

}  // namespace

void MemoryScoreReference(const MemoryScoreParams& params, double* logit_max) {
  const ScoreInput& input = params.input;
  for (int64_t request = 0; request < input.request_count; ++request) {
    const int64_t first_page = request * input.pages_max;
    for (int64_t entry = 0; entry < input.entry_counts[request]; ++entry) {
      const int64_t page = first_page + entry / kPageEntries;
      const int64_t at = first_page * kPageEntries + entry;
      double best = -std::numeric_limits<double>::infinity();
      for (int layer = 0; layer < kMemoryLayers; ++layer) {
        best = std::max(best, LogitOf(input, kMemoryLayers, kMemoryHeads, layer, request, entry));
      }
      const uint8_t code = ScoreCodeOf(static_cast<float>(best));
      if (entry % kPageEntries == 0) {
        params.density[page] = 0;
        if (params.histogram) std::memset(params.histogram + page * kScoreCodes, 0, kScoreCodes);
      }
      if (code >= params.code_cutoff) ++params.density[page];
      if (params.codes) params.codes[at] = code;
      if (params.histogram) ++params.histogram[page * kScoreCodes + code];
      if (logit_max) logit_max[at] = best;
    }
  }
}

void NativeScoreReference(const NativeScoreParams& params, double* logits) {
  const ScoreInput& input = params.input;
  for (int64_t request = 0; request < input.request_count; ++request) {
    for (int64_t entry = 0; entry < input.entry_counts[request]; ++entry) {
      logits[request * input.pages_max * kPageEntries + entry] =
          LogitOf(input, 1, kNativeHeads, 0, request, entry);
    }
  }
}

}  // namespace tierscope
