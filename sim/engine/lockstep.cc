#include "sim/engine/lockstep.h"

namespace tierscope {

TokenClock TokenClock::Of(int32_t draft_tokens, double acceptance) {
  double accepted = 0.0, chance = 1.0;
  for (int32_t i = 0; i < draft_tokens; ++i) accepted += chance *= acceptance;
  return {static_cast<int64_t>(accepted * 4294967296.0 + 0.5)};
}

}  // namespace tierscope
