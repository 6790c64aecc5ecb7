// The two memory figures that the loader needs too: it refuses a model whose weights exceed the
// HBM. Stateless; thread-safe.
#ifndef TIERSCOPE_SCENARIOS_WEIGHTS_H_
#define TIERSCOPE_SCENARIOS_WEIGHTS_H_

#include <cmath>
#include <cstdint>

#include "scenarios/scenario.pb.h"
#include "sim/base/units.h"

namespace tierscope {

// Weights on one rank: replicated + ceil(sharded / tensor_parallel). Source: FlashMemory's decode
// server, 21.7 GB a card at TP8 and 39.8 GB at TP4, gives both terms of V4-Flash.
inline int64_t WeightBytesPerRank(const Model& model, int32_t tensor_parallel) {
  return model.weight_bytes_replicated() + CeilDiv(model.weight_bytes_sharded(), tensor_parallel);
}

// HBM that the engine may allocate on one rank: fraction * hbm_bytes, to the nearest byte.
inline int64_t HbmUsableBytes(const Hardware& hardware, const Engine& engine) {
  return std::llround(engine.hbm_usable_fraction() * static_cast<double>(hardware.hbm_bytes()));
}

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_WEIGHTS_H_
