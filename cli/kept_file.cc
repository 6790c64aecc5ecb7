#include "cli/kept_file.h"

#include <fstream>
#include <system_error>

#include "reports/atomic_file.h"

namespace tierscope::cli {

std::optional<std::string> ReadKept(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > static_cast<uintmax_t>(kKeptBytesMax)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string bytes(size, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!file) return std::nullopt;
  return bytes;
}

void Keep(const std::filesystem::path& path, absl::string_view bytes) {
  if (bytes.size() > static_cast<size_t>(kKeptBytesMax)) return;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (!error) WriteFileAtomically(path.string(), bytes).IgnoreError();
}

}  // namespace tierscope::cli
