#include "traces/indexer/training_state.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/det_math.h"
#include "sim/base/rng.h"
#include "sim/base/status_macros.h"
#include "traces/byte_source.h"
#include "traces/indexer/checkpoint.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8, kNormMax = 1.0;
constexpr absl::string_view kStateName = "training.state";
constexpr int64_t kStateWords = 5;

std::vector<float> DrawUniform(size_t count, int columns, Rng* rng) {
  const double most = 1.0 / std::sqrt(static_cast<double>(columns));
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>((2.0 * rng->NextDouble() - 1.0) * most);
  return values;
}

std::vector<LayerWeights> ZerosLike(const std::vector<LayerWeights>& layers) {
  std::vector<LayerWeights> zeros = layers;
  for (LayerWeights& layer : zeros) {
    for (auto* values : {&layer.wq_a, &layer.q_norm, &layer.wq_b, &layer.weights_proj}) {
      values->assign(values->size(), 0.0f);
    }
  }
  return zeros;
}

double SquareSum(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value * value;
  return sum;
}

struct AdamRates {
  double scale;  // of the gradient, from clipping
  double learning_rate;
  double correction1, correction2;  // of the moments' start at 0
};

void MoveWeights(const AdamRates& rates, const std::vector<double>& gradient,
                 std::vector<float>* weights, std::vector<float>* first,
                 std::vector<float>* second) {
  for (size_t i = 0; i < gradient.size(); ++i) {
    const double slope = gradient[i] * rates.scale;
    const double m = kBeta1 * double{(*first)[i]} + (1.0 - kBeta1) * slope;
    const double v = kBeta2 * double{(*second)[i]} + (1.0 - kBeta2) * slope * slope;
    (*first)[i] = static_cast<float>(m);
    (*second)[i] = static_cast<float>(v);
    const double step = m / rates.correction1 / (std::sqrt(v / rates.correction2) + kEpsilon);
    (*weights)[i] = static_cast<float>(double{(*weights)[i]} - rates.learning_rate * step);
  }
}

std::string PartPrefix(absl::string_view part, int csa_layer) {
  return absl::StrCat("training.", part, ".l", csa_layer, ".");
}

struct Part {
  absl::string_view name;
  std::vector<LayerWeights> TrainingState::*layers;
};
constexpr Part kParts[] = {{"now", &TrainingState::now},
                           {"m", &TrainingState::first_moment},
                           {"v", &TrainingState::second_moment}};

absl::StatusOr<std::vector<int64_t>> ReadWords(const ByteSource& source,
                                               const std::vector<Tensor>& tensors) {
  for (const Tensor& tensor : tensors) {
    if (tensor.name != kStateName) continue;
    if (tensor.dtype != "I64" || tensor.elements() != kStateWords) break;
    std::vector<int64_t> words(kStateWords);
    TIERSCOPE_RETURN_IF_ERROR(
        source.ReadAt(tensor.offset, reinterpret_cast<char*>(words.data()), tensor.bytes));
    return words;
  }
  return BadInput(source.name(), "no training state in it",
                  "resume what `tierscope indexer train` wrote, or start from it with --init");
}

}  // namespace

TrainingState FreshState(const IndexerShape& shape, const std::vector<int>& layers, uint64_t seed) {
  std::vector<LayerWeights> weights;
  const auto size = [](int rows, int columns) {
    return static_cast<size_t>(rows) * static_cast<size_t>(columns);
  };
  for (const int layer : layers) {
    Rng rng(seed, MixBits(static_cast<uint64_t>(layer)));
    LayerWeights fresh;
    fresh.csa_layer = layer;
    fresh.shape = shape;
    fresh.wq_a = DrawUniform(size(shape.rank, shape.hidden), shape.hidden, &rng);
    fresh.q_norm.assign(static_cast<size_t>(shape.rank), 1.0f);
    fresh.wq_b = DrawUniform(size(shape.query_values(), shape.rank), shape.rank, &rng);
    fresh.weights_proj = DrawUniform(size(shape.heads, shape.hidden), shape.hidden, &rng);
    weights.push_back(std::move(fresh));
  }
  return StateFrom(std::move(weights));
}

TrainingState StateFrom(std::vector<LayerWeights> weights) {
  TrainingState state;
  state.first_moment = state.second_moment = ZerosLike(weights);
  state.best = state.now = std::move(weights);
  return state;
}

void AdamStep(LayerValues gradient, double learning_rate, int64_t steps, size_t layer,
              TrainingState* state) {
  const double norm = std::sqrt(SquareSum(gradient.wq_a) + SquareSum(gradient.q_norm) +
                                SquareSum(gradient.wq_b) + SquareSum(gradient.weights_proj));
  const auto t = static_cast<double>(steps);
  const AdamRates rates = {norm > kNormMax ? kNormMax / norm : 1.0, learning_rate,
                           1.0 - DetPow(kBeta1, t), 1.0 - DetPow(kBeta2, t)};
  LayerWeights &now = state->now[layer], &m = state->first_moment[layer],
               &v = state->second_moment[layer];
  MoveWeights(rates, gradient.wq_a, &now.wq_a, &m.wq_a, &v.wq_a);
  MoveWeights(rates, gradient.q_norm, &now.q_norm, &m.q_norm, &v.q_norm);
  MoveWeights(rates, gradient.wq_b, &now.wq_b, &m.wq_b, &v.wq_b);
  MoveWeights(rates, gradient.weights_proj, &now.weights_proj, &m.weights_proj, &v.weights_proj);
}

absl::Status WriteState(const TrainingState& state, const std::string& path) {
  std::vector<TensorView> views;
  for (const LayerWeights& layer : state.best) {
    AppendViews(layer, LayerPrefix(layer.csa_layer), &views);
  }
  for (const Part& part : kParts) {
    for (const LayerWeights& layer : state.*part.layers) {
      AppendViews(layer, PartPrefix(part.name, layer.csa_layer), &views);
    }
  }
  const std::vector<int64_t> words = {state.epochs, state.steps, state.best_epoch,
                                      std::bit_cast<int64_t>(state.best_auc),
                                      std::bit_cast<int64_t>(state.digest)};
  views.push_back(LongView(std::string(kStateName), {kStateWords}, words));
  return WriteSafetensors(views, path);
}

absl::StatusOr<TrainingState> ReadState(const std::string& path, uint64_t digest) {
  TIERSCOPE_ASSIGN_OR_RETURN(const auto source, OpenFileSource(path));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<Tensor> tensors, ReadSafetensorsHeader(*source));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<int64_t> words, ReadWords(*source, tensors));
  TrainingState state;
  state.epochs = words[0];
  state.steps = words[1];
  state.best_epoch = words[2];
  state.best_auc = std::bit_cast<double>(words[3]);
  state.digest = std::bit_cast<uint64_t>(words[4]);
  if (state.digest != digest) {
    return BadInput(path,
                    "it was trained on other dumps or with other options than --epochs and "
                    "--patience",
                    "give the same, or another --out");
  }
  if (state.epochs < 0 || state.steps < 0 || state.best_epoch < 0 ||
      state.best_epoch > state.epochs || !(state.best_auc >= -1.0 && state.best_auc <= 1.0)) {
    return BadInput(path, "its training.state is impossible", "the file is damaged: train again");
  }
  TIERSCOPE_ASSIGN_OR_RETURN(state.best, ReadCheckpoint(*source, {}));
  for (const Part& part : kParts) {
    for (const LayerWeights& layer : state.best) {
      TIERSCOPE_ASSIGN_OR_RETURN(
          LayerWeights read,
          ReadLayer(*source, tensors, PartPrefix(part.name, layer.csa_layer), layer.csa_layer));
      if (read.shape != layer.shape) {
        return BadInput(path, absl::StrCat("its training.", part.name, " differs in shape"),
                        "the file is damaged: train again");
      }
      (state.*part.layers).push_back(std::move(read));
    }
  }
  return state;
}

}  // namespace tierscope
