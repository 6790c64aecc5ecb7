// Files for the tests of traces/indexer: tensors by name, a dump small enough to work out by hand.
#ifndef TIERSCOPE_TESTS_TRACES_INDEXER_INDEXER_TESTING_H_
#define TIERSCOPE_TESTS_TRACES_INDEXER_INDEXER_TESTING_H_

#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "traces/indexer/checkpoint.h"
#include "traces/indexer/float_tensor.h"

namespace tierscope::testing {

struct TensorText {
  std::string dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};
using Tensors = std::map<std::string, TensorText>;

template <typename T>
std::string TextOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

inline std::string WriteTensors(const Tensors& tensors, const std::string& path) {
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : tensors) {
    views.push_back({name, tensor.dtype, tensor.shape, tensor.bytes});
  }
  EXPECT_TRUE(WriteSafetensors(views, path).ok());
  return path;
}

inline LayerWeights DrawWeights(int csa_layer, const IndexerShape& s) {
  Rng rng(11, uint64_t(csa_layer));
  const auto draw = [&rng](int64_t count) {
    std::vector<float> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(float(rng.NextNormal()));
    return values;
  };
  return {csa_layer,
          s,
          draw(s.rank * s.hidden),
          draw(s.rank),
          draw(s.query_values() * s.rank),
          draw(s.heads * s.hidden)};
}

// The tensors of a checkpoint.
inline Tensors CheckpointTensors(const std::vector<LayerWeights>& layers) {
  Tensors tensors;
  for (const LayerWeights& layer : layers) {
    std::vector<TensorView> views;
    AppendViews(layer, LayerPrefix(layer.csa_layer), &views);
    for (const TensorView& view : views) {
      tensors[view.name] = {view.dtype, view.shape, std::string(view.bytes)};
    }
  }
  return tensors;
}

// Rows of tokens first_position, + 1, ...; random states and keys.
inline Tensors DumpTensors(const std::vector<int>& layers, const IndexerShape& s, int64_t rows,
                           int64_t first_position, int64_t entries) {
  Tensors tensors;
  std::vector<int64_t> positions;
  for (int64_t row = 0; row < rows; ++row) positions.push_back(first_position + row);
  for (const int layer : layers) {
    Rng rng(12, uint64_t(layer));
    std::vector<float> hidden;
    for (int64_t i = 0; i < rows * s.hidden; ++i) hidden.push_back(float(rng.NextNormal()));
    std::string keys;
    for (int64_t entry = 0; entry < entries; ++entry) {
      std::vector<float> key;
      for (int d = 0; d < s.head_dim; ++d) key.push_back(float(rng.NextNormal()));
      std::vector<uint8_t> codes(key.size());
      const float scale = QuantizeHead(key, codes);
      keys += TextOf(codes) + TextOf(std::vector<float>{scale});
    }
    const std::string l = std::to_string(layer);
    tensors["hidden_layer_" + l] = {"F32", {rows, s.hidden}, TextOf(hidden)};
    tensors["compk_layer_" + l] = {"U8", {entries, s.head_dim + 4}, keys};
    tensors["positions_layer_" + l] = {"I64", {rows}, TextOf(positions)};
  }
  return tensors;
}

// Golden entries by row, three votes each.
inline void AddLabels(const std::vector<std::vector<int32_t>>& rows, Tensors* tensors) {
  std::vector<int64_t> pointers = {0};
  std::vector<int32_t> entries;
  for (const std::vector<int32_t>& row : rows) {
    entries.insert(entries.end(), row.begin(), row.end());
    pointers.push_back(int64_t(entries.size()));
  }
  const auto count = int64_t(entries.size());
  (*tensors)["label_pointers"] = {"I64", {int64_t(pointers.size())}, TextOf(pointers)};
  (*tensors)["label_indices"] = {"I32", {count}, TextOf(entries)};
  (*tensors)["label_scores"] = {"I32", {count}, TextOf(std::vector<int32_t>(entries.size(), 3))};
}

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TRACES_INDEXER_INDEXER_TESTING_H_
