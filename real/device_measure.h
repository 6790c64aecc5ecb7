// Measures a device op by op and writes it down as the Hardware that the simulator reads: tables of
// measured ops, the copy curve of the host link, bandwidths, and how much a step and the side-band
// slow each other. Isolated ops only, never steps: what is reconciled later is not looked at here.
//
// Samples are taken in rounds over all points, so that a disturbance of the machine spreads over
// them instead of bending one curve; a point is the median of its rounds, and its spread stands
// beside it. Cost: rounds x the sum of all points, some seconds each on two cores.
#ifndef TIERSCOPE_REAL_DEVICE_MEASURE_H_
#define TIERSCOPE_REAL_DEVICE_MEASURE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"

#include "real/backend.h"
#include "real/op_grid.h"
#include "scenarios/scenario.pb.h"

namespace tierscope {

struct DeviceMeasureOptions {
  OpGrid grid;
  int32_t rounds = 11;  // at least 3
  // Called before each round, from 0.
  std::function<void(int32_t round)> progress;
};

// `scenario` gives the model, the policy's page budget and the stride of ticks; of its hardware
// only what memory the loop's requests may take is read. The result has all but measured_ops.taken
// and .sha256. Errors: those of OpBench.
absl::StatusOr<Hardware> MeasureDevice(Backend* backend, const Scenario& scenario,
                                       const DeviceMeasureOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_DEVICE_MEASURE_H_
