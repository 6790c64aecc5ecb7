// Which points the ops of a device are measured at. A reconciled scenario never stands on one of
// them (calibration/device_profile.h checks it).
#ifndef TIERSCOPE_REAL_OP_GRID_H_
#define TIERSCOPE_REAL_OP_GRID_H_

#include <cstdint>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/model/attention_tiles.h"

namespace tierscope {

// Axes as OpTable has them, rising.
struct OpGrid {
  std::vector<double> batches;          // of the ops of a step
  std::vector<double> job_batches;      // of the ops of level 1
  std::vector<double> active_entries;   // native score, native top-k
  std::vector<double> csa_attended;     // window included
  std::vector<double> hca_attended;     // window included
  std::vector<double> history_entries;  // level-1 score; its pages for select
  std::vector<int64_t> pages_copied;    // pages of one recall or writeback
};

// For 1 to 8 requests of up to 60K tokens with 4 to 64 active pages, attention in whole tiles. The
// points lie beside what round numbers of a scenario come to.
inline OpGrid DefaultOpGrid(const Model& model) {
  OpGrid grid;
  grid.batches = {1, 2, 3, 4, 5, 6, 8};  // odd ones do not fill all threads
  grid.job_batches = {1, 4};
  grid.active_entries = {224, 480, 992, 2016, 4064};
  // From the window alone, which is all that an SWA layer reads. What top_k comes to is no point.
  const double window = InWholeTiles(model.window_tokens());
  const double chosen = InWholeTiles(model.window_tokens() + model.top_k()) - window;
  grid.csa_attended = {window, window + chosen + kAttentionTile,
                       window + 2 * chosen + kAttentionTile};
  for (const double tiles : {0.0, 4.0, 6.0, 11.0}) {
    grid.hca_attended.push_back(window + tiles * kAttentionTile);
  }
  for (const double tokens : {3840.0, 15360.0, 61440.0}) {
    grid.history_entries.push_back(tokens / model.csa_tokens_per_entry());
  }
  grid.pages_copied = {1, 2, 4, 8, 16, 32, 64};
  return grid;
}

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_OP_GRID_H_
