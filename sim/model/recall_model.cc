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

// Pieces that `layers` layers of a page are moved in.
int64_t PiecesOfPage(const Scenario& scenario, int64_t layers) {
  const Policy& policy = scenario.policy();
  const bool by_entry =
      policy.recall_path() == Policy::STAGED && policy.staged_pieces() == Policy::PER_ENTRY;
  if (by_entry) return scenario.model().page_entries() * layers;
  return policy.layout() == Policy::PAGE_MAJOR ? 1 : layers;
}

int64_t KeyPieces(const Scenario& scenario) {
  if (!scenario.policy().index_key_offload()) return 0;
  const int64_t layers = NonTargetLayers(scenario.model());
  return layers > 0 ? PiecesOfPage(scenario, layers) : 0;
}

// A rank's share of its switch, and no more than the card's link.
int64_t LinkRateMax(const Scenario& scenario) {
  const Node& node = scenario.node();
  const int64_t ranks_of_switch =
      std::clamp<int64_t>(node.gpus_per_switch(), 1, RanksOfNode(scenario));
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
      kv_bytes_(PageBytes(scenario.model())),
      entry_bytes_(scenario.model().kv_entry_bytes()),
      kv_pieces_(PiecesOfPage(scenario, scenario.model().csa_layers())),
      key_pieces_(KeyPieces(scenario)),
      hbm_bytes_per_s_(scenario.hardware().hbm_bytes_per_s()),
      host_gather_bytes_per_s_(scenario.node().host_gather_bytes_per_s()),
      gather_bytes_per_s_(GatherRate(scenario)),
      pageable_bytes_per_s_(
          static_cast<double>(scenario.hardware().host_link().pageable_bytes_per_s())),
      submit_s_(scenario.hardware().host_link().copy_submit_us() * 1e-6),
      link_bytes_per_s_max_(LinkRateMax(scenario)) {}

// One batch; each byte at the rate of pieces of its size among so many descriptors.
int64_t RecallModel::CopyRate(int64_t pages) const {
  const int64_t pieces = pages * (kv_pieces_ + key_pieces_);
  const double kv_rate = link_model_.BatchedCopyRate(kv_bytes_ / kv_pieces_, pieces);
  if (key_pieces_ == 0) return static_cast<int64_t>(kv_rate);
  const int64_t key_bytes = page_bytes_ - kv_bytes_;
  const double key_rate = link_model_.BatchedCopyRate(key_bytes / key_pieces_, pieces);
  const double seconds_of_page =
      static_cast<double>(kv_bytes_) / kv_rate + static_cast<double>(key_bytes) / key_rate;
  return static_cast<int64_t>(static_cast<double>(page_bytes_) / seconds_of_page);
}

int64_t RecallModel::StagedRate(int64_t bytes, int64_t pieces) const {
  const auto all = static_cast<double>(bytes);
  const double seconds = static_cast<double>(pieces) * submit_s_ + all / pageable_bytes_per_s_;
  return static_cast<int64_t>(all / seconds);
}

RecallWork RecallModel::OfEntries(int64_t entries) const {
  RecallWork work;
  work.bytes = entries * entry_bytes_;
  work.hbm_bytes = work.bytes;
  work.link_bytes_per_s_max =
      std::max<int64_t>(1, std::min(gather_bytes_per_s_, link_bytes_per_s_max_));
  work.occupies_sms = true;
  return work;
}

RecallWork RecallModel::Of(int64_t pages) const {
  RecallWork work;
  work.bytes = pages * page_bytes_;
  work.hbm_bytes = work.bytes;
  int64_t rate = 0;
  switch (path_) {
    case Policy::COPY_ENGINE:
      rate = CopyRate(pages);
      break;
    case Policy::STAGED:
      rate = StagedRate(work.bytes, pages * (kv_pieces_ + key_pieces_));
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
