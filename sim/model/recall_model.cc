#include "sim/model/recall_model.h"

#include <algorithm>

#include "sim/base/units.h"
#include "sim/model/footprint.h"

namespace tierscope {
namespace {

constexpr int32_t kGatherAlignment = 64;

int64_t GatherRate(const Scenario& scenario) {
  const Link& link = scenario.hardware().host_link();
  const bool aligned = scenario.policy().gather_item_bytes() % kGatherAlignment == 0;
  const double factor = aligned ? 1.0 : link.gather_unaligned_factor();
  return static_cast<int64_t>(factor * static_cast<double>(link.gather_bytes_per_s()));
}

// Pieces of a page that are moved one by one.
int64_t PiecesOfPage(const Scenario& scenario) {
  const Model& model = scenario.model();
  const Policy& policy = scenario.policy();
  const bool by_entry =
      policy.recall_path() == Policy::STAGED && policy.staged_pieces() == Policy::PER_ENTRY;
  if (by_entry) return int64_t{model.page_entries()} * model.csa_layers();
  return policy.layout() == Policy::PAGE_MAJOR ? 1 : model.csa_layers();
}

// A rank's share of its switch, and no more than the card's link.
int64_t LinkRateMax(const Scenario& scenario) {
  const Node& node = scenario.node();
  const int64_t ranks_of_switch =
      std::clamp<int64_t>(node.gpus_per_switch(), 1, RanksThatShare(scenario.engine()));
  return std::min(scenario.hardware().host_link().peak_bytes_per_s(),
                  node.switch_bytes_per_s() / ranks_of_switch);
}

}  // namespace

SimDuration RecallWork::Alone(int64_t dram_bytes_per_s) const {
  SimDuration alone = scatter;
  if (host_bytes > 0) {
    alone += TransferDuration(host_bytes, std::min(host_bytes_per_s_max, dram_bytes_per_s));
  }
  return alone + TransferDuration(bytes, std::min(link_bytes_per_s_max, dram_bytes_per_s));
}

RecallModel::RecallModel(const Scenario& scenario)
    : link_model_(scenario.hardware().host_link()),
      path_(scenario.policy().recall_path()),
      by_entry_(scenario.policy().staged_pieces() == Policy::PER_ENTRY),
      page_bytes_(PageMirrorBytes(scenario.model(), scenario.policy())),
      page_pieces_(PiecesOfPage(scenario)),
      hbm_bytes_per_s_(scenario.hardware().hbm_bytes_per_s()),
      host_gather_bytes_per_s_(scenario.node().host_gather_bytes_per_s()),
      gather_bytes_per_s_(GatherRate(scenario)),
      pageable_bytes_per_s_(
          static_cast<double>(scenario.hardware().host_link().pageable_bytes_per_s())),
      submit_s_(scenario.hardware().host_link().copy_submit_us() * 1e-6),
      link_bytes_per_s_max_(LinkRateMax(scenario)) {}

int64_t RecallModel::StagedRate(int64_t bytes, int64_t pieces) const {
  const auto all = static_cast<double>(bytes);
  const double seconds = static_cast<double>(pieces) * submit_s_ + all / pageable_bytes_per_s_;
  return static_cast<int64_t>(all / seconds);
}

RecallWork RecallModel::Of(int64_t pages) const {
  RecallWork work;
  work.bytes = pages * page_bytes_;
  work.hbm_bytes = work.bytes;
  const int64_t pieces = pages * page_pieces_;
  int64_t rate = 0;
  switch (path_) {
    case Policy::COPY_ENGINE:
      rate = static_cast<int64_t>(link_model_.BatchedCopyRate(page_bytes_ / page_pieces_, pieces));
      break;
    case Policy::STAGED:
      rate = StagedRate(work.bytes, pieces);
      if (by_entry_) break;
      work.host_bytes = 2 * work.bytes;
      work.host_bytes_per_s_max = 2 * host_gather_bytes_per_s_;
      work.scatter = TransferDuration(2 * work.bytes, hbm_bytes_per_s_);
      work.hbm_bytes = 3 * work.bytes;
      break;
    case Policy::GATHER_KERNEL:
      rate = gather_bytes_per_s_;
      work.occupies_sms = true;
      break;
  }
  work.link_bytes_per_s_max = std::max<int64_t>(1, std::min(rate, link_bytes_per_s_max_));
  return work;
}

}  // namespace tierscope
