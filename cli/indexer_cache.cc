#include "cli/indexer_cache.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/kept_file.h"
#include "cli/source_digest.h"

#include "sim/base/digest.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

void AppendScores(const ScoreCounts& counts, std::string* text) {
  absl::StrAppend(text, counts.windows, " ", counts.floor_code);
  for (const int64_t count : counts.needed) absl::StrAppend(text, " ", count);
  for (const int64_t count : counts.other) absl::StrAppend(text, " ", count);
  text->push_back('\n');
}

// Takes whole numbers one by one; after the first that is missing, only zeros.
class Numbers {
 public:
  explicit Numbers(absl::string_view text)
      : words_(absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {}

  int64_t Next() {
    int64_t value = 0;
    good_ = good_ && at_ < words_.size() && absl::SimpleAtoi(words_[at_], &value);
    ++at_;
    return good_ ? value : 0;
  }
  // A count of things that each take `words_each` words that follow.
  size_t NextCount(size_t words_each) {
    const int64_t count = Next();
    const size_t left = at_ < words_.size() ? words_.size() - at_ : 0;
    good_ = good_ && count >= 0 && static_cast<uint64_t>(count) <= left / words_each;
    return good_ ? static_cast<size_t>(count) : 0;
  }
  bool whole() const { return good_ && at_ == words_.size(); }

 private:
  std::vector<absl::string_view> words_;
  size_t at_ = 0;
  bool good_ = true;
};

void ReadScores(Numbers& numbers, ScoreCounts* counts) {
  counts->windows = numbers.Next();
  counts->floor_code = static_cast<int>(numbers.Next());
  for (int64_t& count : counts->needed) count = numbers.Next();
  for (int64_t& count : counts->other) count = numbers.Next();
}

std::string Seal(absl::string_view key, absl::string_view text) {
  Digest digest;
  digest.Add(key);
  digest.Add(text);
  return digest.hex();
}

}  // namespace

// The seal, then a profile's counts in three lines and one for each of its windows.
std::string IndexerCountsText(const std::vector<IndexerQualityCounts>& profiles,
                              absl::string_view key) {
  std::string text = absl::StrCat(profiles.size(), "\n");
  for (const IndexerQualityCounts& profile : profiles) {
    AppendScores(profile.golden, &text);
    AppendScores(profile.selected, &text);
    absl::StrAppend(&text, profile.golden_windows, " ", profile.golden_entries, " ",
                    profile.golden_lists.size(), "\n");
    for (const IndexerQualityCounts::GoldenWindow& window : profile.golden_lists) {
      absl::StrAppend(&text, window.tick_step, " ", window.entries.size());
      for (const uint32_t entry : window.entries) absl::StrAppend(&text, " ", entry);
      text.push_back('\n');
    }
  }
  return absl::StrCat(Seal(key, text), "\n", text);
}

std::optional<std::vector<IndexerQualityCounts>> ParseIndexerCounts(absl::string_view text,
                                                                    absl::string_view key) {
  const size_t line_end = text.find('\n');
  if (line_end == absl::string_view::npos) return std::nullopt;
  const absl::string_view body = text.substr(line_end + 1);
  if (text.substr(0, line_end) != Seal(key, body)) return std::nullopt;
  Numbers numbers(body);
  std::vector<IndexerQualityCounts> profiles(numbers.NextCount(2 * (2 + 2 * ScoreCounts::kBins)));
  for (IndexerQualityCounts& profile : profiles) {
    ReadScores(numbers, &profile.golden);
    ReadScores(numbers, &profile.selected);
    profile.golden_windows = numbers.Next();
    profile.golden_entries = numbers.Next();
    profile.golden_lists.resize(numbers.NextCount(2));
    for (IndexerQualityCounts::GoldenWindow& window : profile.golden_lists) {
      window.tick_step = static_cast<int32_t>(numbers.Next());
      window.entries.resize(numbers.NextCount(1));
      for (uint32_t& entry : window.entries) entry = static_cast<uint32_t>(numbers.Next());
    }
  }
  if (!numbers.whole()) return std::nullopt;
  return profiles;
}

absl::StatusOr<std::vector<IndexerQualityCounts>> IndexerCountsOf(
    const std::string& path, const std::string& digest, int32_t window_steps,
    const std::filesystem::path& folder) {
  Digest key;
  key.Add(TIERSCOPE_SOURCE_DIGEST);  // of another version no file is found
  key.Add(digest);
  key.Add(static_cast<uint64_t>(window_steps));
  const std::filesystem::path kept = folder / absl::StrCat("indexer-", key.hex(), ".txt");
  if (const std::optional<std::string> text = ReadKept(kept)) {
    if (auto profiles = ParseIndexerCounts(*text, key.hex())) return *std::move(profiles);
  }
  IndexerQualityOptions options;
  options.window_steps = window_steps;
  TIERSCOPE_ASSIGN_OR_RETURN(std::vector<IndexerQualityCounts> profiles,
                             CountIndexerQuality(path, options));
  Keep(kept, IndexerCountsText(profiles, key.hex()));
  return profiles;
}

absl::StatusOr<const std::vector<IndexerQualityCounts>*> IndexerPool::Get(const std::string& path,
                                                                          const std::string& digest,
                                                                          int32_t window_steps) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto key = std::make_pair(digest, window_steps);
  const auto found = counts_.find(key);
  if (found != counts_.end()) return &found->second;
  TIERSCOPE_ASSIGN_OR_RETURN(std::vector<IndexerQualityCounts> counts,
                             IndexerCountsOf(path, digest, window_steps, folder_));
  return &counts_.emplace(key, std::move(counts)).first->second;
}

}  // namespace tierscope::cli
