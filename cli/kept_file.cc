#include "cli/kept_file.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <system_error>
#include <tuple>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

#include "reports/atomic_file.h"

namespace tierscope::cli {
namespace {

constexpr std::chrono::hours kRecent(1);

constexpr size_t kDigestDigits = 16;

// Whether the name is `begin`, perhaps something else, a digest and `end`.
bool HasDigest(absl::string_view name, absl::string_view begin, absl::string_view end) {
  if (!absl::ConsumePrefix(&name, begin) || !absl::ConsumeSuffix(&name, end)) return false;
  if (name.size() < kDigestDigits) return false;
  const absl::string_view digits = name.substr(name.size() - kDigestDigits);
  return std::all_of(digits.begin(), digits.end(), [](char c) { return absl::ascii_isxdigit(c); });
}

bool IsKept(const std::string& name) {
  return HasDigest(name, "demand-", ".bin") || HasDigest(name, "indexer-", ".txt");
}
bool IsGenerated(const std::string& name) { return HasDigest(name, "attention-", ".trace"); }

struct KeptFile {
  std::filesystem::file_time_type used;
  std::filesystem::path path;
  int64_t bytes = 0;
};

// Of the files of one folder those whose names this program gives.
void Collect(const std::filesystem::path& folder, bool (*ours)(const std::string&),
             std::vector<KeptFile>* files) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;
    if (!ours(it->path().filename().string()) || !it->is_regular_file(gone)) continue;
    KeptFile file;
    file.path = it->path();
    file.bytes = static_cast<int64_t>(it->file_size(gone));
    file.used = it->last_write_time(gone);
    if (!gone) files->push_back(std::move(file));
  }
}

int64_t CacheBytesMax() {
  const char* gib = std::getenv("TIERSCOPE_CACHE_GIB");
  double value = 0.0;
  if (gib == nullptr) return kCacheBytesMax;
  if (!absl::SimpleAtod(gib, &value) || !(value >= 0.0 && value < 1e6)) {
    std::fprintf(stderr, "tierscope: TIERSCOPE_CACHE_GIB is no number of 0 to 1e6; 4 is taken\n");
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
  std::vector<KeptFile> files;
  Collect(folder, IsKept, &files);
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;
    if (it->is_directory(gone) && HasDigest(it->path().filename().string(), "generator-", "")) {
      Collect(it->path(), IsGenerated, &files);
    }
  }
  std::sort(files.begin(), files.end(), [](const KeptFile& a, const KeptFile& b) {
    return std::tie(a.used, a.path) < std::tie(b.used, b.path);
  });
  int64_t bytes = 0;
  for (const KeptFile& file : files) bytes += file.bytes;
  static const int64_t most = CacheBytesMax();  // which complains once
  const auto recent = std::filesystem::file_time_type::clock::now() - kRecent;
  for (const KeptFile& file : files) {
    if (bytes <= most || file.used > recent) return;
    std::error_code gone;
    if (std::filesystem::remove(file.path, gone)) bytes -= file.bytes;
  }
}

}  // namespace tierscope::cli
