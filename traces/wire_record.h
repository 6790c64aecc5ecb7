// The records that an attention trace holds many of, read in place: no message is built and
// no byte copied. Follows the protobuf wire format of trace.proto (varints, length-delimited
// fields).
#ifndef TIERSCOPE_TRACES_WIRE_RECORD_H_
#define TIERSCOPE_TRACES_WIRE_RECORD_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tierscope {

// A ScoreTick, Selection or Decision; the views borrow the record's bytes.
struct WireRecord {
  enum class Kind { kTick, kSelection, kDecision };
  Kind kind = Kind::kTick;
  int32_t step = 0;
  int32_t layer = 0;          // target_layer of a tick; is_pages of a decision
  absl::string_view deltas;   // packed varints of entry_delta or id_delta
  absl::string_view codes;    // codes of a tick, votes of a selection
  absl::string_view weights;  // of a selection
};

// True when `bytes` is a TraceRecord of one of these kinds as protobuf serializes it: each field at
// most once, deltas packed, nothing unknown. False for everything else, damage included: then
// the generic parser decides what it is.
bool ParseWireRecord(absl::string_view bytes, WireRecord* record);

// Sums packed varints into `entries`, a view of `buffer`, which only ever grows. Every entry but
// the first must lie behind its predecessor and all inside a history of `history_entries`. Cost:
// about 1 ns an entry.
absl::Status DecodeDeltas(absl::string_view deltas, int64_t history_entries,
                          std::vector<uint32_t>* buffer, std::span<const uint32_t>* entries);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_WIRE_RECORD_H_
