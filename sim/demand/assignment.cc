#include "sim/demand/assignment.h"

#include <algorithm>
#include <map>

#include "sim/base/check.h"

namespace tierscope {

ProfileAssigner::ProfileAssigner(const WindowDemand& demand, uint64_t seed, bool random_offset)
    : demand_(demand), rng_(seed, /*stream=*/0x61737369), random_offset_(random_offset) {
  std::map<int64_t, std::vector<int32_t>> by_prompt;
  for (size_t i = 0; i < demand.profiles.size(); ++i) {
    by_prompt[demand.profiles[i].prompt_tokens].push_back(static_cast<int32_t>(i));
  }
  for (auto& [prompt_tokens, profiles] : by_prompt) {
    groups_.push_back({prompt_tokens, std::move(profiles)});
  }
  TIERSCOPE_CHECK(!groups_.empty());
}

const ProfileAssigner::Group& ProfileAssigner::Nearest(int64_t context_tokens) const {
  const auto above = std::lower_bound(
      groups_.begin(), groups_.end(), context_tokens,
      [](const Group& group, int64_t tokens) { return group.prompt_tokens < tokens; });
  if (above == groups_.begin()) return *above;
  const auto below = std::prev(above);
  if (above == groups_.end()) return *below;
  const bool below_nearer =
      context_tokens - below->prompt_tokens <= above->prompt_tokens - context_tokens;
  return below_nearer ? *below : *above;
}

ProfileStart ProfileAssigner::Assign(int64_t context_tokens, int64_t steps) {
  const Group& group = Nearest(context_tokens);
  const int32_t profile = group.profiles[rng_.NextBelow(group.profiles.size())];
  const int32_t first = demand_.first_start;
  if (!random_offset_) return {ProfileId{profile}, first};
  const ProfileDemand& demand = demand_.profiles[static_cast<size_t>(profile)];
  const int64_t room = demand.step_count() - steps;
  const int64_t positions = room >= 0 ? room / demand.stride_steps + 1 : demand.position_count;
  const int64_t bound = std::min<int64_t>(positions, demand.position_count);
  const auto starts = static_cast<uint64_t>(std::max<int64_t>(1, bound - first));
  return {ProfileId{profile}, first + static_cast<int32_t>(rng_.NextBelow(starts))};
}

}  // namespace tierscope
