// Structured synthetic content of a request: index keys, KV entries and queries, exogenous (nothing
// depends on what attention returns) and a pure function of (seed, profile, place). Topics give the
// scores structure: an entry belongs to a run of one topic, a few topics are relevant at a time and
// change as decoding goes on, and a query asks for the relevant ones. It stands for no model: it
// exercises kernels and policy with scores on both sides of a threshold.
//
//   key   = 2 topic + 1.5 common + noise             per layer, entries of 64 a page
//   query = sum over relevant topics weight topic + noise, for the first half of the heads
//           common + noise                               for the other half, weighted negatively
//   logit = about 8 (weight of the entry's topic - 1/2)
//
// Immutable once made; any thread may read.
#ifndef TIERSCOPE_REAL_CONTENT_H_
#define TIERSCOPE_REAL_CONTENT_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/index_score.h"
#include "kernels/paged.h"

namespace tierscope {

struct ContentShape {
  uint64_t seed = 1;
  int32_t profile = 0;
  int32_t csa_layers = 0;
  int32_t target_layers = 0;  // the first ones; kMemoryLayers
  int64_t entry_count = 0;    // of the history at its end
  int64_t prompt_entries = 0;
  int32_t tokens_per_entry = 4;
  int32_t step_count = 0;          // steps 0 .. step_count have queries
  int32_t tick_stride_steps = 16;  // ticks stand behind its multiples
};

// A query of `heads` heads as a kernel takes it.
struct IndexQuery {
  const uint8_t* codes = nullptr;  // [heads][128] e4m3
  const float* weights = nullptr;  // [heads]
};

class RequestContent {
 public:
  explicit RequestContent(const ContentShape& shape);

  int32_t profile() const { return shape_.profile; }
  // One index key: 128 codes and its scale.
  void IndexKey(int32_t layer, int64_t entry, uint8_t* codes, float* scale) const;
  // Level 2 of a CSA layer at a step.
  IndexQuery NativeQuery(int32_t step, int32_t layer) const;
  // Level 1 of a target layer at the tick behind a step: what is relevant there, and some of what
  // will be in the next 16 steps. `step` is a multiple of the tick stride.
  IndexQuery MemoryQuery(int32_t step, int32_t target_layer) const;

  // Most bytes of the queries that an object of this shape keeps.
  static int64_t QueryBytesMax(const ContentShape& shape);

 private:
  // Weight of every topic from a step on.
  struct Relevance {
    int32_t step = 0;
    std::vector<float> weights;  // [topic]
  };

  void DrawTopics();
  void DrawEntries();
  void DrawRelevance();
  void FillNativeQueries();
  void FillMemoryQueries();
  const Relevance& At(int32_t step) const;
  void FillQuery(std::span<const float> weights, int32_t layer, int32_t heads, uint64_t stream,
                 uint8_t* codes) const;
  uint64_t Stream(uint64_t purpose, uint64_t index) const;

  ContentShape shape_;
  std::vector<float> topics_;          // [layer][topic][128]
  std::vector<float> common_;          // [layer][128]
  std::vector<uint8_t> entry_topic_;   // [entry]
  std::vector<Relevance> relevance_;   // by rising step
  std::vector<int32_t> relevance_of_;  // [step] index of the one that holds there
  std::vector<uint8_t> native_;        // [relevance][variant][layer][64][128]
  std::vector<uint8_t> memory_;        // [tick][target layer][128][128]
  std::vector<float> native_weights_;  // [64]
  std::vector<float> memory_weights_;  // [128]
};

// Fills one KV entry, 576 B of values and 8 B of scales: finite, of the order of 1, and different
// for every (seed, profile, pool, layer, entry).
struct KvEntryPlace {
  uint64_t seed = 1;
  int32_t profile = 0;
  int32_t pool = 0;  // CSA, HCA or window
  int32_t layer = 0;
  int64_t entry = 0;
};
void FillKvEntry(const KvEntryPlace& place, uint8_t* values, uint8_t* scales);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CONTENT_H_
