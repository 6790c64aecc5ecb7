// Entries that attention pays for: its kernels work in tiles of 64 (kernels/attention.h), so a
// partly filled tile costs a whole one. Measured attention is looked up in whole tiles.
#ifndef TIERSCOPE_SIM_MODEL_ATTENTION_TILES_H_
#define TIERSCOPE_SIM_MODEL_ATTENTION_TILES_H_

#include <cmath>

namespace tierscope {

inline constexpr double kAttentionTile = 64.0;

inline double InWholeTiles(double entries) {
  return std::ceil(entries / kAttentionTile) * kAttentionTile;
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_ATTENTION_TILES_H_
