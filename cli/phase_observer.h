// A run's phases.csv (reports/schema/phase_log.h), besides what RunObserver shows. What level 1
// and recall lengthen a step by is spread over its phases in proportion. Of several groups the
// first.
#ifndef TIERSCOPE_CLI_PHASE_OBSERVER_H_
#define TIERSCOPE_CLI_PHASE_OBSERVER_H_

#include <vector>

#include "cli/run_observer.h"

#include "reports/schema/phase_log.h"
#include "scenarios/scenario.pb.h"
#include "sim/model/step_model.h"

namespace tierscope::cli {

class PhaseObserver : public RunObserver {
 public:
  // `log` is null, or open and outlives the observer; the others: run_observer.h.
  PhaseObserver(const Scenario& scenario, const MemoryPlan* plan, CoverageTally* coverage,
                TimelineWriter* timeline, const TimelineWindow& window, PhaseLogWriter* log);

  void Detail(const StepDetail& step) override;
  void JobDone(const JobDetail& job) override;
  void WrittenBack(SimTime begin, SimTime end, int64_t bytes) override;

 private:
  void Append(PhaseSpan span, Phase phase, int64_t begin_ns, int64_t duration_ns);

  StepTimeModel model_;
  int64_t page_bytes_;
  PhaseLogWriter* log_;
  int64_t step_ = -1;               // the last that began
  int64_t first_ns_ = 0;            // begin of the first step
  std::vector<PhaseSpan> publish_;  // waiting for their first step
};

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_PHASE_OBSERVER_H_
