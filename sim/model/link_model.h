// Rate of a batched host-to-device copy, from a measured table.
//
// Inside the table: linear in log(piece) and log(descriptors) of log(rate). Fewer or more
// descriptors than the table holds: its nearest row. Pieces beyond the last one: each descriptor
// costs what it costs at that piece over the wire time at peak, so rate = piece / (overhead + piece
// / peak); the H100 table obeys this from 24 KiB on (README.md beside this file). Pieces under the
// first one: the time of the first piece.
#ifndef TIERSCOPE_SIM_MODEL_LINK_MODEL_H_
#define TIERSCOPE_SIM_MODEL_LINK_MODEL_H_

#include <cstdint>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/base/time.h"

namespace tierscope {

class LinkModel {
 public:
  // The link is resolved and valid; without a table every copy runs at peak.
  explicit LinkModel(const Link& link);

  // Bytes per second of one call that copies `descriptors` pieces of `piece_bytes` (both >= 1).
  double BatchedCopyRate(int64_t piece_bytes, int64_t descriptors) const;

 private:
  struct Point {
    double piece;
    double rate;
  };
  struct Row {
    double descriptors;
    std::vector<Point> points;  // by rising piece
  };
  double RowRate(const Row& row, double piece) const;

  double peak_;
  std::vector<Row> rows_;  // by rising descriptors
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_LINK_MODEL_H_
