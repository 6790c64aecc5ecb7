#include "traces/recording_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/capture_row.h"
#include "traces/golden_labels.h"

namespace tierscope {
namespace {

void AppendLength(uint32_t length, std::string* out) {
  out->append(reinterpret_cast<const char*>(&length), sizeof(length));
}

}  // namespace

std::string RecordingPath(const std::string& path) { return path + ".recording"; }

absl::StatusOr<std::unique_ptr<RecordingWriter>> RecordingWriter::Open(const std::string& path,
                                                                       const ProfileHeader& form,
                                                                       int32_t segment_steps) {
  TIERSCOPE_ASSIGN_OR_RETURN(auto writer, ContainerWriter::OpenAt(path, RecordingPath(path)));
  TIERSCOPE_RETURN_IF_ERROR(writer->Flush());
  return std::unique_ptr<RecordingWriter>(
      new RecordingWriter(std::move(writer), form, segment_steps));
}

void RecordingWriter::Begin(uint64_t request, int64_t prompt_tokens) {
  Piece& piece = pieces_[request];
  piece = Piece();
  piece.request = request;
  piece.prompt_tokens = prompt_tokens;
}

void RecordingWriter::OpenPiece(int64_t first_step, Piece* piece) {
  piece->is_open = true;
  piece->first_step = first_step;
  piece->steps = -1;
  piece->bytes.clear();
  piece->records = 0;
  piece->bytes_at.clear();
  piece->records_at.clear();
  piece->tick_layers.clear();
  piece->ticks_of_step = 0;
  piece->ticked_steps = 0;
}

bool RecordingWriter::EncodeStep(int64_t history_entries, std::span<const int32_t> entries,
                                 std::span<const float> logits, std::string* what) {
  const auto layers = static_cast<size_t>(form_.csa_layer_count());
  const auto topk = static_cast<size_t>(form_.top_k());
  if (history_entries > members_history_) {
    members_history_ = std::max(history_entries, 2 * members_history_);
    members_ = EntrySet(members_history_);
    weight_of_.resize(static_cast<size_t>(members_history_));
  }
  layer_entries_.resize(layers);
  layer_weights_.resize(layers);
  for (size_t layer = 0; layer < layers; ++layer) {
    const std::span<const int32_t> row = entries.subspan(layer * topk, topk);
    const int32_t used = UsedSlots(row, history_entries);
    if (used < 0) {
      *what = absl::StrCat("layer ", layer, ": ", RowProblem(row, history_entries));
      return false;
    }
    const auto used_slots = static_cast<size_t>(used);
    slot_weights_.resize(used_slots);
    if (!logits.empty()) SoftmaxWeights(logits.subspan(layer * topk, used_slots), slot_weights_);
    for (size_t i = 0; i < used_slots; ++i) {
      members_.Add(static_cast<uint32_t>(row[i]));
      weight_of_[static_cast<size_t>(row[i])] = slot_weights_[i];
    }
    std::vector<uint32_t>& sorted = layer_entries_[layer];
    std::vector<uint8_t>& weights = layer_weights_[layer];
    sorted.clear();
    weights.clear();
    members_.Drain([&](uint32_t entry) {
      sorted.push_back(entry);
      if (!logits.empty()) weights.push_back(weight_of_[entry]);
    });
    if (sorted.size() < used_slots) {
      *what = absl::StrCat("layer ", layer, ": an entry stands twice");
      return false;
    }
  }
  return true;
}

void RecordingWriter::AppendRecord(Piece* piece) {
  const size_t before = piece->bytes.size();
  AppendLength(static_cast<uint32_t>(record_.ByteSizeLong()), &piece->bytes);
  record_.AppendToString(&piece->bytes);
  ++piece->records;
  bytes_held_ += static_cast<int64_t>(piece->bytes.size() - before);
}

void RecordingWriter::AppendStep(int32_t step, Piece* piece) {
  for (size_t layer = 0; layer < layer_entries_.size(); ++layer) {
    FillSelection(step, static_cast<int32_t>(layer), layer_entries_[layer], {},
                  layer_weights_[layer], &record_);
    AppendRecord(piece);
  }
  piece->steps = step;
  piece->bytes_at.push_back(piece->bytes.size());
  piece->records_at.push_back(piece->records);
}

// No more ticks of the piece's last step will come.
void RecordingWriter::CloseTicks(Piece* piece) {
  const int32_t stride = form_.tick_stride_steps();
  if (form_.no_scores() || piece->steps < 0 || piece->steps % stride != 0) return;
  const bool complete = piece->ticks_of_step > 0 &&
                        static_cast<size_t>(piece->ticks_of_step) == piece->tick_layers.size();
  if (complete && piece->ticked_steps == piece->steps) piece->ticked_steps += stride;
  piece->ticks_of_step = 0;
}

absl::Status RecordingWriter::Step(uint64_t request, int32_t step, std::span<const int32_t> entries,
                                   std::span<const float> logits, int64_t dropped_steps) {
  Piece& piece = pieces_[request];
  const int32_t stride = form_.tick_stride_steps();
  if (piece.is_open && step != piece.first_step + piece.steps + 1) {
    TIERSCOPE_RETURN_IF_ERROR(WritePiece(&piece));
  }
  piece.dropped_steps += dropped_steps;
  CloseTicks(&piece);
  if (!piece.is_open) {
    if (step % stride != 0) {  // a piece begins where a tick stands
      ++unfinished_steps_;
      return absl::OkStatus();
    }
    OpenPiece(step, &piece);
  }
  const int64_t history = (piece.prompt_tokens + step + 1) / form_.tokens_per_entry();
  std::string what;
  if (!EncodeStep(history, entries, logits, &what)) {
    Refuse(request, step, what, &piece);
    return WritePiece(&piece);
  }
  const auto piece_step = static_cast<int32_t>(step - piece.first_step);
  AppendStep(piece_step, &piece);
  ++recorded_steps_;
  if (piece_step < segment_steps_) return absl::OkStatus();
  TIERSCOPE_RETURN_IF_ERROR(WritePiece(&piece));
  OpenPiece(step, &piece);  // the last step of a piece is the first of the next
  AppendStep(0, &piece);
  return absl::OkStatus();
}

void RecordingWriter::Tick(uint64_t request, int32_t step, int32_t layer,
                           std::span<const uint32_t> entries, std::span<const uint8_t> codes) {
  Piece& piece = pieces_[request];
  if (!piece.is_open || step != piece.first_step + piece.steps) return;  // of a step left out
  if (piece.steps % form_.tick_stride_steps() != 0) {
    return Refuse(request, step, "a tick between multiples of the tick stride", &piece);
  }
  const int64_t history = (piece.prompt_tokens + step + 1) / form_.tokens_per_entry();
  bool rises = entries.empty() || static_cast<int64_t>(entries.back()) < history;
  for (size_t i = 1; i < entries.size(); ++i) rises &= entries[i - 1] < entries[i];
  bool above_floor = true;
  for (const uint8_t code : codes) above_floor &= code >= form_.score_floor_code();
  if (!rises || !above_floor) {
    return Refuse(request, step,
                  rises ? "a code under the floor" : "scored entries do not rise in the history",
                  &piece);
  }
  const auto at = static_cast<size_t>(piece.ticks_of_step);
  if (piece.steps == 0) {
    if (!piece.tick_layers.empty() && piece.tick_layers.back() >= layer) {
      return Refuse(request, step, "target layers do not rise", &piece);
    }
    piece.tick_layers.push_back(layer);
  } else if (at >= piece.tick_layers.size() || piece.tick_layers[at] != layer) {
    return Refuse(request, step, "other target layers than at the first tick", &piece);
  }
  ++piece.ticks_of_step;
  FillTick(piece.steps, layer, entries, codes, &record_);
  AppendRecord(&piece);
}

void RecordingWriter::Refuse(uint64_t request, int32_t step, const std::string& what,
                             Piece* piece) {
  ++refused_steps_;
  if (refusal_.empty()) {
    refusal_ = absl::StrCat("request ", request, ", step ", step, ": ", what);
  }
  piece->ticks_of_step = -1;  // the step's ticks are never complete
}

absl::Status RecordingWriter::WritePiece(Piece* piece) {
  if (!piece->is_open) return absl::OkStatus();
  CloseTicks(piece);
  piece->is_open = false;
  const int32_t stride = form_.tick_stride_steps();
  int32_t step_count = piece->steps / stride * stride;
  if (!form_.no_scores()) step_count = std::min(step_count, piece->ticked_steps);
  bytes_held_ -= static_cast<int64_t>(piece->bytes.size());
  if (piece->steps < 0 || step_count < stride) {
    // A piece of its first step alone repeats the last one of the piece before.
    unfinished_steps_ += std::max(piece->steps, 0);
    return absl::OkStatus();
  }
  unfinished_steps_ += piece->steps - step_count;
  TraceRecord opening;
  ProfileHeader* header = opening.mutable_profile();
  *header = form_;
  header->set_prompt_tokens(piece->prompt_tokens + piece->first_step);
  header->set_step_count(step_count);
  const auto last = static_cast<size_t>(step_count);
  header->mutable_recording()->set_request(piece->request);
  header->mutable_recording()->set_first_step(piece->first_step);
  header->mutable_recording()->set_dropped_steps(std::exchange(piece->dropped_steps, 0));
  header->mutable_recording()->set_records(piece->records_at[last]);
  TIERSCOPE_RETURN_IF_ERROR(writer_->Append(opening));
  for (size_t at = 0; at < piece->bytes_at[last];) {
    uint32_t length = 0;
    piece->bytes.copy(reinterpret_cast<char*>(&length), sizeof(length), at);
    at += sizeof(length);
    TIERSCOPE_RETURN_IF_ERROR(
        writer_->AppendBytes(absl::string_view(piece->bytes).substr(at, length)));
    at += length;
  }
  return writer_->Flush();
}

absl::Status RecordingWriter::End(uint64_t request) {
  const auto at = pieces_.find(request);
  if (at == pieces_.end()) return absl::OkStatus();
  const absl::Status status = WritePiece(&at->second);
  pieces_.erase(at);
  return status;
}

absl::Status RecordingWriter::Finish(int64_t dropped_steps) {
  std::vector<uint64_t> requests;
  for (const auto& [request, piece] : pieces_) requests.push_back(request);
  std::sort(requests.begin(), requests.end());
  for (const uint64_t request : requests) TIERSCOPE_RETURN_IF_ERROR(End(request));
  TraceRecord record;
  RecordingEnd* end = record.mutable_recording_end();
  end->set_recorded_steps(recorded_steps_);
  end->set_dropped_steps(dropped_steps);
  end->set_unfinished_steps(unfinished_steps_);
  end->set_refused_steps(refused_steps_);
  TIERSCOPE_RETURN_IF_ERROR(writer_->Append(record));
  return writer_->Finish();
}

}  // namespace tierscope
