#include "traces/indexer/indexer_forward.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "tbb/blocked_range.h"
#include "tbb/parallel_for.h"

#include "kernels/cpu_vector.h"
#include "kernels/fp8.h"
#include "sim/base/det_math.h"

namespace tierscope {
namespace {

constexpr int kLanes = 16;

float DotInLanes(const float* row, const float* x, int columns) {
  float lanes[kLanes] = {};
  int c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    for (int i = 0; i < kLanes; ++i) lanes[i] += row[c + i] * x[c + i];
  }
  for (int i = 0; c + i < columns; ++i) lanes[i] += row[c + i] * x[c + i];
  float sum = 0.0f;
  for (const float lane : lanes) sum += lane;
  return sum;
}

template <typename Real>
void HadamardOf(std::span<Real> x) {
  const size_t size = x.size();
  for (size_t half = 1; half < size; half *= 2) {
    for (size_t block = 0; block < size; block += 2 * half) {
      for (size_t i = block; i < block + half; ++i) {
        const Real a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
  const auto scale = static_cast<Real>(1.0 / std::sqrt(static_cast<double>(size)));
  for (Real& value : x) value *= scale;
}

const std::array<float, 256>& E4m3Values() {
  static const std::array<float, 256> values = [] {
    std::array<float, 256> table;
    for (uint32_t code = 0; code < 256; ++code) table[code] = E4m3ToFloat(code);
    return table;
  }();
  return values;
}

bool IsE4m3Nan(uint8_t code) { return (code & 0x7F) == 0x7F; }

}  // namespace

void MultiplyRows(std::span<const float> matrix, int columns, std::span<const float> inputs,
                  std::span<float> out) {
  const auto width = static_cast<size_t>(columns);
  const size_t rows = matrix.size() / width;
  const size_t batch = inputs.size() / width;
  tbb::parallel_for(tbb::blocked_range<size_t>(0, rows, 64), [&](const auto& range) {
    for (size_t row = range.begin(); row < range.end(); ++row) {
      for (size_t b = 0; b < batch; ++b) {
        out[b * rows + row] =
            DotInLanes(matrix.data() + row * width, inputs.data() + b * width, columns);
      }
    }
  });
}

void RmsNorm(std::span<const float> gain, std::span<float> x) {
  const float squares = DotInLanes(x.data(), x.data(), static_cast<int>(x.size()));
  const float norm = std::sqrt(squares / static_cast<float>(x.size()) + kRmsEpsilon);
  for (size_t i = 0; i < x.size(); ++i) x[i] = x[i] / norm * gain[i];
}

void Hadamard(std::span<float> x) { HadamardOf(x); }
void Hadamard(std::span<double> x) { HadamardOf(x); }

float QuantizeHead(std::span<const float> x, std::span<uint8_t> codes) {
  float largest = 1e-12f;
  for (const float value : x) largest = std::max(largest, value < 0.0f ? -value : value);
  const float scale = largest / kE4m3Max;
  for (size_t i = 0; i < x.size(); ++i) codes[i] = FloatToE4m3(x[i] / scale);
  return scale;
}

float HeadWeightScale(const IndexerShape& shape) {
  return static_cast<float>(1.0 /
                            std::sqrt(static_cast<double>(shape.head_dim) * double(shape.heads)));
}

std::vector<IndexerQuery> MakeQueries(const LayerWeights& weights, std::span<const float> hidden,
                                      std::span<const int64_t> positions) {
  const IndexerShape& shape = weights.shape;
  const auto rank = static_cast<size_t>(shape.rank), heads = static_cast<size_t>(shape.heads);
  const auto dim = static_cast<size_t>(shape.head_dim);
  const size_t ticks = positions.size();
  std::vector<float> low(ticks * rank), queries(ticks * heads * dim), head_weights(ticks * heads);
  MultiplyRows(weights.wq_a, shape.hidden, hidden, low);
  for (size_t t = 0; t < ticks; ++t)
    RmsNorm(weights.q_norm, std::span(low).subspan(t * rank, rank));
  MultiplyRows(weights.wq_b, shape.rank, low, queries);
  MultiplyRows(weights.weights_proj, shape.hidden, hidden, head_weights);
  const std::vector<double> frequencies = YarnFrequencies(shape.rope_dims(), YarnParameters());
  const float weight_scale = HeadWeightScale(shape);
  std::vector<IndexerQuery> made(ticks);
  tbb::parallel_for(size_t{0}, ticks, [&](size_t t) {
    const Rotation rotation(frequencies, positions[t]);
    made[t].codes.resize(heads * dim);
    for (size_t h = 0; h < heads; ++h) {
      const std::span<float> head = std::span(queries).subspan((t * heads + h) * dim, dim);
      rotation.RotateBf16(head);
      Hadamard(head);
      const float scale = QuantizeHead(head, std::span(made[t].codes).subspan(h * dim, dim));
      made[t].head_weights.push_back(head_weights[t * heads + h] * weight_scale * scale);
    }
  });
  return made;
}

uint8_t ScoreCode(float logit) {
  if (std::isnan(logit)) return 0;
  const double scaled = 256.0 * DetSigmoid(double{logit});
  return static_cast<uint8_t>(scaled >= 255.0 ? 255.0 : scaled);
}

bool IsWholeKey(std::span<const uint8_t> key) {
  const size_t dim = key.size() - kKeyScaleBytes;
  float scale;
  std::memcpy(&scale, key.data() + dim, sizeof scale);
  return std::isfinite(scale) && scale >= 0.0f &&
         std::none_of(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(dim), IsE4m3Nan);
}

KeyTile::KeyTile(int head_dim)
    : head_dim_(head_dim),
      columns_(static_cast<size_t>(head_dim * kKeysMax)),
      scales_(kKeysMax),
      heads_(static_cast<size_t>(head_dim * kCpuHeads)),
      dots_(static_cast<size_t>(kCpuHeads * kKeysMax)) {
  static_assert(kKeysMax == kCpuTile);
}

int KeyTile::Load(std::span<const uint8_t> keys, int count) {
  const auto& values = E4m3Values();
  const auto dim = static_cast<size_t>(head_dim_);
  std::fill(columns_.begin(), columns_.end(), 0.0f);
  std::fill(scales_.begin(), scales_.end(), 0.0f);
  for (int key = 0; key < count; ++key) {
    const uint8_t* row = keys.data() + static_cast<size_t>(key) * (dim + kKeyScaleBytes);
    if (!IsWholeKey({row, dim + kKeyScaleBytes})) return key;
    for (size_t d = 0; d < dim; ++d) {
      columns_[d * kKeysMax + static_cast<size_t>(key)] = values[row[d]];
    }
    std::memcpy(&scales_[static_cast<size_t>(key)], row + dim, sizeof(float));
  }
  return -1;
}

void KeyTile::Score(const IndexerQuery& query, float logit_offset, std::span<float> logits) {
  const auto& values = E4m3Values();
  const auto dim = static_cast<size_t>(head_dim_);
  const size_t heads = query.head_weights.size();
  std::fill(logits.begin(), logits.end(), 0.0f);
  for (size_t first = 0; first < heads; first += kCpuHeads) {
    const size_t together = std::min<size_t>(kCpuHeads, heads - first);
    std::fill(heads_.begin(), heads_.end(), 0.0f);
    for (size_t i = 0; i < together * dim; ++i) heads_[i] = values[query.codes[first * dim + i]];
    DotTile(heads_.data(), head_dim_, columns_.data(), head_dim_, dots_.data());
    for (size_t h = 0; h < together; ++h) {
      AddRelu(dots_.data() + h * kKeysMax, query.head_weights[first + h], logits.data());
    }
  }
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = logits[i] * scales_[i] + logit_offset;
}

}  // namespace tierscope
