// What a measured op has to do at a point of its grid: operations and bytes, so that a profile can
// be carried to another device by efficiencies (calibration/carry_profile.h).
#ifndef TIERSCOPE_REAL_OP_WORK_H_
#define TIERSCOPE_REAL_OP_WORK_H_

#include "scenarios/scenario.pb.h"

namespace tierscope {

struct OpWork {
  double flop = 0.0;   // a multiply-add counts as two
  double bytes = 0.0;  // of device memory, everything read once: weights, keys, entries, lists
};

// x and batch as the op's table has them. `weight_bytes_each`: of a weight of the ballast.
// Of the host's ops (kMeasuredOps of op_grid.h lacks them) nothing.
OpWork OpWorkOf(OpTable::Op op, double x, double batch, const Scenario& scenario,
                double weight_bytes_each);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_OP_WORK_H_
