// Which points the ops of a device are measured at. A reconciled scenario never stands on one of
// them (calibration/device_profile.h checks it).
#ifndef TIERSCOPE_REAL_OP_GRID_H_
#define TIERSCOPE_REAL_OP_GRID_H_

#include <cstdint>
#include <vector>

#include "scenarios/scenario.pb.h"

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

// For 1 to 8 requests of 4K to 60K tokens with 4 to 64 active pages. The points lie beside the
// round numbers that scenarios have.
inline OpGrid DefaultOpGrid(const Model& model) {
  const double window = model.window_tokens();
  OpGrid grid;
  grid.batches = {1, 2, 4, 8};
  grid.job_batches = {1, 4};
  grid.active_entries = {224, 480, 992, 2016, 4064};
  for (const double share : {0.25, 0.75, 1.25}) {
    grid.csa_attended.push_back(window + share * model.top_k());
  }
  for (const double tokens : {3840.0, 7680.0, 15360.0, 30720.0, 61440.0}) {
    grid.hca_attended.push_back(window + tokens / model.hca_tokens_per_entry());
  }
  for (const double tokens : {3840.0, 15360.0, 61440.0}) {
    grid.history_entries.push_back(tokens / model.csa_tokens_per_entry());
  }
  grid.pages_copied = {1, 2, 4, 8, 16, 32, 64};
  return grid;
}

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_OP_GRID_H_
