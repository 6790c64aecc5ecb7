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

constexpr int64_t kDumpBytesMax = int64_t{8} << 30;
constexpr uint8_t kVotesOfGolden = 3;  // as few as a golden entry has

std::vector<float> DrawNormal(size_t count, double deviation, Rng* rng) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(rng->NextNormal() * deviation);
  return values;
}

absl::Status CheckOptions(const PlantedOptions& o, int64_t entries) {
  TIERSCOPE_RETURN_IF_ERROR(CheckShape(o.shape));
  const int64_t bytes =
      static_cast<int64_t>(o.layers.size()) *
      (int64_t{o.rows} * o.shape.hidden * 2 + entries * (o.shape.head_dim + kKeyScaleBytes));
  if (o.layers.empty() || entries < 1 || entries > kHistoryEntriesMax || bytes > kDumpBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a dump of ", o.layers.size(), " layers, ", o.rows, " rows and ", entries, " entries has ",
        bytes, " bytes, expected at most ", kDumpBytesMax, "; ask for less"));
  }
  return absl::OkStatus();
}

// One layer as planted and as written.
struct PlantedLayer {
  LayerWeights weights;
  std::vector<uint16_t> hidden;  // bf16 [rows][hidden]
  std::vector<uint8_t> keys;     // [entries][head_dim + 4]
};

class Planter {
 public:
  explicit Planter(const PlantedOptions& options)
      : o_(options),
        entries_((o_.prompt_tokens + (int64_t{o_.rows} - 1) * o_.row_stride_steps + 1) /
                 o_.tokens_per_entry) {}

  absl::Status Write(const std::string& dump_path, const std::string& checkpoint_path) {
    TIERSCOPE_RETURN_IF_ERROR(CheckOptions(o_, entries_));
    DrawLatents();
    for (const int layer : o_.layers) layers_.push_back(DrawLayer(layer));
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

  void DrawLatents() {
    Rng rng(o_.seed, 1);
    const auto latent = static_cast<size_t>(o_.latent);
    row_latents_ = DrawNormal(static_cast<size_t>(o_.rows) * latent, 1.0, &rng);
    const double kept = o_.persistence, fresh = std::sqrt(1.0 - kept * kept);
    for (size_t i = latent; i < row_latents_.size(); ++i) {
      row_latents_[i] = static_cast<float>(kept * double{row_latents_[i - latent]} +
                                           fresh * double{row_latents_[i]});
    }
    entry_latents_ = DrawNormal(static_cast<size_t>(entries_) * latent, 1.0, &rng);
  }

  // A random linear image of latent states, with noise, of variance 1 but for that.
  std::vector<float> Image(const std::vector<float>& latents, int width, Rng* rng) const {
    const size_t count = latents.size() / static_cast<size_t>(o_.latent);
    const std::vector<float> map =
        DrawNormal(static_cast<size_t>(width * o_.latent), 1.0 / std::sqrt(double(o_.latent)), rng);
    std::vector<float> image = DrawNormal(count * static_cast<size_t>(width), o_.noise, rng);
    std::vector<float> clean(image.size());
    MultiplyRows(map, o_.latent, latents, clean);
    for (size_t i = 0; i < image.size(); ++i) image[i] += clean[i];
    return image;
  }

  PlantedLayer DrawLayer(int csa_layer) const {
    Rng rng(o_.seed, 2 + static_cast<uint64_t>(csa_layer));
    const IndexerShape& s = o_.shape;
    const auto size = [](int rows, int columns) {
      return static_cast<size_t>(rows) * static_cast<size_t>(columns);
    };
    PlantedLayer layer;
    layer.weights.csa_layer = csa_layer;
    layer.weights.shape = s;
    layer.weights.wq_a = DrawNormal(size(s.rank, s.hidden), 1.0 / std::sqrt(s.hidden), &rng);
    layer.weights.q_norm.assign(static_cast<size_t>(s.rank), 1.0f);
    layer.weights.wq_b = DrawNormal(size(s.query_values(), s.rank), 1.0 / std::sqrt(s.rank), &rng);
    layer.weights.weights_proj =
        DrawNormal(size(s.heads, s.hidden), 1.0 / std::sqrt(s.hidden), &rng);
    for (const float value : Image(row_latents_, s.hidden, &rng)) {
      layer.hidden.push_back(FloatToBf16(value));
    }
    const std::vector<float> keys = Image(entry_latents_, s.head_dim, &rng);
    const auto dim = static_cast<size_t>(s.head_dim);
    layer.keys.resize(static_cast<size_t>(entries_) * (dim + kKeyScaleBytes));
    for (size_t entry = 0; entry < static_cast<size_t>(entries_); ++entry) {
      uint8_t* row = layer.keys.data() + entry * (dim + kKeyScaleBytes);
      const float scale = QuantizeHead(std::span(keys).subspan(entry * dim, dim), {row, dim});
      std::memcpy(row + dim, &scale, sizeof scale);
    }
    return layer;
  }

  // Largest planted logits over layers at each row.
  std::vector<float> BestLogits(int64_t row) const {
    const auto history = static_cast<size_t>(HistoryOf(row));
    const auto width = static_cast<size_t>(o_.shape.hidden);
    const auto key_bytes = static_cast<size_t>(o_.shape.head_dim + kKeyScaleBytes);
    std::vector<float> best(history), hidden(width), logits(KeyTile::kKeysMax);
    KeyTile tile(o_.shape.head_dim);
    for (size_t l = 0; l < layers_.size(); ++l) {
      for (size_t i = 0; i < width; ++i) {
        hidden[i] = Bf16ToFloat(layers_[l].hidden[static_cast<size_t>(row) * width + i]);
      }
      const int64_t position = PositionOf(row);
      const IndexerQuery query = MakeQueries(layers_[l].weights, hidden, {&position, 1})[0];
      for (size_t first = 0; first < history; first += KeyTile::kKeysMax) {
        const size_t count = std::min<size_t>(KeyTile::kKeysMax, history - first);
        tile.Load(std::span(layers_[l].keys).subspan(first * key_bytes, count * key_bytes),
                  static_cast<int>(count));
        tile.Score(query, 0.0f, logits);
        for (size_t i = 0; i < count; ++i) {
          float& of_entry = best[first + i];
          of_entry = l == 0 ? logits[i] : std::max(of_entry, logits[i]);
        }
      }
    }
    return best;
  }

  void LabelRows() {
    pointers_.push_back(0);
    for (int64_t row = 0; row < o_.rows; ++row) {
      const std::vector<float> logits = BestLogits(row);
      std::vector<std::pair<float, int32_t>> ranked;
      for (size_t i = 0; i < logits.size(); ++i) ranked.push_back({-logits[i], int32_t(i)});
      const auto golden =
          static_cast<size_t>(std::ceil(o_.golden_share * static_cast<double>(ranked.size())));
      std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(golden),
                        ranked.end());
      for (size_t i = 0; i < golden; ++i) labels_.push_back(ranked[i].second);
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
