// HBM that a rank holds before its first request arrives, and the host DRAM that may be used. The
// loader refuses scenarios in which they do not fit; sim/model/footprint.h has the rest of the
// memory arithmetic. Stateless; thread-safe.
#ifndef TIERSCOPE_SCENARIOS_MEMORY_H_
#define TIERSCOPE_SCENARIOS_MEMORY_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "scenarios/policy_kind.h"
#include "scenarios/scenario.pb.h"
#include "sim/base/units.h"

namespace tierscope {

// Weights: replicated + ceil(sharded / tensor_parallel). Source: FlashMemory's decode server, 21.7
// GB a card at TP8 and 39.8 GB at TP4, gives both terms of V4-Flash.
inline int64_t WeightBytesPerRank(const Model& model, int32_t tensor_parallel) {
  return model.weight_bytes_replicated() + CeilDiv(model.weight_bytes_sharded(), tensor_parallel);
}

// The same where attention is split over the ranks of one of engine.dp_attention groups and the
// rest over all: replicated + ceil((sharded - attention) / TP) + ceil(attention * dp_attention /
// TP).
inline int64_t WeightBytesPerRank(const Model& model, const Engine& engine) {
  const int32_t ranks = engine.tensor_parallel();
  if (engine.dp_attention() == 1) return WeightBytesPerRank(model, ranks);
  const int64_t attention = model.attention_weight_bytes_sharded();
  return model.weight_bytes_replicated() +
         CeilDiv(model.weight_bytes_sharded() - attention, ranks) +
         CeilDiv(attention, ranks / engine.dp_attention());
}

// Replicas on a full node, and on any: each has tensor_parallel GPUs of its own.
inline int32_t ReplicasOfNode(const Scenario& scenario) {
  const Engine& engine = scenario.engine();
  return std::min(engine.replicas(), scenario.node().gpus() / engine.tensor_parallel());
}

// Ranks of those, who share its host.
inline int32_t RanksOfNode(const Scenario& scenario) {
  if (scenario.engine().executed_ranks() == 1) return 1;
  return scenario.engine().tensor_parallel() * ReplicasOfNode(scenario);
}

// What the engine may allocate: hbm_usable_fraction * hbm_bytes, to the nearest byte.
inline int64_t HbmUsableBytes(const Hardware& hardware, const Engine& engine) {
  return std::llround(engine.hbm_usable_fraction() * static_cast<double>(hardware.hbm_bytes()));
}

// Host DRAM that may be used: host_usable_fraction * host_bytes, to the nearest byte.
inline int64_t HostUsableBytes(const Node& node) {
  return std::llround(node.host_usable_fraction() * static_cast<double>(node.host_bytes()));
}

// One page of KV over all CSA layers: page_entries * kv_entry_bytes * csa_layers. V4-Flash:
// 784,896. Payload; FlashMemory stores rows padded to 37,440 bytes, which no recall metric counts.
inline int64_t PageBytes(const Model& model) {
  return int64_t{model.page_entries()} * model.kv_entry_bytes() * model.csa_layers();
}

// Whole pages of the reserve: floor(reserve_entries / page_entries).
inline int64_t ReservePages(const Model& model, const Policy& policy) {
  return policy.reserve_entries() / model.page_entries();
}

// FlashMemory's decode region, inside its reserve and outside recall's reach: request slots,
// entries of a slot, one sink cell. Source: FM's code.
inline constexpr int64_t kFlashMemorySlots = 128;
inline constexpr int64_t kFlashMemorySlotEntries = 512;
inline constexpr int64_t kFlashMemorySinkCells = 1;

// Pages of a FlashMemory reserve that recall may use:
// floor((reserve_entries - 128 slots * 512 decode entries - 1 sink cell) / page_entries), 0 at
// least. Source: FM's code; 7,167 of 524,288 entries and 14,335 of 983,040.
inline int64_t FlashMemoryRecallPages(const Model& model, const Policy& policy) {
  const int64_t recall_entries = policy.reserve_entries() -
                                 kFlashMemorySlots * kFlashMemorySlotEntries -
                                 kFlashMemorySinkCells;
  return recall_entries <= 0 ? 0 : recall_entries / model.page_entries();
}

// Pages of the reserve that recalled pages may take under the policy.
inline int64_t RecallPages(const Model& model, const Policy& policy) {
  return policy.kind() == Policy::FLASHMEMORY ? FlashMemoryRecallPages(model, policy)
                                              : ReservePages(model, policy);
}

// The page reserve in HBM: pages * page bytes; 0 where the policy has none.
inline int64_t ReserveBytes(const Model& model, const Policy& policy) {
  if (!HasReserve(policy.kind())) return 0;
  return ReservePages(model, policy) * PageBytes(model);
}

// Index keys in one pool for all requests. Of the non-target layers, when theirs live in the host:
// (csa_layers - target_layers) * index_key_pool_entries * index_key_bytes; source: FlashMemory's
// Path-I, 18 x 1,572,864 keys of 132 B = 3.74 GB. Of the entries of the reserve in all layers,
// where nothing else is kept. Else 0: keys follow the context.
inline int64_t IndexKeyPoolBytes(const Model& model, const Policy& policy) {
  if (PlacementOf(policy.kind()) == KvPlacement::kDropped) {
    return ReservePages(model, policy) * model.page_entries() * model.csa_layers() *
           model.index_key_bytes();
  }
  if (!policy.index_key_offload()) return 0;
  return int64_t{model.csa_layers() - model.target_layers()} * policy.index_key_pool_entries() *
         model.index_key_bytes();
}

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_MEMORY_H_
