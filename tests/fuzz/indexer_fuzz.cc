// A safetensors file as `tierscope indexer` reads one: as a checkpoint, as a training's state, as a
// dump; and where it is checkpoint and dump in one, scored by itself: a trace that reads.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/check.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"
#include "traces/attention_trace.h"
#include "traces/indexer/checkpoint.h"
#include "traces/indexer/hidden_dump.h"
#include "traces/indexer/score_trace.h"
#include "traces/indexer/training_state.h"

namespace tierscope::testing {
namespace {

void CheckWeights(const LayerWeights& layer) {
  const IndexerShape& s = layer.shape;
  TIERSCOPE_CHECK(CheckShape(s).ok());
  TIERSCOPE_CHECK(layer.wq_a.size() == size_t(s.rank) * size_t(s.hidden));
  TIERSCOPE_CHECK(layer.q_norm.size() == size_t(s.rank));
  TIERSCOPE_CHECK(layer.wq_b.size() == size_t(s.query_values()) * size_t(s.rank));
  TIERSCOPE_CHECK(layer.weights_proj.size() == size_t(s.heads) * size_t(s.hidden));
  for (const float value : layer.wq_b) TIERSCOPE_CHECK(std::isfinite(value));
}

void CheckDump(const HiddenDump& dump) {
  std::vector<float> hidden(static_cast<size_t>(dump.hidden()));
  std::vector<uint8_t> key(static_cast<size_t>(dump.key_bytes())), votes;
  std::vector<uint32_t> golden;
  for (size_t layer = 0; layer < dump.layers().size(); ++layer) {
    TIERSCOPE_CHECK(dump.ReadKeys(layer, dump.keys() - 1, 1, key).ok());
    const absl::Status read = dump.ReadHidden(layer, dump.rows() - 1, hidden);
    if (!read.ok()) CheckError(read, dump.name());
  }
  if (!dump.has_labels()) return;
  for (int64_t row = 0; dump.WindowIsWhole(row, 2); ++row) {
    const absl::Status read = dump.ReadWindow(row, 2, 21, &golden, &votes);
    if (!read.ok()) return CheckError(read, dump.name());
    TIERSCOPE_CHECK(golden.size() == votes.size());
    for (size_t i = 0; i < golden.size(); ++i) {
      TIERSCOPE_CHECK(golden[i] < dump.history(row) && (i == 0 || golden[i - 1] < golden[i]));
    }
  }
}

class NoVisitor : public AttentionVisitor {
 public:
  absl::Status OnProfile(const ProfileHeader&) override { return absl::OkStatus(); }
  absl::Status OnTick(int32_t, int32_t, std::span<const uint32_t>,
                      std::span<const uint8_t>) override {
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t, int32_t, std::span<const uint32_t>,
                           std::span<const uint8_t>) override {
    return absl::OkStatus();
  }
  absl::Status OnProfileEnd() override { return absl::OkStatus(); }
};

}  // namespace

void FuzzIndexer(absl::string_view input) {
  static MemoryFile file;
  static const std::string out = ScratchPath();
  const std::string& path = file.Fill(input);
  auto source = OpenFileSource(path);
  if (!source.ok()) return CheckMessage(source.status());
  const auto weights = ReadCheckpoint(**source, {});
  if (weights.ok()) {
    for (const LayerWeights& layer : *weights) CheckWeights(layer);
  } else {
    CheckError(weights.status(), path);
  }
  const auto state = ReadState(path, 0);
  if (!state.ok()) CheckError(state.status(), path);
  const auto dump = HiddenDump::Open(*std::move(source), {}, 1);
  if (!dump.ok()) return CheckError(dump.status(), path);
  CheckDump(**dump);
  if (!weights.ok()) return;
  ScoreOptions options;
  options.tick_stride_steps = 2;
  options.window_steps = 2;
  options.tokens_per_entry = 1;
  const auto scored = ScoreDumps(path, {path}, options, out);
  if (!scored.ok()) return CheckMessage(scored.status());
  NoVisitor visitor;
  TIERSCOPE_CHECK(ReadAttentionTrace(out, visitor).ok());
}

}  // namespace tierscope::testing
