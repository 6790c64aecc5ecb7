#include "sim/engine/router.h"

#include <algorithm>
#include <limits>

namespace tierscope {

Router::Router(const Engine& engine)
    : routing_(engine.routing()),
      replicas_(engine.replicas()),
      groups_(engine.dp_attention()),
      imbalance_requests_(engine.routing_imbalance_requests()),
      imbalance_factor_(engine.routing_imbalance_factor()) {}

GroupLoad Router::LoadOf(int32_t replica, absl::Span<const GroupLoad> groups) const {
  GroupLoad load;
  for (int32_t group = replica * groups_; group < (replica + 1) * groups_; ++group) {
    load.outstanding_tokens += groups[static_cast<size_t>(group)].outstanding_tokens;
    load.requests += groups[static_cast<size_t>(group)].requests;
  }
  return load;
}

int32_t Router::LeastLoadedOf(int32_t replica, absl::Span<const GroupLoad> groups) const {
  const auto begin = groups.begin() + replica * groups_;
  const auto least =
      std::min_element(begin, begin + groups_, [](const GroupLoad& a, const GroupLoad& b) {
        return a.outstanding_tokens < b.outstanding_tokens;
      });
  return static_cast<int32_t>(least - groups.begin());
}

int32_t Router::LeastLoaded(absl::Span<const GroupLoad> groups) const {
  int32_t best = 0;
  int64_t tokens = std::numeric_limits<int64_t>::max();
  for (int32_t replica = 0; replica < replicas_; ++replica) {
    const GroupLoad load = LoadOf(replica, groups);
    if (load.outstanding_tokens < tokens) best = replica, tokens = load.outstanding_tokens;
  }
  return LeastLoadedOf(best, groups);
}

bool Router::Balanced(absl::Span<const GroupLoad> groups) const {
  int64_t most = 0, fewest = std::numeric_limits<int64_t>::max();
  for (int32_t replica = 0; replica < replicas_; ++replica) {
    const int64_t requests = LoadOf(replica, groups).requests;
    most = std::max(most, requests);
    fewest = std::min(fewest, requests);
  }
  return most - fewest <= imbalance_requests_ ||
         static_cast<double>(most) <= imbalance_factor_ * static_cast<double>(fewest);
}

int32_t Router::Route(absl::Span<const GroupLoad> groups) {
  if (routing_ == Engine::ROUND_ROBIN) {
    const int32_t replica = turn_;
    turn_ = (turn_ + 1) % replicas_;
    return LeastLoadedOf(replica, groups);
  }
  if (routing_ == Engine::LEAST_LOADED || !Balanced(groups)) return LeastLoaded(groups);
  const auto holder =
      std::max_element(groups.begin(), groups.end(), [](const GroupLoad& a, const GroupLoad& b) {
        if (a.prefix_blocks != b.prefix_blocks) return a.prefix_blocks < b.prefix_blocks;
        return a.outstanding_tokens > b.outstanding_tokens;
      });
  if (holder->prefix_blocks == 0) return LeastLoaded(groups);
  return static_cast<int32_t>(holder - groups.begin());
}

}  // namespace tierscope
