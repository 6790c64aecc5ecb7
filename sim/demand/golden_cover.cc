#include "sim/demand/golden_cover.h"

#include "sim/policy/page_selection.h"

namespace tierscope {

GoldenCover CoverGolden(const std::vector<IndexerQualityCounts>& profiles,
                        const WindowDemand& demand) {
  GoldenCover cover;
  for (size_t i = 0; i < profiles.size() && i < demand.profiles.size(); ++i) {
    const ProfileDemand& profile = demand.profiles[i];
    for (const IndexerQualityCounts::GoldenWindow& window : profiles[i].golden_lists) {
      const int32_t position = window.tick_step / profile.stride_steps;
      if (position >= profile.position_count) continue;
      const PageIndex formed = profile.formed_page[static_cast<size_t>(position)];
      cover.golden += static_cast<int64_t>(window.entries.size());
      for (const uint32_t entry : window.entries) {
        const auto page = static_cast<PageIndex>(entry / kPageEntries);
        cover.active += page >= formed || profile.Wants(position, page) ? 1 : 0;
      }
    }
  }
  return cover;
}

}  // namespace tierscope
