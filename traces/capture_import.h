// Indexer top-k captures: int32 [tokens, layers, topk], the entries that the native indexer of each
// layer took for each token, in any order, unused slots -1 at the end. SGLang returns them under
// `return_indexer_topk`, vLLM under --enable-return-indexer-topk (PR 49555).
//
// Row r is the token at position prompt_start_tokens + r; decode step s is the token at position
// prompt_tokens + s. Rows of the prompt are skipped unread.
#ifndef TIERSCOPE_TRACES_CAPTURE_IMPORT_H_
#define TIERSCOPE_TRACES_CAPTURE_IMPORT_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "traces/byte_source.h"
#include "traces/container.h"
#include "traces/entry_set.h"
#include "traces/import.h"
#include "traces/npy_file.h"

namespace tierscope {

// What one capture is: how its source is called in messages and how long its prompt was.
struct CaptureInfo {
  int64_t prompt_tokens = 0;
  int64_t prompt_start_tokens = 0;
  std::string recorded_with;
};

// Writes profiles from captures, one each. Memory: a block of rows and two bits an entry.
class CaptureImporter {
 public:
  CaptureImporter(const ImportOptions& options, ContainerWriter* writer, ImportResult* result)
      : options_(options), writer_(writer), result_(result) {}

  absl::Status Import(const ByteSource& source, const TopkArray& array, const CaptureInfo& info,
                      ImportProgress* progress);

 private:
  absl::StatusOr<ProfileHeader> HeaderOf(const ByteSource& source, const TopkArray& array,
                                         const CaptureInfo& info);
  absl::Status ImportStep(const ByteSource& source, const TopkArray& array, int32_t step,
                          int64_t row_offset, const int32_t* values);
  absl::Status SortRow(std::span<const int32_t> row, int64_t history_entries, std::string* what);

  const ImportOptions& options_;
  ContainerWriter* writer_;
  ImportResult* result_;
  ProfileHeader header_;
  EntrySet members_{0};
  std::vector<uint32_t> entries_;  // of the row, rising
  std::vector<int32_t> block_;
  TraceRecord record_;
};

// `files` are .npy captures, one request each.
absl::Status ImportTopkCaptures(const std::vector<std::string>& files, const ImportOptions& options,
                                ContainerWriter* writer, ImportResult* result);

// Error unless the options say how many tokens an entry holds.
absl::Status CheckTokensPerEntry(const ImportOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_CAPTURE_IMPORT_H_
