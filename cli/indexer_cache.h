// What the memory indexer's scores of an attention trace are worth (traces/indexer_quality.h),
// counted once a trace and window and kept in the cache folder: a pass over the trace costs more
// than the simulation it stands beside.
#ifndef TIERSCOPE_CLI_INDEXER_CACHE_H_
#define TIERSCOPE_CLI_INDEXER_CACHE_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "traces/indexer_quality.h"

namespace tierscope::cli {

// The counts as text, and back; nothing where the text is not whole.
std::string IndexerCountsText(const std::vector<IndexerQualityCounts>& profiles);
std::optional<std::vector<IndexerQualityCounts>> ParseIndexerCounts(absl::string_view text);

// The counts of the trace at `path` with the digest `digest`, in windows of `window_steps`, from
// `folder` or counted and left there. A file that is damaged is counted anew, a folder that cannot
// be written is no error. Errors: those of CountIndexerQuality.
absl::StatusOr<std::vector<IndexerQualityCounts>> IndexerCountsOf(
    const std::string& path, const std::string& digest, int32_t window_steps,
    const std::filesystem::path& folder);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_INDEXER_CACHE_H_
