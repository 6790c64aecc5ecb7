// What the memory indexer's scores of an attention trace are worth (traces/indexer_quality.h),
// counted once a trace and window and kept in the cache folder: a pass over the trace costs more
// than the simulation it stands beside.
#ifndef TIERSCOPE_CLI_INDEXER_CACHE_H_
#define TIERSCOPE_CLI_INDEXER_CACHE_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "traces/indexer_quality.h"

namespace tierscope::cli {

// The counts as text, and back; nothing where the text is not whole or of another key.
std::string IndexerCountsText(const std::vector<IndexerQualityCounts>& profiles,
                              absl::string_view key);
std::optional<std::vector<IndexerQualityCounts>> ParseIndexerCounts(absl::string_view text,
                                                                    absl::string_view key);

// The counts of the trace at `path` with the digest `digest`, in windows of `window_steps`, from
// `folder` or counted and left there. A file that is damaged is counted anew, a folder that cannot
// be written is no error. Errors: those of CountIndexerQuality.
absl::StatusOr<std::vector<IndexerQualityCounts>> IndexerCountsOf(
    const std::string& path, const std::string& digest, int32_t window_steps,
    const std::filesystem::path& folder);

// Counts of several traces and windows for the points of a sweep, each found once and kept in
// memory. Threads may share it; whoever asks while another counts waits.
class IndexerPool {
 public:
  explicit IndexerPool(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // As IndexerCountsOf; lives as long as the pool.
  absl::StatusOr<const std::vector<IndexerQualityCounts>*> Get(const std::string& path,
                                                               const std::string& digest,
                                                               int32_t window_steps);

 private:
  std::filesystem::path folder_;
  std::mutex mutex_;
  std::map<std::pair<std::string, int32_t>, std::vector<IndexerQualityCounts>> counts_;
};

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_INDEXER_CACHE_H_
