#include "sim/engine/coverage_tally.h"

#include <algorithm>
#include <array>

#include "sim/base/units.h"

namespace tierscope {
namespace {

size_t PositionOfPage(const ProfileDemand& demand, int64_t page) {
  if (page >= demand.prompt_page_count) return CoverageGrid::kPromptParts;
  return static_cast<size_t>(page * CoverageGrid::kPromptParts / demand.prompt_page_count);
}

size_t CellOf(const CoverageGrid& grid, int64_t lag, size_t position) {
  return static_cast<size_t>(lag / grid.lags_per_group) * CoverageGrid::kPositions + position;
}

using Positions = std::array<int64_t, CoverageGrid::kPositions>;

// Selections of sub-window `at` by position; those whose page tick `tick` left inactive.
void CountSubWindow(const ProfileDemand& demand, int32_t tick, int32_t at, bool published,
                    Positions& all, Positions& missed) {
  const auto window = static_cast<size_t>(at);
  const auto wanted = demand.WantList(tick);
  const PageIndex formed = demand.formed_page[static_cast<size_t>(tick)];
  auto want = wanted.begin();
  for (uint32_t i = demand.touched_begin[window]; i < demand.touched_begin[window + 1]; ++i) {
    const PageIndex page = demand.touched_pages[i];
    const size_t position = PositionOfPage(demand, page);
    all[position] += demand.touched_selections[i];
    while (want != wanted.end() && *want < page) ++want;  // both rise
    const bool active = page >= formed || (want != wanted.end() && *want == page);
    if (!published || !active) missed[position] += demand.touched_selections[i];
  }
}

}  // namespace

CoverageTally::Profile& CoverageTally::Of(const ProfileDemand& demand) {
  for (Profile& profile : profiles_) {
    if (profile.demand == &demand) return profile;
  }
  Profile& profile = profiles_.emplace_back();
  profile.demand = &demand;
  const auto lags = static_cast<size_t>(demand.lag_count);
  const size_t ticks = static_cast<size_t>(demand.position_count) * lags;
  profile.published.resize(ticks);
  profile.unpublished.resize(ticks);
  profile.lost.resize(lags * CoverageGrid::kPositions);
  return profile;
}

void CoverageTally::AddSteps(const ProfileDemand& demand, int32_t position, bool published,
                             int64_t from, int64_t to) {
  Profile& profile = Of(demand);
  std::vector<int64_t>& counted = published ? profile.published : profile.unpublished;
  const int64_t stride = demand.stride_steps;
  const auto row = static_cast<size_t>(position) * static_cast<size_t>(demand.lag_count);
  while (from < to) {
    const int64_t lag = from / stride;
    const int64_t until = std::min(to, (lag + 1) * stride);
    counted[row + static_cast<size_t>(lag)] += until - from;
    from = until;
  }
}

void CoverageTally::AddLost(const ProfileDemand& demand, int64_t lag, PageIndex page,
                            int64_t missed) {
  Of(demand)
      .lost[static_cast<size_t>(lag) * CoverageGrid::kPositions + PositionOfPage(demand, page)] +=
      missed;
}

void CoverageTally::Clear() { profiles_.clear(); }

void CoverageTally::SumTicks(const Profile& profile, bool published, CoverageGrid& grid) {
  const ProfileDemand& demand = *profile.demand;
  const std::vector<int64_t>& counted = published ? profile.published : profile.unpublished;
  const int64_t stride = demand.stride_steps;
  for (int32_t tick = 0; tick < demand.position_count; ++tick) {
    for (int32_t lag = 0; lag < demand.lag_count; ++lag) {
      const int64_t steps =
          counted[static_cast<size_t>(tick) * static_cast<size_t>(demand.lag_count) +
                  static_cast<size_t>(lag)];
      if (steps == 0) continue;
      Positions all{}, missed{};
      CountSubWindow(demand, tick, (tick + lag) % demand.position_count, published, all, missed);
      if (published) {  // entries formed since, in the page that was open at the tick
        const int64_t open = (demand.prompt_tokens + tick * stride + 1) / demand.tokens_per_page;
        missed[PositionOfPage(demand, open)] +=
            (demand.Late(tick, (lag + 1) * stride) - demand.Late(tick, lag * stride)).all / stride;
      }
      for (size_t position = 0; position < all.size(); ++position) {
        grid.all[CellOf(grid, lag, position)] += all[position] * steps;
        grid.missed[CellOf(grid, lag, position)] += missed[position] * steps;
      }
    }
  }
}

CoverageGrid CoverageTally::Sum() const {
  CoverageGrid grid;
  int64_t lags = 0;
  for (const Profile& profile : profiles_) {
    lags = std::max<int64_t>(lags, profile.demand->lag_count);
    grid.stride_steps = profile.demand->stride_steps;
  }
  if (lags == 0) return grid;
  grid.lags_per_group = static_cast<int32_t>(CeilDiv(lags, CoverageGrid::kLagGroupsMax));
  const auto groups = static_cast<size_t>(CeilDiv(lags, grid.lags_per_group));
  grid.all.resize(groups * CoverageGrid::kPositions);
  grid.missed.resize(grid.all.size());
  for (const Profile& profile : profiles_) {
    SumTicks(profile, true, grid);
    SumTicks(profile, false, grid);
    for (int64_t lag = 0; lag < profile.demand->lag_count; ++lag) {
      for (size_t position = 0; position < CoverageGrid::kPositions; ++position) {
        grid.missed[CellOf(grid, lag, position)] +=
            profile.lost[static_cast<size_t>(lag) * CoverageGrid::kPositions + position];
      }
    }
  }
  return grid;
}

}  // namespace tierscope
