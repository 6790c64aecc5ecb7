#include "cli/kept_file.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <system_error>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

#include "reports/atomic_file.h"

namespace tierscope::cli {
namespace {

constexpr std::chrono::hours kRecent(1);

bool IsKept(const std::string& name) {
  return (absl::StartsWith(name, "attention-") && absl::EndsWith(name, ".trace")) ||
         (absl::StartsWith(name, "demand-") && absl::EndsWith(name, ".bin")) ||
         (absl::StartsWith(name, "indexer-") && absl::EndsWith(name, ".txt"));
}

int64_t CacheBytesMax() {
  const char* gib = std::getenv("TIERSCOPE_CACHE_GIB");
  double value = 0.0;
  if (gib == nullptr || !absl::SimpleAtod(gib, &value) || !(value >= 0.0 && value < 1e6)) {
    return kCacheBytesMax;
  }
  return static_cast<int64_t>(value * static_cast<double>(int64_t{1} << 30));
}

}  // namespace

std::optional<std::string> ReadKept(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > static_cast<uintmax_t>(kKeptBytesMax)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string bytes(size, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!file) return std::nullopt;
  MarkUsed(path);
  return bytes;
}

void Keep(const std::filesystem::path& path, absl::string_view bytes) {
  if (bytes.size() > static_cast<size_t>(kKeptBytesMax)) return;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error || !WriteFileAtomically(path.string(), bytes).ok()) return;
  PruneKept(path.parent_path());
}

void MarkUsed(const std::filesystem::path& path) {
  std::error_code ignored;  // of a folder that cannot be written nothing is removed either
  std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now(), ignored);
}

void PruneKept(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::tuple<std::filesystem::file_time_type, std::filesystem::path, int64_t>> files;
  int64_t bytes = 0;
  for (std::filesystem::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;
    if (!IsKept(it->path().filename().string()) || !it->is_regular_file(gone)) continue;
    const auto size = static_cast<int64_t>(it->file_size(gone));
    const auto used = it->last_write_time(gone);
    if (gone) continue;
    bytes += size;
    files.emplace_back(used, it->path(), size);
  }
  std::sort(files.begin(), files.end());
  const int64_t most = CacheBytesMax();
  const auto recent = std::filesystem::file_time_type::clock::now() - kRecent;
  for (const auto& [used, path, size] : files) {
    if (bytes <= most || used > recent) return;
    std::error_code gone;
    if (std::filesystem::remove(path, gone)) bytes -= size;
  }
}

}  // namespace tierscope::cli
