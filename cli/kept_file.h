// Files of the cache folder that save work and that nothing depends on: what cannot be read is
// made again, what cannot be written is not kept.
#ifndef TIERSCOPE_CLI_KEPT_FILE_H_
#define TIERSCOPE_CLI_KEPT_FILE_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace tierscope::cli {

inline constexpr int64_t kKeptBytesMax = int64_t{64} << 20;

// The whole file; nothing where there is none, or one above kKeptBytesMax.
std::optional<std::string> ReadKept(const std::filesystem::path& path);
// Makes the folder where it is missing. Nothing above kKeptBytesMax is kept.
void Keep(const std::filesystem::path& path, absl::string_view bytes);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_KEPT_FILE_H_
