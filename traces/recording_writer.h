// Writes the pieces of recorded requests: what the recorder's thread does. Sorts and encodes steps,
// cuts requests into pieces that are whole profiles, puts each into the file once it is complete.
// One owner, one thread. Memory: the encoded steps of open pieces, see bytes_held().
#ifndef TIERSCOPE_TRACES_RECORDING_WRITER_H_
#define TIERSCOPE_TRACES_RECORDING_WRITER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "traces/container.h"
#include "traces/entry_set.h"
#include "traces/trace.pb.h"

namespace tierscope {

// What a recording is called until it is closed.
std::string RecordingPath(const std::string& path);

class RecordingWriter {
 public:
  // `form` is the header of every piece but for prompt_tokens, step_count and recording.
  static absl::StatusOr<std::unique_ptr<RecordingWriter>> Open(const std::string& path,
                                                               const ProfileHeader& form,
                                                               int32_t segment_steps);

  void Begin(uint64_t request, int64_t prompt_tokens);
  // entries[layers][top_k], -1 behind the used slots of a layer; `logits` of the same shape or
  // empty. `dropped_steps` of the request stand between this step and the one before. A step that
  // is wrong (an entry outside the history or twice) is counted as refused and leaves a gap.
  absl::Status Step(uint64_t request, int32_t step, std::span<const int32_t> entries,
                    std::span<const float> logits, int64_t dropped_steps);
  void Tick(uint64_t request, int32_t step, int32_t layer, std::span<const uint32_t> entries,
            std::span<const uint8_t> codes);
  absl::Status End(uint64_t request);
  // Ends all requests and writes the last record and the index. `dropped_steps` are those of the
  // whole recording.
  absl::Status Finish(int64_t dropped_steps);

  int64_t bytes_held() const { return bytes_held_; }
  int64_t recorded_steps() const { return recorded_steps_; }
  int64_t refused_steps() const { return refused_steps_; }
  int64_t written_bytes() const { return writer_->file_bytes(); }
  const std::string& refusal() const { return refusal_; }  // the first, "" = none

 private:
  struct Piece {
    uint64_t request = 0;
    int64_t prompt_tokens = 0;  // of the request
    bool is_open = false;
    int64_t first_step = 0;
    int32_t steps = -1;         // the last one recorded, from first_step on
    int64_t dropped_steps = 0;  // before this piece
    std::string bytes;          // records, a length before each
    int64_t records = 0;
    std::vector<size_t> bytes_at;      // [step] length of `bytes` with the step's selections
    std::vector<int64_t> records_at;   // [step] likewise
    std::vector<int32_t> tick_layers;  // of the first tick
    int32_t ticks_of_step = 0;
    int32_t ticked_steps = 0;  // ticks are complete before this step
  };

  RecordingWriter(std::unique_ptr<ContainerWriter> writer, const ProfileHeader& form,
                  int32_t segment_steps)
      : writer_(std::move(writer)), form_(form), segment_steps_(segment_steps) {}
  void OpenPiece(int64_t first_step, Piece* piece);
  bool EncodeStep(int64_t history_entries, std::span<const int32_t> entries,
                  std::span<const float> logits, std::string* what);
  void AppendStep(int32_t step, Piece* piece);
  void AppendRecord(Piece* piece);
  void CloseTicks(Piece* piece);
  absl::Status WritePiece(Piece* piece);
  void Refuse(uint64_t request, int32_t step, const std::string& what, Piece* piece);

  std::unique_ptr<ContainerWriter> writer_;
  ProfileHeader form_;
  int32_t segment_steps_;
  std::unordered_map<uint64_t, Piece> pieces_;  // order is never taken from it, but for Finish
  EntrySet members_{0};
  int64_t members_history_ = 0;
  // The step being encoded: per layer its entries, rising, and weights.
  std::vector<std::vector<uint32_t>> layer_entries_;
  std::vector<std::vector<uint8_t>> layer_weights_;
  std::vector<uint8_t> slot_weights_, weight_of_;
  TraceRecord record_;
  int64_t bytes_held_ = 0, recorded_steps_ = 0, refused_steps_ = 0, unfinished_steps_ = 0;
  std::string refusal_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_RECORDING_WRITER_H_
