// What the native indexer scores in a step. Pure.
#ifndef TIERSCOPE_SIM_ENGINE_SCORED_ENTRIES_H_
#define TIERSCOPE_SIM_ENGINE_SCORED_ENTRIES_H_

#include <cstdint>

#include "scenarios/policy_kind.h"
#include "sim/policy/page_selection.h"

namespace tierscope {

// Entries of one layer, of a batch with so many in its active pages and so many in all: the active
// pages; all of the history where there are no such; under QUEST besides, of every page, its two
// bounds.
inline int64_t ScoredEntries(Policy::Kind kind, int64_t active_entries, int64_t all_entries) {
  const int64_t bounds = kind == Policy::QUEST ? 2 * all_entries / kPageEntries : 0;
  return (HasTicks(kind) ? active_entries : all_entries) + bounds;
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_SCORED_ENTRIES_H_
