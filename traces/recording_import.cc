#include "traces/recording_import.h"

#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/byte_source.h"
#include "traces/container_format.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

// The records of a container from a frame on, without its index.
class FrameWalker {
 public:
  explicit FrameWalker(const ByteSource& source)
      : source_(source), decompressor_(ZSTD_createDCtx()) {}
  ~FrameWalker() { ZSTD_freeDCtx(decompressor_); }
  FrameWalker(const FrameWalker&) = delete;
  FrameWalker& operator=(const FrameWalker&) = delete;

  void GoTo(int64_t frame_offset) {
    next_offset_ = frame_offset;
    cursor_ = container::RecordCursor(absl::string_view());
  }
  // The next record; false at the index, the end of the file, or bytes that are no whole frame.
  bool Next(TraceRecord* record) {
    absl::string_view bytes;
    while (!cursor_.Next(&bytes)) {
      if (!ReadFrame()) return false;
    }
    return record->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  }
  // Of the frame that holds the record read last, and of the first byte behind it.
  int64_t frame_offset() const { return frame_offset_; }
  int64_t next_offset() const { return next_offset_; }

 private:
  // The length of the whole frame at next_offset_, read into compressed_; 0 when there is none.
  size_t LoadFrame() {
    const int64_t left = source_.size_bytes() - next_offset_;
    for (int64_t bytes = int64_t{2} << 20;; bytes *= 2) {
      const int64_t loaded = std::min(bytes, left);
      if (loaded < 8) return 0;
      compressed_.resize(static_cast<size_t>(loaded));
      if (!source_.ReadAt(next_offset_, compressed_.data(), loaded).ok()) return 0;
      if (container::ReadWord32(compressed_.data()) != container::kZstdFrameMagic) return 0;
      const size_t frame = ZSTD_findFrameCompressedSize(compressed_.data(), compressed_.size());
      if (ZSTD_isError(frame) == 0) return frame;
      if (loaded == left || bytes > 2 * container::kFrameRawBytesMax) return 0;
    }
  }

  bool ReadFrame() {
    const size_t bytes = LoadFrame();
    if (bytes == 0) return false;
    const unsigned long long raw = ZSTD_getFrameContentSize(compressed_.data(), bytes);
    if (raw == 0 || raw > static_cast<unsigned long long>(container::kFrameRawBytesMax)) {
      return false;
    }
    raw_.resize(raw);
    const size_t got =
        ZSTD_decompressDCtx(decompressor_, raw_.data(), raw_.size(), compressed_.data(), bytes);
    if (got != raw_.size()) return false;  // the checksum of the frame is part of this
    cursor_ = container::RecordCursor(absl::string_view(raw_.data(), raw_.size()));
    frame_offset_ = next_offset_;
    next_offset_ += static_cast<int64_t>(bytes);
    return true;
  }

  const ByteSource& source_;
  ZSTD_DCtx* decompressor_;
  std::string compressed_;
  std::vector<char> raw_;
  container::RecordCursor cursor_{absl::string_view()};
  int64_t frame_offset_ = 0;
  int64_t next_offset_ = container::kHeadBytes;
};

// A whole profile of the file. A piece opens its frame.
struct Piece {
  uint64_t request = 0;
  int64_t first_step = 0;
  int64_t step_count = 0;
  int64_t prompt_tokens = 0;  // of the request
  int64_t dropped_steps = 0;
  int64_t frame_offset = 0;
};

class RecordingImporter {
 public:
  RecordingImporter(const ByteSource& source, ContainerWriter* writer, ImportResult* result)
      : source_(source), writer_(writer), result_(result), walker_(source) {}

  absl::Status Run(ImportProgress* progress) {
    FindPieces();
    if (!is_closed_) {
      result_->notes.push_back(
          absl::StrCat(source_.name(), ": was not closed, or is damaged; whole pieces up to byte ",
                       walker_.next_offset(), " of ", source_.size_bytes(), " are read"));
    }
    if (pieces_.empty()) {
      return BadInput(source_.name(), "no whole piece of a request",
                      "record at least one tick stride of a request");
    }
    progress->Advance(source_.size_bytes() / 2);
    std::stable_sort(pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) {
      return std::tie(a.request, a.prompt_tokens) < std::tie(b.request, b.prompt_tokens);
    });
    for (size_t begin = 0; begin < pieces_.size();) {
      size_t end = begin + 1;
      int64_t steps = pieces_[begin].step_count;
      while (end < pieces_.size() && Follows(pieces_[end - 1], pieces_[end]) &&
             steps + pieces_[end].step_count <= kStepCountMax) {
        steps += pieces_[end++].step_count;
      }
      TIERSCOPE_RETURN_IF_ERROR(WriteProfile(begin, end, static_cast<int32_t>(steps)));
      begin = end;
    }
    AddNotes();
    return absl::OkStatus();
  }

 private:
  void FindPieces() {
    TraceRecord record;
    bool is_open = false;
    Piece open;
    int64_t records_left = 0;
    while (walker_.Next(&record)) {
      if (record.has_profile()) {
        const ProfileHeader& header = record.profile();
        const Recording& recording = header.recording();
        is_open = ValidateProfileHeader(header).ok() && header.has_recording();
        open = {recording.request(),       recording.first_step(),
                header.step_count(),       header.prompt_tokens() - recording.first_step(),
                recording.dropped_steps(), walker_.frame_offset()};
        records_left = recording.records();
      } else if (record.has_recording_end()) {
        is_closed_ = true;
        end_ = record.recording_end();
      } else if (is_open && --records_left == 0) {
        pieces_.push_back(open);
        is_open = false;
      }
    }
  }

  static bool Follows(const Piece& a, const Piece& b) {
    return a.request == b.request && a.prompt_tokens == b.prompt_tokens && b.dropped_steps == 0 &&
           a.first_step + a.step_count == b.first_step;
  }

  // Pieces [begin, end) follow one another.
  absl::Status WriteProfile(size_t begin, size_t end, int32_t step_count) {
    TraceRecord record;
    for (size_t i = begin; i < end; ++i) {
      walker_.GoTo(pieces_[i].frame_offset);
      if (!walker_.Next(&record) || !record.has_profile()) return Unreadable(pieces_[i]);
      const int64_t records = record.profile().recording().records();
      const auto shift = static_cast<int32_t>(pieces_[i].first_step - pieces_[begin].first_step);
      if (i == begin) {
        record.mutable_profile()->set_step_count(step_count);
        record.mutable_profile()->clear_recording();
        TIERSCOPE_RETURN_IF_ERROR(writer_->Append(record));
      }
      for (int64_t r = 0; r < records; ++r) {
        if (!walker_.Next(&record)) return Unreadable(pieces_[i]);
        if (record.has_selection()) {
          if (i > begin && record.selection().step() == 0) continue;  // the last step before
          record.mutable_selection()->set_step(record.selection().step() + shift);
        } else if (record.has_tick()) {
          record.mutable_tick()->set_step(record.tick().step() + shift);
        }
        TIERSCOPE_RETURN_IF_ERROR(writer_->Append(record));
      }
    }
    ++result_->profiles;
    return absl::OkStatus();
  }

  absl::Status Unreadable(const Piece& piece) const {
    return BadInput(PlaceOfOffset(source_.name(), piece.frame_offset),
                    "the piece that was here cannot be read again",
                    "wait until its writer is done");
  }

  void AddNotes() const {
    int64_t dropped = 0;
    for (const Piece& piece : pieces_) dropped += piece.dropped_steps;
    dropped = std::max(dropped, end_.dropped_steps());
    if (dropped > 0) {
      result_->notes.push_back(absl::StrCat(
          source_.name(), ": the recorder dropped ", dropped,
          " steps for want of memory; a request goes on in another profile behind each gap"));
    }
    if (end_.refused_steps() > 0) {
      result_->notes.push_back(absl::StrCat(source_.name(), ": the recorder refused ",
                                            end_.refused_steps(), " wrong steps"));
    }
    if (end_.unfinished_steps() > 0) {
      result_->notes.push_back(absl::StrCat(source_.name(), ": ", end_.unfinished_steps(),
                                            " steps filled no tick stride and are left out"));
    }
  }

  const ByteSource& source_;
  ContainerWriter* writer_;
  ImportResult* result_;
  FrameWalker walker_;
  std::vector<Piece> pieces_;
  bool is_closed_ = false;
  RecordingEnd end_;
};

}  // namespace

bool LooksLikeRecording(const std::string& path) {
  if (!LooksLikeContainer(path)) return false;
  const auto source = OpenFileSource(path);
  if (!source.ok()) return false;
  FrameWalker walker(**source);
  TraceRecord record;
  // Without a frame it may be a recording that ended before its first piece.
  return walker.Next(&record) && (record.has_recording_end() || record.profile().has_recording());
}

absl::Status ImportRecordings(const std::vector<std::string>& files, const ImportOptions& options,
                              ContainerWriter* writer, ImportResult* result) {
  std::vector<std::unique_ptr<ByteSource>> sources;
  int64_t all_bytes = 0;
  for (const std::string& file : files) {
    TIERSCOPE_ASSIGN_OR_RETURN(sources.emplace_back(), OpenFileSource(file));
    all_bytes += sources.back()->size_bytes();
  }
  ImportProgress progress(options, all_bytes);
  for (const auto& source : sources) {
    TIERSCOPE_RETURN_IF_ERROR(RecordingImporter(*source, writer, result).Run(&progress));
  }
  progress.Finish();
  return absl::OkStatus();
}

}  // namespace tierscope
