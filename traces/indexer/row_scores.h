// Scores of all keys of a dump at some of its rows, as codes.
#ifndef TIERSCOPE_TRACES_INDEXER_ROW_SCORES_H_
#define TIERSCOPE_TRACES_INDEXER_ROW_SCORES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"

#include "traces/indexer/hidden_dump.h"
#include "traces/indexer/indexer_forward.h"

namespace tierscope {

// OK when the weights fit the dump: its layers, hidden size and head_dim. Error: what differs.
absl::Status CheckBelongTogether(const HiddenDump& dump, std::span<const LayerWeights> layers);

// How many rows ScoreRows should get at a time: codes and queries of a chunk stay below 128 MiB.
int64_t ChunkRows(const HiddenDump& dump, const IndexerShape& shape, size_t layer_count);

// codes[layer][row][key]: of each layer, or where `best_only` of the best one alone
// ([1][row][key]). Keys behind scorable(row) get codes too, which mean nothing. Threads share the
// keys; the result does not depend on how many. Memory: the codes, a query of each row and layer,
// and 64 keys a thread; keys are read from the dump. Errors: the disk, a key that holds a NaN.
// Precondition: CheckBelongTogether was OK.
absl::Status ScoreRows(const HiddenDump& dump, std::span<const LayerWeights> layers,
                       std::span<const int64_t> rows, float logit_offset, bool best_only,
                       std::vector<uint8_t>* codes);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_ROW_SCORES_H_
