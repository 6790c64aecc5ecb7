#include "traces/indexer/planted_dump.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "kernels/fp8.h"
#include "sim/base/rng.h"
#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/indexer/checkpoint.h"
#include "traces/indexer/float_tensor.h"

namespace tierscope {
namespace {

constexpr int kLatentMax = 1024;
constexpr int64_t kDumpBytesMax = int64_t{8} << 30;
constexpr uint8_t kVotesOfGolden = 3;   // as few as a golden entry has
constexpr float kMean = 2.0f;           // of latent states' first value; the others vary by 1
constexpr double kWeightSpread = 0.3;   // of head weights, around 1
constexpr int64_t kThresholdRows = 64;  // that a threshold is set on
constexpr float kSmallest = 1e-6f;

std::vector<float> DrawNormal(size_t count, double deviation, Rng* rng) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(rng->NextNormal() * deviation);
  return values;
}

// Makes values[0], values[pitch], ... orthogonal to a direction.
void RemoveAlong(const std::vector<float>& direction, std::span<float> values, size_t pitch) {
  float along = 0.0f, squares = 0.0f;
  for (size_t i = 0; i < direction.size(); ++i) {
    along += direction[i] * values[i * pitch];
    squares += direction[i] * direction[i];
  }
  for (size_t i = 0; i < direction.size(); ++i) {
    values[i * pitch] -= along / squares * direction[i];
  }
}

absl::Status CheckOptions(const PlantedOptions& o, int64_t entries) {
  TIERSCOPE_RETURN_IF_ERROR(CheckShape(o.shape));
  if (o.shape.heads < 2 || o.latent < 2 || o.latent > kLatentMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("heads = ", o.shape.heads, ", latent = ", o.latent,
                     "; expected 2 or more, latent at most ", kLatentMax));
  }
  const int64_t bytes =
      static_cast<int64_t>(o.layers.size()) *
      (int64_t{o.rows} * o.shape.hidden * 2 + entries * (o.shape.head_dim + kKeyScaleBytes));
  if (!o.layers.empty() && o.prompt_tokens >= o.tokens_per_entry && entries <= kHistoryEntriesMax &&
      entries * o.tokens_per_entry <= kPositionTokensMax && bytes <= kDumpBytesMax) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "a dump of ", o.layers.size(), " layers, ", o.rows, " rows and ", entries, " entries has ",
      bytes, " bytes; expected a layer, an entry at row 0, positions up to ", kPositionTokensMax,
      " and at most ", kDumpBytesMax, " bytes"));
}

// One layer as planted and as written.
struct PlantedLayer {
  LayerWeights weights;
  std::vector<float> hidden_map, key_map;  // [hidden or head_dim][latent]
  std::vector<uint16_t> hidden;            // bf16 [rows][hidden]
  std::vector<uint8_t> keys;               // [entries][head_dim + 4]
};

class Planter {
 public:
  explicit Planter(const PlantedOptions& options)
      : o_(options),
        entries_((o_.prompt_tokens + (int64_t{o_.rows} - 1) * o_.row_stride_steps + 1) /
                 o_.tokens_per_entry) {}

  absl::Status Write(const std::string& dump_path, const std::string& checkpoint_path) {
    TIERSCOPE_RETURN_IF_ERROR(CheckOptions(o_, entries_));
    for (const int layer : o_.layers) layers_.push_back(DrawLayer(layer));
    DrawDocument(0);
    for (PlantedLayer& layer : layers_) SetThreshold(&layer);
    if (o_.document != 0) DrawDocument(o_.document);
    LabelRows();
    if (!checkpoint_path.empty()) {
      std::vector<LayerWeights> weights;
      for (const PlantedLayer& layer : layers_) weights.push_back(layer.weights);
      TIERSCOPE_RETURN_IF_ERROR(WriteCheckpoint(weights, checkpoint_path));
    }
    return WriteDump(dump_path);
  }

 private:
  int64_t PositionOf(int64_t row) const { return o_.prompt_tokens + row * o_.row_stride_steps; }
  int64_t HistoryOf(int64_t row) const { return (PositionOf(row) + 1) / o_.tokens_per_entry; }

  // States and keys. Document 0 is also what thresholds are set on.
  void DrawDocument(uint64_t document) {
    Rng rng(o_.seed, MixBits(2 * document + 1));
    DrawLatents(&rng);
    for (PlantedLayer& layer : layers_) {
      layer.hidden.clear();
      for (const float value : ImageOf(row_latents_, layer.hidden_map, &rng)) {
        layer.hidden.push_back(FloatToBf16(value));
      }
      layer.keys = KeysOf(ImageOf(entry_latents_, layer.key_map, &rng));
    }
  }

  void DrawLatents(Rng* rng) {
    const auto latent = static_cast<size_t>(o_.latent);
    row_latents_ = DrawNormal(static_cast<size_t>(o_.rows) * latent, 1.0, rng);
    const double kept = o_.persistence, fresh = std::sqrt(1.0 - kept * kept);
    for (size_t i = latent; i < row_latents_.size(); ++i) {
      row_latents_[i] = static_cast<float>(kept * double{row_latents_[i - latent]} +
                                           fresh * double{row_latents_[i]});
    }
    entry_latents_ = DrawNormal(static_cast<size_t>(entries_) * latent, 1.0, rng);
    for (auto* latents : {&row_latents_, &entry_latents_}) {
      for (size_t i = 0; i < latents->size(); i += latent) (*latents)[i] = kMean;
    }
  }

  // [width][latent], of a variance that leaves images of latent states near 1. The column of the
  // mean is 0 behind the first `mean_values` values, and no other has a part along it.
  std::vector<float> DrawMap(int width, int mean_values, Rng* rng) const {
    const auto latent = static_cast<size_t>(o_.latent);
    std::vector<float> map =
        DrawNormal(static_cast<size_t>(width) * latent, 1.0 / std::sqrt(double(o_.latent)), rng);
    const size_t end = static_cast<size_t>(mean_values) * latent;
    for (size_t i = end; i < map.size(); i += latent) map[i] = 0.0f;
    std::vector<float> mean;
    for (size_t i = 0; i < map.size(); i += latent) mean.push_back(map[i]);
    for (size_t column = 1; column < latent; ++column) {
      RemoveAlong(mean, std::span(map).subspan(column), latent);
    }
    return map;
  }

  // Images of latent states, with noise.
  std::vector<float> ImageOf(const std::vector<float>& latents, const std::vector<float>& map,
                             Rng* rng) const {
    const size_t width = map.size() / static_cast<size_t>(o_.latent);
    const size_t count = latents.size() / static_cast<size_t>(o_.latent);
    std::vector<float> image = DrawNormal(count * width, o_.noise, rng);
    std::vector<float> clean(image.size());
    MultiplyRows(map, o_.latent, latents, clean);
    for (size_t i = 0; i < image.size(); ++i) image[i] += clean[i];
    return image;
  }

  // What a state of all zeros but the mean looks like, scaled so that its product with an image is
  // 1 in the mean.
  std::vector<float> MeanReader(const std::vector<float>& map) const {
    std::vector<float> reader;
    float squares = 0.0f;
    for (size_t i = 0; i < map.size(); i += static_cast<size_t>(o_.latent)) {
      reader.push_back(map[i]);
      squares += map[i] * map[i];
    }
    for (float& value : reader) value /= squares * kMean;
    return reader;
  }

  PlantedLayer DrawLayer(int csa_layer) const {
    Rng rng(o_.seed, MixBits(2 * static_cast<uint64_t>(csa_layer) + 2));
    const IndexerShape& s = o_.shape;
    PlantedLayer layer;
    layer.hidden_map = DrawMap(s.hidden, s.hidden, &rng);
    layer.key_map = DrawMap(s.head_dim, s.head_dim - s.rope_dims(), &rng);
    layer.weights =
        DrawWeights(csa_layer, MeanReader(layer.hidden_map), MeanReader(layer.key_map), &rng);
    return layer;
  }

  // Random heads whose weights vary around a positive mean, and behind them the threshold: a head
  // that looks at the mean of the keys, which no position turns, with a negative weight.
  LayerWeights DrawWeights(int csa_layer, const std::vector<float>& hidden_mean,
                           const std::vector<float>& key_mean, Rng* rng) const {
    const IndexerShape& s = o_.shape;
    const auto hidden = static_cast<size_t>(s.hidden), rank = static_cast<size_t>(s.rank);
    const auto heads = static_cast<size_t>(s.heads), dim = static_cast<size_t>(s.head_dim);
    LayerWeights weights;
    weights.csa_layer = csa_layer;
    weights.shape = s;
    weights.wq_a = DrawNormal(rank * hidden, 1.0 / std::sqrt(s.hidden), rng);
    weights.q_norm.assign(rank, 1.0f);
    weights.wq_b = DrawNormal(heads * dim * rank, 1.0 / std::sqrt(s.rank), rng);
    weights.weights_proj = DrawNormal(heads * hidden, kWeightSpread / std::sqrt(s.hidden), rng);
    for (size_t i = 0; i < heads * hidden; ++i) {
      float& value = weights.weights_proj[i];
      value = i / hidden + 1 < heads ? value + hidden_mean[i % hidden] : -hidden_mean[i % hidden];
    }
    std::copy(hidden_mean.begin(), hidden_mean.end(), weights.wq_a.begin());
    for (size_t head = 0; head < heads; ++head) {
      const std::span<float> rows = std::span(weights.wq_b).subspan(head * dim * rank, dim * rank);
      for (size_t r = 0; r < rank; ++r) {
        if (head + 1 < heads) {
          RemoveAlong(key_mean, rows.subspan(r), rank);
        } else {
          for (size_t d = 0; d < dim; ++d) rows[d * rank + r] = r == 0 ? key_mean[d] : 0.0f;
        }
      }
    }
    return weights;
  }

  // [entry][head_dim]: turned to the entry's position, transformed and rounded.
  std::vector<uint8_t> KeysOf(std::vector<float> images) const {
    const auto dim = static_cast<size_t>(o_.shape.head_dim);
    const std::vector<double> frequencies = YarnFrequencies(o_.shape.rope_dims(), YarnParameters());
    std::vector<uint8_t> keys(static_cast<size_t>(entries_) * (dim + kKeyScaleBytes));
    for (int64_t entry = 0; entry < entries_; ++entry) {
      const std::span<float> key = std::span(images).subspan(static_cast<size_t>(entry) * dim, dim);
      uint8_t* row = keys.data() + static_cast<size_t>(entry) * (dim + kKeyScaleBytes);
      Rotation(frequencies, entry * o_.tokens_per_entry).RotateBf16(key);
      Hadamard(key);
      const float scale = QuantizeHead(key, {row, dim});
      std::memcpy(row + dim, &scale, sizeof scale);
    }
    return keys;
  }

  // Scales the threshold's weight so that the layer's share of entries have a positive logit.
  void SetThreshold(PlantedLayer* layer) const {
    const int64_t apart = std::max<int64_t>(1, o_.rows / kThresholdRows);
    std::vector<float> ratios;  // of the other heads' sum to the threshold's
    for (int64_t row = 0; row < o_.rows; row += apart) {
      IndexerQuery others = QueryOf(*layer, row), threshold = others;
      others.head_weights.back() = 0.0f;
      std::fill(threshold.head_weights.begin(), threshold.head_weights.end() - 1, 0.0f);
      const std::vector<float> above = LogitsOf(*layer, row, others);
      const std::vector<float> below = LogitsOf(*layer, row, threshold);
      for (size_t i = 0; i < above.size(); ++i) {
        ratios.push_back(above[i] / std::max(-below[i], kSmallest));
      }
    }
    const double share = o_.golden_share / static_cast<double>(o_.layers.size());
    const auto rank = static_cast<std::ptrdiff_t>((1.0 - share) * double(ratios.size() - 1));
    std::nth_element(ratios.begin(), ratios.begin() + rank, ratios.end());
    const auto hidden = static_cast<size_t>(o_.shape.hidden);
    std::vector<float>& weights = layer->weights.weights_proj;
    for (size_t i = weights.size() - hidden; i < weights.size(); ++i) {
      weights[i] *= ratios[static_cast<size_t>(rank)];
    }
  }

  IndexerQuery QueryOf(const PlantedLayer& layer, int64_t row) const {
    const auto width = static_cast<size_t>(o_.shape.hidden);
    std::vector<float> hidden(width);
    for (size_t i = 0; i < width; ++i) {
      hidden[i] = Bf16ToFloat(layer.hidden[static_cast<size_t>(row) * width + i]);
    }
    const int64_t position = PositionOf(row);
    return MakeQueries(layer.weights, hidden, {&position, 1})[0];
  }

  // [history]
  std::vector<float> LogitsOf(const PlantedLayer& layer, int64_t row,
                              const IndexerQuery& query) const {
    const auto history = static_cast<size_t>(HistoryOf(row));
    const auto key_bytes = static_cast<size_t>(o_.shape.head_dim + kKeyScaleBytes);
    std::vector<float> of_tile(KeyTile::kKeysMax), logits;
    KeyTile tile(o_.shape.head_dim);
    for (size_t first = 0; first < history; first += KeyTile::kKeysMax) {
      const size_t count = std::min<size_t>(KeyTile::kKeysMax, history - first);
      tile.Load(std::span(layer.keys).subspan(first * key_bytes, count * key_bytes),
                static_cast<int>(count));
      tile.Score(query, 0.0f, of_tile);
      logits.insert(logits.end(), of_tile.begin(),
                    of_tile.begin() + static_cast<std::ptrdiff_t>(count));
    }
    return logits;
  }

  // Entries wanted by any layer.
  void LabelRows() {
    pointers_.push_back(0);
    for (int64_t row = 0; row < o_.rows; ++row) {
      std::vector<bool> golden(static_cast<size_t>(HistoryOf(row)));
      for (const PlantedLayer& layer : layers_) {
        const std::vector<float> logits = LogitsOf(layer, row, QueryOf(layer, row));
        for (size_t i = 0; i < logits.size(); ++i) golden[i] = golden[i] || logits[i] > 0.0f;
      }
      for (size_t i = 0; i < golden.size(); ++i) {
        if (golden[i]) labels_.push_back(static_cast<int32_t>(i));
      }
      pointers_.push_back(static_cast<int64_t>(labels_.size()));
    }
  }

  absl::Status WriteDump(const std::string& path) const {
    const auto bytes_of = [](const auto& values) {
      return absl::string_view(reinterpret_cast<const char*>(values.data()),
                               values.size() * sizeof(values[0]));
    };
    std::vector<int64_t> positions;
    for (int64_t row = 0; row < o_.rows; ++row) positions.push_back(PositionOf(row));
    const std::vector<int32_t> votes(labels_.size(), kVotesOfGolden);
    const auto labels = static_cast<int64_t>(labels_.size());
    std::vector<TensorView> views;
    for (const PlantedLayer& layer : layers_) {
      const int l = layer.weights.csa_layer;
      views.push_back({absl::StrCat("hidden_layer_", l),
                       "BF16",
                       {o_.rows, o_.shape.hidden},
                       bytes_of(layer.hidden)});
      views.push_back({absl::StrCat("compk_layer_", l),
                       "U8",
                       {entries_, o_.shape.head_dim + kKeyScaleBytes},
                       bytes_of(layer.keys)});
      views.push_back(LongView(absl::StrCat("positions_layer_", l), {o_.rows}, positions));
    }
    views.push_back(LongView("label_pointers", {o_.rows + 1}, pointers_));
    views.push_back({"label_indices", "I32", {labels}, bytes_of(labels_)});
    views.push_back({"label_scores", "I32", {labels}, bytes_of(votes)});
    return WriteSafetensors(views, path);
  }

  const PlantedOptions& o_;
  const int64_t entries_;
  std::vector<float> row_latents_, entry_latents_;  // [row or entry][latent]
  std::vector<PlantedLayer> layers_;
  std::vector<int64_t> pointers_;
  std::vector<int32_t> labels_;
};

}  // namespace

absl::Status WritePlantedDump(const PlantedOptions& options, const std::string& dump_path,
                              const std::string& checkpoint_path) {
  return Planter(options).Write(dump_path, checkpoint_path);
}

}  // namespace tierscope
