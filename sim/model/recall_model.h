// Time of one recall on an otherwise idle node, by the path that the pages take to HBM. B = bytes
// of the recall, of one rank; every rate is also bound by the rank's share of its PCIe switch.
//
//   COPY_ENGINE    link: B at the measured rate of a batched copy (link_model.h), a descriptor a
//                  piece: a page where the mirror is page-major, a page of one layer where it is
//                  layer-major. What the CPU takes to submit is inside the measured curve.
//   STAGED         in series: a CPU gathers into a pageable buffer (reads and writes host DRAM: 2 B
//                  at 2 x host_gather_bytes_per_s); link: pieces x copy_submit_us + B /
//                  pageable_bytes_per_s; the GPU scatters (reads and writes HBM: 2 B). Cut into
//                  entries, each is copied by itself, without gather and scatter.
//   GATHER_KERNEL  link: B at gather_bytes_per_s, times gather_unaligned_factor where an item is no
//                  multiple of 64 B. Threads address items one by one, so there are no descriptors
//                  and the layout of the mirror does not matter. The kernel occupies SMs all along.
#ifndef TIERSCOPE_SIM_MODEL_RECALL_MODEL_H_
#define TIERSCOPE_SIM_MODEL_RECALL_MODEL_H_

#include <cstdint>

#include "scenarios/scenario.pb.h"
#include "sim/base/time.h"
#include "sim/model/link_model.h"

namespace tierscope {

// What a recall asks of host DRAM, link and GPU, one after the other.
struct RecallWork {
  int64_t bytes = 0;
  int64_t host_bytes = 0;  // CPU gather: DRAM bytes read and written; 0 = none
  int64_t host_bytes_per_s_max = 0;
  int64_t link_bytes_per_s_max = 0;
  SimDuration scatter;        // on the GPU, after the last byte
  int64_t hbm_bytes = 0;      // read and written in HBM, which decode feels
  bool occupies_sms = false;  // as long as the link is busy
  // All of it, where the rank has `dram_bytes_per_s` of host DRAM to itself.
  SimDuration Alone(int64_t dram_bytes_per_s) const;
};

// Ranks among which host bandwidth and switches are shared.
inline int32_t RanksThatShare(const Engine& engine) {
  return engine.executed_ranks() == 1 ? 1 : engine.tensor_parallel();
}

class RecallModel {
 public:
  // The scenario is resolved and valid.
  explicit RecallModel(const Scenario& scenario);

  // Of `pages` >= 1 pages. Cost: a few dozen flops.
  RecallWork Of(int64_t pages) const;

 private:
  int64_t StagedRate(int64_t bytes, int64_t pieces) const;

  LinkModel link_model_;
  Policy::RecallPath path_;
  bool by_entry_;
  int64_t page_bytes_;
  int64_t page_pieces_;
  int64_t hbm_bytes_per_s_;
  int64_t host_gather_bytes_per_s_;
  int64_t gather_bytes_per_s_;
  double pageable_bytes_per_s_;
  double submit_s_;
  int64_t link_bytes_per_s_max_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_RECALL_MODEL_H_
