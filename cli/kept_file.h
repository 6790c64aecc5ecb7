// Files of the cache folder that save work and that nothing depends on: what cannot be read is
// made again, what cannot be written is not kept. The folder is bounded: whoever adds a file
// removes those that were not used for longest.
#ifndef TIERSCOPE_CLI_KEPT_FILE_H_
#define TIERSCOPE_CLI_KEPT_FILE_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace tierscope::cli {

inline constexpr int64_t kKeptBytesMax = int64_t{64} << 20;

// Of all kept files together; $TIERSCOPE_CACHE_GIB, a number, changes it.
inline constexpr int64_t kCacheBytesMax = int64_t{4} << 30;

// The whole file; nothing where there is none, or one above kKeptBytesMax.
std::optional<std::string> ReadKept(const std::filesystem::path& path);
// Makes the folder where it is missing. Nothing above kKeptBytesMax is kept.
void Keep(const std::filesystem::path& path, absl::string_view bytes);
// The file counts as used now.
void MarkUsed(const std::filesystem::path& path);
// Removes the files that were used longest ago, until the folder's are within the bound. Only files
// with names that this program gives (demand-DIGEST.bin, indexer-DIGEST.txt,
// generator-DIGEST/attention-*-DIGEST.trace), and none that was used in the last hour: somebody may
// be about to read it.
void PruneKept(const std::filesystem::path& folder);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_KEPT_FILE_H_
