// A row of an indexer top-k capture: the entries that one layer took for one token, in any order,
// unused slots -1 at the end.
#ifndef TIERSCOPE_TRACES_CAPTURE_ROW_H_
#define TIERSCOPE_TRACES_CAPTURE_ROW_H_

#include <cstdint>
#include <span>
#include <string>

namespace tierscope {

// The used slots of a row, all below `history_entries`, or -1 when a slot in front of the last used
// one is empty or an entry lies outside. Cost: about 0.1 ns a slot.
int32_t UsedSlots(std::span<const int32_t> row, int64_t history_entries);

// Which rule a row breaks. Precondition: UsedSlots gave -1 for it.
std::string RowProblem(std::span<const int32_t> row, int64_t history_entries);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_CAPTURE_ROW_H_
