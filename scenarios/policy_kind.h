// What the kinds of policy have in common. Stateless; thread-safe.
#ifndef TIERSCOPE_SCENARIOS_POLICY_KIND_H_
#define TIERSCOPE_SCENARIOS_POLICY_KIND_H_

#include "scenarios/scenario.pb.h"

namespace tierscope {

// Where a policy keeps the CSA entries of a request.
enum class KvPlacement {
  kAllInHbm,   // all of them in HBM
  kTiered,     // all in the host's cold pool, pages that ticks want in a reserve in HBM
  kDropped,    // pages that ticks keep in a reserve in HBM, nothing elsewhere
  kHotBuffer,  // all in the host's cold pool, entries in a buffer of each layer in HBM
};

inline KvPlacement PlacementOf(Policy::Kind kind) {
  switch (kind) {
    case Policy::FULL:
    case Policy::QUEST:
      return KvPlacement::kAllInHbm;
    case Policy::LSA:
    case Policy::RECENCY:
    case Policy::RANDOM:
    case Policy::ORACLE:
    case Policy::FLASHMEMORY:
      return KvPlacement::kTiered;
    case Policy::STREAMING_LLM:
    case Policy::H2O:
      return KvPlacement::kDropped;
    case Policy::TOPK_SWAP:
    case Policy::ESS:
      return KvPlacement::kHotBuffer;
  }
  return KvPlacement::kAllInHbm;
}

inline bool HasColdPool(Policy::Kind kind) {
  const KvPlacement placement = PlacementOf(kind);
  return placement == KvPlacement::kTiered || placement == KvPlacement::kHotBuffer;
}

// Whether HBM holds a reserve of pages.
inline bool HasReserve(Policy::Kind kind) {
  const KvPlacement placement = PlacementOf(kind);
  return placement == KvPlacement::kTiered || placement == KvPlacement::kDropped;
}

// Whether a request has ticks, at which its active pages are chosen.
inline bool HasTicks(Policy::Kind kind) {
  return kind != Policy::FULL && PlacementOf(kind) != KvPlacement::kHotBuffer;
}

// Whether a tick takes no time and its pages hold from the next step on: no level 1 and no recall.
inline bool TicksAtOnce(Policy::Kind kind) {
  return HasTicks(kind) && PlacementOf(kind) != KvPlacement::kTiered;
}

// Whether a memory indexer scores the history at a tick.
inline bool UsesIndexer(Policy::Kind kind) {
  return kind == Policy::LSA || kind == Policy::ORACLE || kind == Policy::FLASHMEMORY;
}

// Whether the kind is none of the tiered policies and the baseline that they are compared with.
inline bool IsRival(Policy::Kind kind) {
  return kind != Policy::FULL &&
         (kind == Policy::QUEST || PlacementOf(kind) != KvPlacement::kTiered);
}

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_POLICY_KIND_H_
