#include "traces/indexer/checkpoint.h"

#include <algorithm>
#include <bit>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

absl::Status InRange(absl::string_view what, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " = ", value, ", expected ", least, " to ", most));
}

const Tensor* FindTensor(const std::vector<Tensor>& tensors, const std::string& name) {
  for (const Tensor& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

// L of "retrievers.lL.", or -1.
int LayerOfName(absl::string_view name) {
  int layer = -1;
  if (!absl::ConsumePrefix(&name, "retrievers.l")) return -1;
  name = name.substr(0, name.find('.'));
  const bool is_number = absl::SimpleAtoi(name, &layer) && name == absl::StrCat(layer);
  return is_number && layer < kLayerCountMax ? layer : -1;
}

absl::Status NoLayers(const ByteSource& source, const std::vector<Tensor>& tensors) {
  std::vector<std::string> some;
  for (size_t i = 0; i < std::min<size_t>(tensors.size(), 3); ++i) some.push_back(tensors[i].name);
  return BadInput(source.name(),
                  absl::StrCat("no tensor retrievers.lL.wq_a.weight; it holds ",
                               some.empty() ? "nothing" : absl::StrJoin(some, ", ")),
                  "give a checkpoint of a memory indexer, its tensors named by CSA layer");
}

class LayerReader {
 public:
  LayerReader(const ByteSource& source, const std::vector<Tensor>& tensors, std::string prefix)
      : source_(source), tensors_(tensors), prefix_(std::move(prefix)) {}

  // A checked tensor; its shape may have -1 for any length.
  absl::StatusOr<const Tensor*> Find(const std::string& name, std::vector<int64_t> shape) const {
    const Tensor* tensor = FindTensor(tensors_, prefix_ + name);
    if (tensor == nullptr) {
      return BadInput(source_.name(), absl::StrCat("tensor ", prefix_, name, " is missing"),
                      "give a whole checkpoint");
    }
    TIERSCOPE_RETURN_IF_ERROR(CheckFloatTensor(source_, *tensor, shape));
    return tensor;
  }

  absl::Status Read(const std::string& name, std::vector<int64_t> shape,
                    std::vector<float>* values) const {
    TIERSCOPE_ASSIGN_OR_RETURN(const Tensor* tensor, Find(name, std::move(shape)));
    values->resize(static_cast<size_t>(tensor->elements()));
    return ReadFloats(source_, *tensor, 0, *values);
  }

 private:
  const ByteSource& source_;
  const std::vector<Tensor>& tensors_;
  const std::string prefix_;
};

}  // namespace

absl::Status CheckShape(const IndexerShape& shape) {
  TIERSCOPE_RETURN_IF_ERROR(InRange("hidden", shape.hidden, 1, kHiddenMax));
  TIERSCOPE_RETURN_IF_ERROR(InRange("rank", shape.rank, 1, kRankMax));
  TIERSCOPE_RETURN_IF_ERROR(InRange("heads", shape.heads, 1, kHeadsMax));
  TIERSCOPE_RETURN_IF_ERROR(InRange("head_dim", shape.head_dim, 4, kHeadDimMax));
  if (std::has_single_bit(static_cast<unsigned>(shape.head_dim))) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("head_dim = ", shape.head_dim, ", expected a power of two"));
}

std::string LayerPrefix(int csa_layer) { return absl::StrCat("retrievers.l", csa_layer, "."); }

absl::StatusOr<LayerWeights> ReadLayer(const ByteSource& source, const std::vector<Tensor>& tensors,
                                       const std::string& prefix, int csa_layer) {
  const LayerReader reader(source, tensors, prefix);
  TIERSCOPE_ASSIGN_OR_RETURN(const Tensor* low, reader.Find("wq_a.weight", {-1, -1}));
  TIERSCOPE_ASSIGN_OR_RETURN(const Tensor* heads,
                             reader.Find("weights_proj.weight", {-1, low->shape[1]}));
  TIERSCOPE_ASSIGN_OR_RETURN(const Tensor* high, reader.Find("wq_b.weight", {-1, low->shape[0]}));
  const int64_t head_count = heads->shape[0], query_values = high->shape[0];
  TIERSCOPE_RETURN_IF_ERROR(
      At(source.name(), InRange(heads->name + ", heads", head_count, 1, kHeadsMax)));
  const auto clamp = [](int64_t size) {
    return static_cast<int>(std::min<int64_t>(size, 1 << 30));
  };
  LayerWeights weights;
  weights.csa_layer = csa_layer;
  weights.shape = {clamp(low->shape[1]), clamp(low->shape[0]), clamp(head_count),
                   clamp(query_values / head_count)};
  const absl::Status shape = query_values % head_count == 0
                                 ? CheckShape(weights.shape)
                                 : absl::InvalidArgumentError(absl::StrCat(
                                       query_values, " rows for ", head_count, " heads"));
  if (!shape.ok()) return At(absl::StrCat(source.name(), ": ", prefix, "wq_b.weight"), shape);
  const int64_t rank = low->shape[0], hidden = low->shape[1];
  TIERSCOPE_RETURN_IF_ERROR(reader.Read("wq_a.weight", {rank, hidden}, &weights.wq_a));
  TIERSCOPE_RETURN_IF_ERROR(reader.Read("q_norm_weight", {rank}, &weights.q_norm));
  TIERSCOPE_RETURN_IF_ERROR(reader.Read("wq_b.weight", {query_values, rank}, &weights.wq_b));
  TIERSCOPE_RETURN_IF_ERROR(
      reader.Read("weights_proj.weight", {head_count, hidden}, &weights.weights_proj));
  return weights;
}

absl::StatusOr<std::vector<LayerWeights>> ReadCheckpoint(const ByteSource& source,
                                                         const std::vector<int>& layers) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<Tensor> tensors, ReadSafetensorsHeader(source));
  std::set<int> found;
  for (const Tensor& tensor : tensors) {
    if (const int layer = LayerOfName(tensor.name); layer >= 0) found.insert(layer);
  }
  if (found.empty()) return NoLayers(source, tensors);
  const std::set<int> wanted = layers.empty() ? found : std::set<int>(layers.begin(), layers.end());
  std::vector<LayerWeights> read;
  for (const int layer : wanted) {
    if (found.count(layer) == 0) {
      return BadInput(source.name(),
                      absl::StrCat("no weights of layer ", layer, "; it has the layers ",
                                   absl::StrJoin(found, ", ")),
                      "name layers that it has");
    }
    TIERSCOPE_ASSIGN_OR_RETURN(read.emplace_back(),
                               ReadLayer(source, tensors, LayerPrefix(layer), layer));
    if (read.back().shape == read.front().shape) continue;
    return BadInput(source.name(),
                    absl::StrCat("layers ", read.front().csa_layer, " and ", layer,
                                 " differ in hidden size, rank, heads or head_dim"),
                    "score them one at a time");
  }
  return read;
}

void AppendViews(const LayerWeights& weights, const std::string& prefix,
                 std::vector<TensorView>* views) {
  const IndexerShape& s = weights.shape;
  views->push_back(FloatView(prefix + "wq_a.weight", {s.rank, s.hidden}, weights.wq_a));
  views->push_back(FloatView(prefix + "q_norm_weight", {s.rank}, weights.q_norm));
  views->push_back(FloatView(prefix + "wq_b.weight", {s.query_values(), s.rank}, weights.wq_b));
  views->push_back(
      FloatView(prefix + "weights_proj.weight", {s.heads, s.hidden}, weights.weights_proj));
}

absl::Status WriteCheckpoint(const std::vector<LayerWeights>& layers, const std::string& path) {
  std::vector<TensorView> views;
  for (const LayerWeights& layer : layers) AppendViews(layer, LayerPrefix(layer.csa_layer), &views);
  return WriteSafetensors(views, path);
}

}  // namespace tierscope
