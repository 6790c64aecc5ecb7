// Per-step selection logs: a line {"request_id","layer_id","step_idx","selected_token_pos":[...]}
// per request, layer and decode step, in any order; "prompt_tokens" may stand beside them.
// Positions are tokens: entry = position / tokens_per_entry, several positions of one entry count
// once. Layer ids are numbered from 0 in rising order.
//
// Two passes, the first without the positions. Memory: 32 bytes a line.
#ifndef TIERSCOPE_TRACES_STEP_IMPORT_H_
#define TIERSCOPE_TRACES_STEP_IMPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "traces/container.h"
#include "traces/import.h"

namespace tierscope {

// Each request of each file becomes a profile. Every step of a request needs every layer that its
// file names. Prompt lengths come from the lines, else from the options: one for all, or one a
// request in order of appearance. Errors name file and line.
absl::Status ImportStepLogs(const std::vector<std::string>& files, const ImportOptions& options,
                            ContainerWriter* writer, ImportResult* result);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_STEP_IMPORT_H_
