// Rows 9, 10 and 11: what FlashMemory published of its side-band and its recall, against runs of
// scenarios/h20_flashmemory.txtpb and its recall model.
#ifndef TIERSCOPE_CLI_VALIDATE_FLASHMEMORY_H_
#define TIERSCOPE_CLI_VALIDATE_FLASHMEMORY_H_

#include <vector>

#include "absl/status/status.h"
#include "cli/published_row.h"

namespace tierscope::cli {

// Simulates four short runs; their attention trace is generated once and kept. Errors: no cache
// folder that can be written.
absl::Status AddFlashMemoryRows(std::vector<PublishedRow>* rows);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_VALIDATE_FLASHMEMORY_H_
