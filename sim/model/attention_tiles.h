// Entries that attention pays for where its kernels work in tiles of several (kernels/attention.h):
// a partly filled one costs a whole one. Measured attention is looked up so.
#ifndef TIERSCOPE_SIM_MODEL_ATTENTION_TILES_H_
#define TIERSCOPE_SIM_MODEL_ATTENTION_TILES_H_

#include <algorithm>
#include <cmath>

#include "scenarios/scenario.pb.h"

namespace tierscope {

inline double InWholeTiles(double entries, double tile) { return std::ceil(entries / tile) * tile; }

// Of a measured device.
inline double AttentionTile(const MeasuredOps& ops) {
  return std::max(1, ops.attention_tile_entries());
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_ATTENTION_TILES_H_
