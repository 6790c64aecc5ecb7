// Responses of a serving engine that carry an indexer top-k capture in base64: one JSON document or
// a list of them, or one a line.
//   vLLM (PR 49555): choices[].indexer_topk is an .npy, usage.prompt_tokens its prompt.
//   SGLang: meta_info.indexer_topk is raw int32 [tokens, layers, topk]; meta_info.prompt_tokens and
//   completion_tokens beside it, the layers in indexer_topk_num_layers where the build says them.
//
// Memory: a response and its decoded captures; a response may have 1 GiB. Save larger captures as
// .npy, which is streamed.
#ifndef TIERSCOPE_TRACES_RESPONSE_IMPORT_H_
#define TIERSCOPE_TRACES_RESPONSE_IMPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "traces/container.h"
#include "traces/import.h"

namespace tierscope {

// Each capture of each response becomes a profile. What a response does not say of its prompt,
// layers and top-k comes from the options. Errors name file and line.
absl::Status ImportTopkResponses(const std::vector<std::string>& files,
                                 const ImportOptions& options, ContainerWriter* writer,
                                 ImportResult* result);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_RESPONSE_IMPORT_H_
