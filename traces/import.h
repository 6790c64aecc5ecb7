// Turns recordings of serving engines into attention traces. One file pair a format; this header
// has what they share. Every importer streams: memory does not grow with the file beyond what its
// header states. One thread. README.md "Importing recordings" has the formats and their refusals.
#ifndef TIERSCOPE_TRACES_IMPORT_H_
#define TIERSCOPE_TRACES_IMPORT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "traces/container.h"
#include "traces/trace.pb.h"

namespace tierscope {

// What a recording does not say of itself. A value that a format needs and that is not given is an
// error, never a guess.
struct ImportOptions {
  std::string model = "unknown";       // name in the profile's header
  int32_t tokens_per_entry = 0;        // 0 = not given
  std::vector<int64_t> prompt_tokens;  // one a file, or one for all; empty = not given
  int64_t prompt_start_tokens = 0;     // tokens in front of a capture's first row
  int32_t layers = 0;                  // of raw captures in responses; 0 = not given
  int32_t topk = 0;                    // of raw captures in responses; 0 = not given
  int32_t tick_stride_steps = 16;      // sub-windows of recordings without ticks
  int32_t tau_steps = 0;               // of resident dumps; 0 = from the steps in the dump
  double threshold = -1.0;             // of resident dumps; negative = not given
  SelectionScope selections = SELECTIONS_FULL_HISTORY;  // what the recorded indexer saw
  std::function<void(int64_t done_bytes, int64_t all_bytes)> on_progress;  // may be empty
};

struct ImportResult {
  std::string format;  // for people
  int64_t profiles = 0;
  std::vector<std::string> notes;  // what was left out or assumed, a sentence each
};

enum class ImportFormat {
  kRequestTrace,   // none of the below: traces/request_trace.h decides
  kTopkCapture,    // .npy int32 [tokens, layers, topk]
  kTopkResponses,  // JSON responses with the same in base64
  kResidentDump,   // JSONL of FlashMemory's SGLANG_RESIDENT_DUMP
  kStepLog,        // JSONL of request_id, layer_id, step_idx, selected_token_pos
  kLabelDump,      // safetensors with label_indices, label_pointers
  kRecording,      // what traces/recorder.h wrote, whole or after a crash
};

// Tells the formats apart by content. Errors: the file cannot be read; a pickle, which the
// converter must make safe first.
absl::StatusOr<ImportFormat> DetectImportFormat(const std::string& path);

// Imports files of one attention format into `path`, replacing it only once it is whole. Errors
// name file, line or offset, and the mend. Precondition: no file is of kRequestTrace.
absl::StatusOr<ImportResult> ImportAttentionTrace(const std::vector<std::string>& files,
                                                  const ImportOptions& options,
                                                  const std::string& path);

// Tells `options.on_progress` how far an import is; at most once per MiB.
class ImportProgress {
 public:
  ImportProgress(const ImportOptions& options, int64_t all_bytes)
      : on_progress_(options.on_progress), all_bytes_(all_bytes) {}
  void Advance(int64_t bytes) {
    done_bytes_ += bytes;
    if (on_progress_ == nullptr || done_bytes_ < next_bytes_) return;
    next_bytes_ = done_bytes_ + (int64_t{1} << 20);
    on_progress_(done_bytes_, all_bytes_);
  }
  void Finish() const {
    if (on_progress_ != nullptr) on_progress_(all_bytes_, all_bytes_);
  }

 private:
  std::function<void(int64_t, int64_t)> on_progress_;
  int64_t all_bytes_;
  int64_t done_bytes_ = 0;
  int64_t next_bytes_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_IMPORT_H_
