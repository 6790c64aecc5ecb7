// FlashMemory's training dumps (doc_*.pkl, made safe by traces/python): golden entries per
// position.
//   label_pointers [T + 1] integers, label_indices and label_scores [label_pointers[T]]: row t
//   holds the golden entries of position t and how many layers voted for each; positions_layer_L
//   [T]: which tokens the rows are; all layers alike. compk_layer_L and hidden_layer_L are for
//   scoring and not read here.
//
// A trace of them holds labels only: no selections, so no coverage, and no scores, so no threshold.
// Memory: a block of labels, 16 bytes a row.
#ifndef TIERSCOPE_TRACES_LABEL_IMPORT_H_
#define TIERSCOPE_TRACES_LABEL_IMPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "traces/container.h"
#include "traces/import.h"

namespace tierscope {

// Each file becomes a profile whose ticks are its rows. Errors: a tensor missing or of another type
// or shape, positions that do not rise evenly, pointers that fall, votes that are no count of
// layers (NaN among them), entries outside the history.
absl::Status ImportLabelDumps(const std::vector<std::string>& files, const ImportOptions& options,
                              ContainerWriter* writer, ImportResult* result);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_LABEL_IMPORT_H_
