// Attention traces: typed reading and writing over TraceRecord. Words as in traces/trace.proto.
//
// Steps are 0 .. step_count. A tick at step s (a multiple of the stride, from 0) happens after step
// s has run and predicts steps s + 1 .. s + tau; sub-window j is steps j * stride + 1 .. (j + 1) *
// stride. The last tick needed is at step_count - stride.
#ifndef TIERSCOPE_TRACES_ATTENTION_TRACE_H_
#define TIERSCOPE_TRACES_ATTENTION_TRACE_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"

#include "traces/trace.pb.h"

namespace tierscope {

// Limits on what a profile may claim.
inline constexpr int64_t kHistoryEntriesMax = int64_t{1} << 24;  // 64 M tokens in V4
inline constexpr int32_t kStepCountMax = 1 << 24;
inline constexpr int32_t kLayerCountMax = 255;  // votes are a byte
inline constexpr int32_t kTopKMax = 1 << 16;

// `layer` of a record that stands for all layers (selections) or the maximum over them (ticks).
inline constexpr int32_t kAllLayers = -1;

// Entries that exist once `step` has run: the prompt and step + 1 decoded tokens, whole entries
// only.
inline int64_t HistoryEntries(const ProfileHeader& profile, int32_t step) {
  return (profile.prompt_tokens() + step + 1) / profile.tokens_per_entry();
}

// OK when every field is inside its limits and they agree. Error: field, value, what it may be.
absl::Status ValidateProfileHeader(const ProfileHeader& profile);

// What ReadAttentionTrace calls, in the order of the file. Spans live until the call returns. A bad
// status ends the reading; the reader adds file and record number to its message.
class AttentionVisitor {
 public:
  virtual ~AttentionVisitor() = default;

  virtual absl::Status OnProfile(const ProfileHeader& profile) = 0;
  // Entries in rising order, a score code each. `layer` is a CSA index or kAllLayers.
  virtual absl::Status OnTick(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                              std::span<const uint8_t> codes) = 0;
  // Entries in rising order. `votes` (1 .. layers, one per entry) is empty unless kAllLayers.
  virtual absl::Status OnSelection(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                                   std::span<const uint8_t> votes) = 0;
  // Follows OnSelection where the record holds attention weights, scaled so that the largest is
  // 255.
  virtual absl::Status OnWeights(int32_t, int32_t, std::span<const uint32_t>,
                                 std::span<const uint8_t>) {
    return absl::OkStatus();
  }
  // A decision taken while recording: pages or entries, in rising order.
  virtual absl::Status OnDecision(int32_t, bool, std::span<const uint32_t>) {
    return absl::OkStatus();
  }
  // Recorded golden entries of the window behind the tick of a step, with their layers' votes.
  virtual absl::Status OnGolden(int32_t, std::span<const uint32_t>, std::span<const uint8_t>) {
    return absl::OkStatus();
  }
  virtual absl::Status OnProfileEnd() = 0;
  // Last, with the digest of the trace (16 hex digits).
  virtual void OnTraceEnd(const std::string&) {}
};

// Reads and checks a whole attention trace in one pass and constant memory: header limits, entries
// rising and inside the history, one code or vote per entry, steps and layers in order and
// complete. Error: file, record number, what is wrong, what to do. Cost: about 2 ns per recorded
// entry.
absl::Status ReadAttentionTrace(const std::string& path, AttentionVisitor& visitor);

// Fill a record for the writer. Preconditions: entries rise; codes, votes and weights are as long
// as entries, or empty where optional.
void FillTick(int32_t step, int32_t layer, std::span<const uint32_t> entries,
              std::span<const uint8_t> codes, TraceRecord* record);
void FillSelection(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                   std::span<const uint8_t> votes, std::span<const uint8_t> weights,
                   TraceRecord* record);
void FillDecision(int32_t step, bool is_pages, std::span<const uint32_t> ids, TraceRecord* record);
void FillGolden(int32_t step, std::span<const uint32_t> entries, std::span<const uint8_t> votes,
                TraceRecord* record);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_ATTENTION_TRACE_H_
