// `tierscope indexer score`: the scores of a checkpoint on dumps, as an attention trace with a
// score tick every few steps, and golden labels where the dumps have any. The trace has no
// selections: no dump holds them, so coverage cannot be told from it.
//
// Memory: the checkpoint in float (260 MB for three layers of 128 heads and rank 1024), a chunk of
// ticks (128 MiB at most, one tick at least), 8 bytes a row; hidden states and keys are streamed.
#ifndef TIERSCOPE_TRACES_INDEXER_SCORE_TRACE_H_
#define TIERSCOPE_TRACES_INDEXER_SCORE_TRACE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tierscope {

struct ScoreOptions {
  std::vector<int> layers;         // of the checkpoint; empty: all
  int32_t tick_stride_steps = 16;  // a multiple of the dump's row stride
  int32_t window_steps = 64;       // that golden labels are gathered over
  double score_floor = 0.0;        // entries below are not recorded
  float logit_offset = 0.0f;  // added to every logit; FlashMemory shifts some checkpoints by 5.5
  bool per_layer = false;     // a tick a target layer instead of their maximum
  std::string model = "v4_flash";  // of the profile's header, as all below
  int32_t tokens_per_entry = 4;
  int32_t csa_layers = 21;
  int32_t topk = 512;
  // Bytes of keys scored, of the dump at hand; may be empty.
  std::function<void(int64_t done_bytes, int64_t all_bytes)> on_progress;
};

struct ScoreResult {
  int64_t profiles = 0;
  int64_t ticks = 0;
  int64_t scores = 0;  // entries scored, over ticks; of several layers one
  int64_t golden_windows = 0;
  std::vector<std::string> notes;  // what was left out, a sentence each
};

// A profile a dump, in order. Replaces `path` only once it is whole. Errors: those of the readers;
// sizes that do not go together; a stride that is no multiple of the rows'; a dump of fewer steps
// than a stride.
absl::StatusOr<ScoreResult> ScoreDumps(const std::string& checkpoint,
                                       const std::vector<std::string>& dumps,
                                       const ScoreOptions& options, const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_SCORE_TRACE_H_
