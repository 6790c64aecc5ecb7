// Step and level-1 times from ops that were measured one by one on a device (OpTable of
// scenarios/calibration.proto), in the place of rooflines and fitted kernels.
//
//   us(x, batch)  linear between the grid's points in the logarithms of x, batch and us, exact at a
//                 point; outside the grid along its last two points, which Covers() tells
//   step          BALLAST(batch) + ENGINE(batch) + csa_layers * (NATIVE_SCORE(active) +
//                 NATIVE_TOP_K(active) + CSA_ATTENTION(min(active, top_k) + window))
//                 + hca_layers * HCA_ATTENTION(context / hca_tokens_per_entry + window)
//                 + swa_layers * CSA_ATTENTION(window)
//   level 1       SCORE(entries) + SELECT(pages) + PUBLISH(pages)
//
// A request of the batch counts with the batch's mean. Immutable; thread-safe.
#ifndef TIERSCOPE_SIM_MODEL_MEASURED_OPS_H_
#define TIERSCOPE_SIM_MODEL_MEASURED_OPS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/model/step_work.h"

namespace tierscope {

// One table, ready to be looked up.
class OpCurve {
 public:
  OpCurve() = default;
  // Precondition: a whole grid (scenarios/validate_measured_ops.cc).
  explicit OpCurve(const OpTable& table);

  bool empty() const { return us_.empty(); }
  // 0 where there is nothing to do or no table.
  double Ns(double x, double batch) const;
  // Whether (x, batch) lies inside the grid, or there is nothing to do. An axis of one value covers
  // all.
  bool Covers(double x, double batch) const;

 private:
  std::vector<double> x_, batch_;  // logarithms, rising
  std::vector<double> us_;         // logarithms, [batch][x]
};

class MeasuredOpModel {
 public:
  // The scenario is resolved and valid and has hardware.measured_ops.
  explicit MeasuredOpModel(const Scenario& scenario);

  StepParts Step(const BatchWork& work) const;
  Level1Parts Level1(const Level1Work& work) const;
  double PublishNs(double pages, double requests) const;

  // Whether every op of the step, or of the job, lies inside its grid.
  bool Covers(const BatchWork& work) const;
  bool Covers(const Level1Work& work) const;

 private:
  // What each op of a step sees of one request.
  struct StepPoints {
    double requests, active, csa, hca;
  };
  StepPoints PointsOf(const BatchWork& work) const;
  const OpCurve& Of(OpTable::Op op) const { return curves_[static_cast<size_t>(op)]; }

  std::array<OpCurve, OpTable::Op_ARRAYSIZE> curves_;
  double csa_layers_, hca_layers_, swa_layers_;
  double top_k_, window_, hca_entries_per_token_, page_entries_, tile_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_MEASURED_OPS_H_
