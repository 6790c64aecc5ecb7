#include "kernels/index_score.h"
#include "kernels/pointer_check.h"

namespace tierscope {
namespace {

KernelStatus CheckInput(const ScoreInput& input, int layers) {
  TIERSCOPE_KERNEL_REQUIRE(input.request_count >= 0 && input.request_count <= kScoreRequestsMax,
                           "index score: request_count outside 0..4096");
  TIERSCOPE_KERNEL_REQUIRE(input.pages_max >= 1 && input.pages_max <= kScorePagesMax,
                           "index score: pages_max outside 1..65536");
  TIERSCOPE_KERNEL_REQUIRE(IsAligned16(input.q), "index score: q is null or not 16 B-aligned");
  TIERSCOPE_KERNEL_REQUIRE(IsAligned16(input.head_weights),
                           "index score: head_weights is null or not 16 B-aligned");
  for (int layer = 0; layer < layers; ++layer) {
    TIERSCOPE_KERNEL_REQUIRE(IsAligned16(input.keys[layer]),
                             "index score: a key pool is null or not 16 B-aligned");
  }
  TIERSCOPE_KERNEL_REQUIRE(IsAligned16(input.pages),
                           "index score: pages is null or not 16 B-aligned");
  TIERSCOPE_KERNEL_REQUIRE(IsAligned16(input.entry_counts),
                           "index score: entry_counts is null or not 16 B-aligned");
  return {};
}

}  // namespace

KernelStatus CheckMemoryScore(const MemoryScoreParams& params) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckInput(params.input, kMemoryLayers));
  TIERSCOPE_KERNEL_REQUIRE(params.code_cutoff >= 1 && params.code_cutoff <= 256,
                           "memory score: code_cutoff outside 1..256");
  TIERSCOPE_KERNEL_REQUIRE(IsAligned16(params.density),
                           "memory score: density is null or not 16 B-aligned");
  TIERSCOPE_KERNEL_REQUIRE(IsNullOrAligned16(params.codes),
                           "memory score: codes is not 16 B-aligned");
  TIERSCOPE_KERNEL_REQUIRE(IsNullOrAligned16(params.histogram),
                           "memory score: histogram is not 16 B-aligned");
  return {};
}

KernelStatus CheckNativeScore(const NativeScoreParams& params) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckInput(params.input, 1));
  TIERSCOPE_KERNEL_REQUIRE(IsAligned16(params.logits),
                           "native score: logits is null or not 16 B-aligned");
  return {};
}

}  // namespace tierscope
