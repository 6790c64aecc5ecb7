#include "cli/sweep_shards.h"

#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "reports/atomic_file.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {

absl::StatusOr<Shard> ParseShard(const std::string& text) {
  Shard shard;
  const absl::string_view view(text);
  const size_t slash = view.find('/');
  const bool numbers = slash != absl::string_view::npos &&
                       absl::SimpleAtoi(view.substr(0, slash), &shard.index) &&
                       absl::SimpleAtoi(view.substr(slash + 1), &shard.count);
  if (numbers && shard.index >= 0 && shard.index < shard.count) return shard;
  return absl::InvalidArgumentError(
      absl::StrCat("--shard ", text, ": write i/n with 0 <= i < n, such as 0/16"));
}

std::vector<int64_t> PartOf(const std::vector<int64_t>& order, const Shard& shard) {
  const auto count = static_cast<__int128>(order.size());
  const auto begin = static_cast<ptrdiff_t>(count * shard.index / shard.count);
  const auto end = static_cast<ptrdiff_t>(count * (shard.index + 1) / shard.count);
  return {order.begin() + begin, order.begin() + end};
}

absl::Status WritePointList(const std::vector<int64_t>& order, const std::string& path) {
  AtomicFile file;
  TIERSCOPE_RETURN_IF_ERROR(file.Open(path));
  for (const int64_t point : order) file.Append(absl::StrCat(point, "\n"));
  return file.Commit();
}

absl::StatusOr<std::vector<int64_t>> ReadPointList(const std::string& path, int64_t point_count) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be opened; check --points"));
  std::vector<int64_t> order;
  for (std::string line; std::getline(file, line);) {
    int64_t point = -1;
    if (!absl::SimpleAtoi(line, &point) || point < 0 || point >= point_count) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", order.size() + 1, ": is no point of this sweep, which has ",
                       point_count, "; give the list that was made for it"));
    }
    order.push_back(point);
  }
  return order;
}

absl::StatusOr<int64_t> MergeShards(const std::vector<std::string>& files, ResultsStore& store) {
  int64_t added = 0;
  for (const std::string& file : files) {
    TIERSCOPE_ASSIGN_OR_RETURN(const ResultsStore shard, ResultsStore::OpenWhole(file));
    TIERSCOPE_ASSIGN_OR_RETURN(const int64_t rows, store.Merge(shard));
    added += rows;
  }
  return added;
}

}  // namespace tierscope::cli
