// The memory indexer's score as the trace, the policy and the kernel hold it: code = min(255,
// floor(256 * sigmoid(logit))). Wanted: code >= ceil(256 * threshold).
#ifndef TIERSCOPE_KERNELS_SCORE_CODE_H_
#define TIERSCOPE_KERNELS_SCORE_CODE_H_

#include <cmath>
#include <cstdint>

#include "sim/policy/page_selection.h"

namespace tierscope {

inline constexpr int32_t kScoreCodes = 256;

// A NaN logit gives code 0.
TIERSCOPE_HOST_DEVICE inline uint8_t ScoreCodeOf(float logit) {
  const float scaled = 256.0f / (1.0f + expf(-logit));
  if (!(scaled > 0.0f)) return 0;
  return static_cast<uint8_t>(scaled >= 255.0f ? 255 : static_cast<int32_t>(scaled));
}

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_SCORE_CODE_H_
