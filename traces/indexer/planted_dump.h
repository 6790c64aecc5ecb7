// A synthetic dump whose labels a known indexer made: to try `tierscope indexer` without a model,
// and to test that training finds what was planted. It says nothing of any model.
//
// Per row a latent state, slowly changing, and per entry a fixed one, of variance 1 around a mean;
// hidden states and keys are random linear images of them, one a layer, plus noise, the keys turned
// to their entry's position, transformed and rounded as an engine's are. The planted indexer has
// random heads whose weights vary around a positive mean, and one that is its threshold: it sees
// the mean of the keys and has a negative weight, scaled so that over document 0 a layer scores
// golden_share / layers of the entries above 0.5. The golden entries of a row are those that any
// layer scores above 0.5, by the arithmetic of indexer_forward.h: the planted indexer's recall and
// precision at 0.5 are 1. Rows are a window apart.
//
// Why not the best share of each row: logits have no constant term, so such labels no indexer can
// give by a threshold on its score, and training by cross-entropy leaves even the planted weights.
#ifndef TIERSCOPE_TRACES_INDEXER_PLANTED_DUMP_H_
#define TIERSCOPE_TRACES_INDEXER_PLANTED_DUMP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "traces/indexer/indexer_forward.h"

namespace tierscope {

struct PlantedOptions {
  std::vector<int> layers = {10, 12, 20};
  IndexerShape shape = {64, 16, 4, 16};
  int64_t prompt_tokens = 2048;
  int32_t rows = 256;
  int32_t row_stride_steps = 64;
  int32_t tokens_per_entry = 4;
  int32_t latent = 8;        // dimensions of the latent states
  double persistence = 0.8;  // of a row's latent state in the next one
  double noise = 0.1;        // of hidden states and keys, against their latent part
  double golden_share = 0.03;
  uint64_t document = 0;  // others have other states and keys, and the same indexer
  uint64_t seed = 1;
};

// Writes the dump to `dump_path` and, where a path is given, the planted indexer to
// `checkpoint_path`. Memory: about ten times the dump. Errors: sizes outside their limits, the
// disk.
absl::Status WritePlantedDump(const PlantedOptions& options, const std::string& dump_path,
                              const std::string& checkpoint_path);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_PLANTED_DUMP_H_
