#include "tests/kernels/kernel_case.h"

#include <algorithm>
#include <cmath>

namespace tierscope::testing {

const std::vector<KernelCase>& KernelCases() {
  static const auto& cases = *new std::vector<KernelCase>{
      {"MemoryScore", RunMemoryScoreCase},
      {"NativeScore", RunNativeScoreCase},
      {"MemoryScoreHopper", RunMemoryScoreHopperCase},
      {"NativeScoreHopper", RunNativeScoreHopperCase},
      {"PageSelect", RunPageSelectCase},
      {"TopEntries", RunTopEntriesCase},
      {"PageCopy", RunPageCopyCase},
      {"PageGather", RunPageGatherCase},
      {"EntryGather", RunEntryGatherCase},
      {"SparseAttention", RunSparseAttentionCase},
      {"DenseAttention", RunDenseAttentionCase},
      {"SparseAttentionHopper", RunSparseAttentionHopperCase},
      {"DenseAttentionHopper", RunDenseAttentionHopperCase},
  };
  return cases;
}

double RelativeError(const std::vector<double>& got, const std::vector<double>& want) {
  double worst = 0;
  double scale = 1e-30;
  for (size_t i = 0; i < want.size(); ++i) {
    if (!std::isfinite(got[i])) return 1e9;
    worst = std::max(worst, std::fabs(got[i] - want[i]));
    scale = std::max(scale, std::fabs(want[i]));
  }
  return worst / scale;
}

}  // namespace tierscope::testing
