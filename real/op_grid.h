// Which points the ops of a device are measured at. A reconciled scenario never stands on one of
// them (calibration/device_profile.h checks it).
#ifndef TIERSCOPE_REAL_OP_GRID_H_
#define TIERSCOPE_REAL_OP_GRID_H_

#include <cstdint>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/base/units.h"
#include "sim/model/attention_tiles.h"

namespace tierscope {

// Attention is measured at multiples of it, which are whole tiles of every backend's kernels.
inline constexpr double kGridTile = 64.0;

// Axes as OpTable has them, rising.
struct OpGrid {
  std::vector<double> batches;            // of the ops of a step
  std::vector<double> job_batches;        // of the ops of level 1
  std::vector<double> active_entries;     // native score, native top-k
  std::vector<double> csa_attended;       // window included
  std::vector<double> hca_attended;       // window included
  std::vector<double> history_entries;    // level-1 score; its pages for select
  std::vector<int64_t> pages_copied;      // pages of one recall or writeback
  int64_t device_copy_bytes = 64 * kMiB;  // of the copy that tells the device's bandwidth
};

// For 1 to 8 requests of up to 60K tokens with 4 to 64 active pages, attention in whole tiles. The
// points lie beside what round numbers of a scenario come to.
inline OpGrid DefaultOpGrid(const Model& model) {
  OpGrid grid;
  grid.batches = {1, 2, 3, 4, 5, 6, 8};  // odd ones do not fill all threads
  grid.job_batches = {1, 4};
  grid.active_entries = {224, 480, 992, 2016, 4064};
  // From the window alone, which is all that an SWA layer reads. What top_k comes to is no point.
  const double window = InWholeTiles(model.window_tokens(), kGridTile);
  const double chosen = InWholeTiles(model.window_tokens() + model.top_k(), kGridTile) - window;
  grid.csa_attended = {window, window + chosen + kGridTile, window + 2 * chosen + kGridTile};
  for (const double tiles : {0.0, 4.0, 6.0, 11.0}) {
    grid.hca_attended.push_back(window + tiles * kGridTile);
  }
  for (const double tokens : {3840.0, 15360.0, 61440.0}) {
    grid.history_entries.push_back(tokens / model.csa_tokens_per_entry());
  }
  grid.pages_copied = {1, 2, 4, 8, 16, 32, 64};
  return grid;
}

// For 1 to 64 requests of up to 270K tokens with 8 to 200 active pages on a GPU; the points lie
// beside what round numbers of a scenario come to, as above.
inline OpGrid GpuOpGrid(const Model& model) {
  OpGrid grid = DefaultOpGrid(model);
  grid.batches = {1, 3, 7, 13, 25, 37, 49, 64};
  grid.job_batches = {1, 5, 17, 64};
  grid.active_entries = {480, 992, 2016, 4064, 6624, 9184, 12768};
  const double window = InWholeTiles(model.window_tokens(), kGridTile);
  grid.hca_attended.clear();
  for (const double tiles : {0.0, 5.0, 11.0, 21.0, 35.0}) {
    grid.hca_attended.push_back(window + tiles * kGridTile);
  }
  grid.history_entries.clear();
  for (const double tokens : {15360.0, 61440.0, 122880.0, 276480.0}) {
    grid.history_entries.push_back(tokens / model.csa_tokens_per_entry());
  }
  grid.pages_copied = {1, 2, 4, 8, 16, 32, 64, 128, 512};
  return grid;
}

// Values of x of an op's table, and of batch.
inline std::vector<double> AxisOf(OpTable::Op op, const OpGrid& grid, int32_t page_entries) {
  switch (op) {
    case OpTable::NATIVE_SCORE:
    case OpTable::NATIVE_TOP_K:
      return grid.active_entries;
    case OpTable::CSA_ATTENTION:
      return grid.csa_attended;
    case OpTable::HCA_ATTENTION:
      return grid.hca_attended;
    case OpTable::SCORE:
      return grid.history_entries;
    case OpTable::SELECT: {
      std::vector<double> pages = grid.history_entries;
      for (double& x : pages) x /= page_entries;
      return pages;
    }
    case OpTable::GRAPH_LAUNCH:
      return {16.0, 64.0, 256.0};
    default:
      return {1.0};
  }
}

inline std::vector<double> BatchesOf(OpTable::Op op, const OpGrid& grid) {
  switch (op) {
    case OpTable::SCORE:
    case OpTable::SELECT:
      return grid.job_batches;
    case OpTable::LAUNCH:
    case OpTable::GRAPH_LAUNCH:
      return {1.0};
    default:
      return grid.batches;
  }
}

// Timed one by one; the host's ops (PUBLISH, ENGINE, LAUNCH, GRAPH_LAUNCH) in other ways.
inline constexpr OpTable::Op kMeasuredOps[] = {
    OpTable::BALLAST,       OpTable::NATIVE_SCORE, OpTable::NATIVE_TOP_K, OpTable::CSA_ATTENTION,
    OpTable::HCA_ATTENTION, OpTable::SCORE,        OpTable::SELECT};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_OP_GRID_H_
