#include "traces/indexer/row_scores.h"

#include <algorithm>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "tbb/blocked_range.h"
#include "tbb/parallel_for.h"

#include "sim/base/status_macros.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kChunkBytes = int64_t{64} << 20;
constexpr int64_t kChunkRowsMax = 256;

// The error of the first key, whatever the order in which threads find theirs.
class FirstError {
 public:
  void Add(int64_t at, const absl::Status& status) {
    if (status.ok()) return;
    const std::lock_guard lock(mutex_);
    if (status_.ok() || at < at_) {
      at_ = at;
      status_ = status;
    }
  }
  const absl::Status& status() const { return status_; }

 private:
  std::mutex mutex_;
  int64_t at_ = 0;
  absl::Status status_;
};

struct Work {
  const HiddenDump& dump;
  std::span<const int64_t> rows;
  std::vector<std::vector<IndexerQuery>> queries;  // [layer][row]
  float logit_offset;
  bool best_only;
  std::vector<uint8_t>* codes;
};

// Keys [first, first + count) of one layer against the queries of every row.
absl::Status ScoreTile(const Work& work, size_t layer, int64_t first, int count, KeyTile* tile) {
  std::vector<uint8_t> keys(static_cast<size_t>(count * work.dump.key_bytes()));
  TIERSCOPE_RETURN_IF_ERROR(work.dump.ReadKeys(layer, first, count, keys));
  if (const int bad = tile->Load(keys, count); bad >= 0)
    return work.dump.BadKey(layer, first + bad);
  float logits[KeyTile::kKeysMax];
  const size_t plane = work.best_only ? 0 : layer;
  for (size_t row = 0; row < work.rows.size(); ++row) {
    if (first >= work.dump.scorable(work.rows[row])) continue;
    tile->Score(work.queries[layer][row], work.logit_offset, logits);
    uint8_t* out = work.codes->data() +
                   (plane * work.rows.size() + row) * static_cast<size_t>(work.dump.keys()) + first;
    for (int i = 0; i < count; ++i) {
      const uint8_t code = ScoreCode(logits[i]);
      out[i] = work.best_only ? std::max(out[i], code) : code;  // codes rise with logits
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBelongTogether(const HiddenDump& dump, std::span<const LayerWeights> layers) {
  const IndexerShape& shape = layers[0].shape;
  std::vector<int> wanted;
  for (const LayerWeights& layer : layers) wanted.push_back(layer.csa_layer);
  const auto differ = [&](absl::string_view what, int64_t of_dump, int64_t of_weights) {
    return BadInput(dump.name(),
                    absl::StrCat(what, " is ", of_dump, ", that of the checkpoint ", of_weights),
                    "give a checkpoint of the same model");
  };
  if (dump.hidden() != shape.hidden) return differ("hidden size", dump.hidden(), shape.hidden);
  if (dump.head_dim() != shape.head_dim) return differ("head_dim", dump.head_dim(), shape.head_dim);
  if (dump.layers() != wanted)
    return differ("number of layers", int64_t(dump.layers().size()), int64_t(wanted.size()));
  return absl::OkStatus();
}

int64_t ChunkRows(const HiddenDump& dump, const IndexerShape& shape, size_t layer_count) {
  const auto layers = static_cast<int64_t>(layer_count);
  const int64_t query_bytes = (shape.query_values() + 4 * shape.heads) * layers;
  // A chunk's projections stand in float while its queries are made, a layer at a time.
  const int64_t float_bytes = 4 * (shape.query_values() + shape.rank + shape.hidden);
  const int64_t row_bytes = std::max(dump.keys() * layers, query_bytes + float_bytes);
  return std::clamp(kChunkBytes / row_bytes, int64_t{1}, kChunkRowsMax);
}

absl::Status ScoreRows(const HiddenDump& dump, std::span<const LayerWeights> layers,
                       std::span<const int64_t> rows, float logit_offset, bool best_only,
                       std::vector<uint8_t>* codes) {
  Work work = {dump, rows, {}, logit_offset, best_only, codes};
  std::vector<int64_t> positions;
  int64_t scorable = 0;  // by any row
  for (const int64_t row : rows) {
    positions.push_back(dump.position(row));
    scorable = std::max(scorable, dump.scorable(row));
  }
  const auto width = static_cast<size_t>(dump.hidden());
  std::vector<float> hidden(rows.size() * width);
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    for (size_t i = 0; i < rows.size(); ++i) {
      TIERSCOPE_RETURN_IF_ERROR(
          dump.ReadHidden(layer, rows[i], std::span(hidden).subspan(i * width, width)));
    }
    work.queries.push_back(MakeQueries(layers[layer], hidden, positions));
  }
  codes->assign((best_only ? 1 : layers.size()) * rows.size() * static_cast<size_t>(dump.keys()),
                0);
  FirstError error;
  const int64_t tiles = (scorable + KeyTile::kKeysMax - 1) / KeyTile::kKeysMax;
  tbb::parallel_for(tbb::blocked_range<int64_t>(0, tiles), [&](const auto& range) {
    KeyTile tile(dump.head_dim());
    for (int64_t t = range.begin(); t < range.end(); ++t) {
      const int64_t first = t * KeyTile::kKeysMax;
      const auto count =
          static_cast<int>(std::min<int64_t>(KeyTile::kKeysMax, dump.keys() - first));
      for (size_t layer = 0; layer < layers.size(); ++layer) {
        error.Add(t, ScoreTile(work, layer, first, count, &tile));
      }
    }
  });
  return error.status();
}

}  // namespace tierscope
