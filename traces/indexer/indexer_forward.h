// The memory indexer's arithmetic, stage by stage, in float: a hidden state and its position become
// one fp8 query a head with a weight each, and a query and a compressed key become a logit.
//
//   a = wq_a h;  n = rms_norm(a) * q_norm;  q = wq_b n               one vector of head_dim a head
//   q = hadamard(rope(bf16 q));  q8 = e4m3(q / s_q), s_q = max |q| / 448 of each head
//   w = (weights_proj h) * head_dim^-1/2 * heads^-1/2 * s_q          one a head
//   logit = k_scale * sum_h w[h] relu(q8[h] . k8) + offset;  score = sigmoid(logit)
//
// Source: FlashMemory, sglang/.../retriever_hook_impl.py (compute_q_fp8) and training/inference.py.
// Sums run in one order whatever the CPU and the threads: the same bits on any x86-64.
#ifndef TIERSCOPE_TRACES_INDEXER_INDEXER_FORWARD_H_
#define TIERSCOPE_TRACES_INDEXER_INDEXER_FORWARD_H_

#include <cstdint>
#include <span>
#include <vector>

#include "traces/indexer/rope.h"

namespace tierscope {

inline constexpr float kRmsEpsilon = 1e-6f;
inline constexpr float kE4m3Max = 448.0f;
inline constexpr int kKeyScaleBytes = 4;  // behind the e4m3 values of a compressed key

struct IndexerShape {
  int hidden = 0;    // 4096 in V4-Flash
  int rank = 0;      // 1024; of the low-rank query
  int heads = 0;     // 128 in the published memory indexer, 64 in the native one
  int head_dim = 0;  // 128; a power of two

  int rope_dims() const { return head_dim / 2; }
  int query_values() const { return heads * head_dim; }
  bool operator==(const IndexerShape&) const = default;
};

// One target layer's weights, row-major.
struct LayerWeights {
  int csa_layer = 0;
  IndexerShape shape;
  std::vector<float> wq_a;          // [rank][hidden]
  std::vector<float> q_norm;        // [rank]
  std::vector<float> wq_b;          // [heads * head_dim][rank]
  std::vector<float> weights_proj;  // [heads][hidden]
};

// What scores the keys of one layer at one tick.
struct IndexerQuery {
  std::vector<uint8_t> codes;       // [heads][head_dim] e4m3
  std::vector<float> head_weights;  // [heads]
};

// out[b][row] = sum over columns of matrix[row][column] * inputs[b][column]. Sixteen partial sums
// by column modulo 16, then these in order: columns / 16 + 16 additions deep. Threads share rows.
void MultiplyRows(std::span<const float> matrix, int columns, std::span<const float> inputs,
                  std::span<float> out);

// x *= gain / sqrt(mean(x^2) + kRmsEpsilon).
void RmsNorm(std::span<const float> gain, std::span<float> x);

// Walsh-Hadamard transform scaled by 1 / sqrt(size), so that it is orthogonal and its own inverse.
// Precondition: the size is a power of two.
void Hadamard(std::span<float> x);
void Hadamard(std::span<double> x);

// e4m3 codes of x / scale; returns scale = max(max |x|, 1e-12) / 448.
float QuantizeHead(std::span<const float> x, std::span<uint8_t> codes);

// head_dim^-1/2 * heads^-1/2, the softmax and the head scale in one.
float HeadWeightScale(const IndexerShape& shape);

// All stages, for [tick][hidden] states at their positions.
std::vector<IndexerQuery> MakeQueries(const LayerWeights& weights, std::span<const float> hidden,
                                      std::span<const int64_t> positions);

// min(255, floor(256 * sigmoid(logit))); 0 for NaN. As kernels/score_code.h, without libm.
uint8_t ScoreCode(float logit);

// Whether a compressed key, [head_dim + 4] bytes, holds no NaN and its scale is finite and not
// negative.
bool IsWholeKey(std::span<const uint8_t> key);

// Scores up to 64 keys under many queries. One per thread: it holds the decoded keys.
class KeyTile {
 public:
  static constexpr int kKeysMax = 64;

  explicit KeyTile(int head_dim);

  // Takes `keys` [count][head_dim + 4] bytes, as a dump holds them: e4m3 values, a float scale.
  // Returns the first key that is not whole, else -1.
  int Load(std::span<const uint8_t> keys, int count);

  // logits [kKeysMax]; those at and behind `count` mean nothing.
  void Score(const IndexerQuery& query, float logit_offset, std::span<float> logits);

 private:
  int head_dim_;
  std::vector<float> columns_;  // [head_dim][kKeysMax]
  std::vector<float> scales_;   // [kKeysMax]
  std::vector<float> heads_;    // queries of a few heads, decoded
  std::vector<float> dots_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_INDEXER_FORWARD_H_
