// What a decode step and what runs beside it cost each other: hardware.measured_ops, or the factors
// of engine, by which a job is not slowed itself.
#ifndef TIERSCOPE_SIM_ENGINE_BESIDE_H_
#define TIERSCOPE_SIM_ENGINE_BESIDE_H_

#include <algorithm>

#include "scenarios/scenario.pb.h"

namespace tierscope {

// A step that has b to compute beside a job that goes on for r takes min(b, r / stretch) *
// lengthening longer; the job itself, or the copy, takes `slowdown` times as long while requests
// decode.
struct Beside {
  struct Factors {
    double lengthening, stretch = 1.0, slowdown = 1.0;
  };

  // The scenario is resolved and valid.
  explicit Beside(const Scenario& scenario)
      : score{scenario.engine().level1_interference()},
        copy{scenario.engine().gather_interference()},
        recall_write(scenario.engine().recall_interference()),
        measured(scenario.hardware().has_measured_ops()) {
    if (!measured) return;
    const MeasuredOps& ops = scenario.hardware().measured_ops();
    score = Of(ops.step_beside_score(), ops.score_beside_step());
    copy = Of(ops.step_beside_copy(), ops.copy_beside_step());
    recall_write = 0.0;
  }

  Factors score, copy;
  double recall_write;  // lengthening per unit of HBM time that recall writes take
  bool measured;        // a recall is felt as long as it lasts

 private:
  static Factors Of(double step_slowdown, double own_slowdown) {
    const double step = std::max(1.0, step_slowdown);
    return {step - 1.0, step, std::max(1.0, own_slowdown)};
  }
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_BESIDE_H_
