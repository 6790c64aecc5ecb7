#include "cli/sweep_local.h"

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cli/attention_source.h"
#include "cli/sweep_progress.h"
#include "tbb/task_arena.h"
#include "tbb/task_group.h"

#include "reports/result_json.h"
#include "sim/base/status_macros.h"
#include "sim/engine/simulate.h"
#include "traces/request_trace.h"

namespace tierscope::cli {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Demands of the points that are being run. Who asks first makes it, others wait; it goes with its
// last point.
class DemandPool {
 public:
  using Shared = std::shared_ptr<const absl::StatusOr<WindowDemand>>;

  DemandPool(const SweepWork& work, const std::vector<int64_t>& order) : work_(work) {
    for (const int64_t point : order) {
      Slot& slot = slots_[work.group_of[static_cast<size_t>(point)]];
      ++slot.points_left;
    }
  }

  Shared Get(int32_t group, const Scenario& scenario) {
    Slot& slot = SlotOf(group);
    const std::lock_guard<std::mutex> lock(slot.mutex);
    if (slot.demand == nullptr) {
      slot.demand = std::make_shared<const absl::StatusOr<WindowDemand>>(
          Make(work_.groups[static_cast<size_t>(group)], scenario));
    }
    return slot.demand;
  }

  void PointDone(int32_t group) {
    Slot& slot = SlotOf(group);
    const std::lock_guard<std::mutex> lock(slot.mutex);
    if (--slot.points_left == 0) slot.demand = nullptr;
  }

  double generate_wall_s() const { return generate_wall_s_; }
  double distil_wall_s() const { return distil_wall_s_; }

 private:
  struct Slot {
    std::mutex mutex;
    Shared demand;
    int64_t points_left = 0;
  };

  Slot& SlotOf(int32_t group) { return slots_.find(group)->second; }

  absl::StatusOr<WindowDemand> Make(const DemandGroup& group, const Scenario& scenario) {
    TIERSCOPE_ASSIGN_OR_RETURN(const AttentionSource source, Find(group, scenario));
    const Clock::time_point begin = Clock::now();
    absl::StatusOr<WindowDemand> demand = DistilTrace(source.path, group.spec);
    const std::lock_guard<std::mutex> lock(mutex_);
    distil_wall_s_ += SecondsSince(begin);
    return demand;
  }

  // One trace is looked for or generated at a time.
  absl::StatusOr<AttentionSource> Find(const DemandGroup& group, const Scenario& scenario) {
    const std::lock_guard<std::mutex> lock(mutex_);
    TIERSCOPE_ASSIGN_OR_RETURN(AttentionSource source, FindAttentionTrace(scenario, group.spec));
    generate_wall_s_ += source.generate_wall_s;
    return source;
  }

  const SweepWork& work_;
  std::map<int32_t, Slot> slots_;
  std::mutex mutex_;
  double generate_wall_s_ = 0.0;
  double distil_wall_s_ = 0.0;
};

// Request traces, each read once and kept.
class RequestPool {
 public:
  absl::StatusOr<const RequestTrace*> Get(const Workload& workload) {
    if (!workload.has_trace()) return nullptr;
    const std::lock_guard<std::mutex> lock(mutex_);
    auto& trace = traces_[workload.trace()];
    if (trace == nullptr) {
      TIERSCOPE_ASSIGN_OR_RETURN(RequestTrace loaded,
                                 LoadRequestTrace(workload.trace(), RequestTraceOptions{}));
      trace = std::make_unique<RequestTrace>(std::move(loaded));
    }
    return trace.get();
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<RequestTrace>> traces_;
};

class LocalRunner {
 public:
  LocalRunner(const SweepPoints& points, const SweepWork& work, const std::vector<int64_t>& order,
              ResultsStore& store)
      : points_(points),
        work_(work),
        order_(order),
        store_(store),
        demands_(work, order),
        progress_(static_cast<int64_t>(order.size())) {}

  absl::StatusOr<LocalRun> Run(int jobs) {
    const Clock::time_point begin = Clock::now();
    // Threads take the points in their order, so no more demands are open than threads.
    tbb::task_arena arena(jobs);
    arena.execute([&] {
      tbb::task_group group;
      for (int job = 0; job < jobs; ++job) group.run([this] { Work(); });
      group.wait();
    });
    progress_.Finish();
    TIERSCOPE_RETURN_IF_ERROR(failure_);
    LocalRun run;
    run.generate_wall_s = demands_.generate_wall_s();
    run.distil_wall_s = demands_.distil_wall_s();
    run.wall_s = SecondsSince(begin) - run.generate_wall_s;
    return run;
  }

 private:
  void Work() {
    for (size_t i; !stop_ && (i = next_.fetch_add(1)) < order_.size();) {
      const int64_t point = order_[i];
      absl::StatusOr<ResultRow> row = Compute(point);
      demands_.PointDone(work_.group_of[static_cast<size_t>(point)]);
      const std::lock_guard<std::mutex> lock(mutex_);
      absl::Status status = row.ok() ? store_.Put(*row) : row.status();
      if (status.ok()) {
        progress_.Advance();
      } else if (failure_.ok()) {
        failure_ = std::move(status);
        stop_ = true;
      }
    }
  }

  // The row of a point. Error: one that is not the point's own.
  absl::StatusOr<ResultRow> Compute(int64_t point) {
    absl::StatusOr<ResultRow> row = Simulated(point);
    if (!row.ok()) {
      if (!absl::IsInvalidArgument(row.status())) return row.status();
      ResultRow refused;
      refused.error = std::string(row.status().message());
      row = std::move(refused);
    }
    row->key = work_.keys[static_cast<size_t>(point)];
    row->build = BuildName();
    row->sets = points_.Name(point);
    return row;
  }

  absl::StatusOr<ResultRow> Simulated(int64_t point) {
    TIERSCOPE_ASSIGN_OR_RETURN(const Scenario scenario, points_.Resolve(point));
    TIERSCOPE_RETURN_IF_ERROR(CheckMemory(scenario));
    SimulationInputs inputs;
    TIERSCOPE_ASSIGN_OR_RETURN(inputs.requests, requests_.Get(scenario.workload()));
    DemandPool::Shared demand;
    const int32_t group = work_.group_of[static_cast<size_t>(point)];
    if (work_.groups[static_cast<size_t>(group)].needed) {
      demand = demands_.Get(group, scenario);
      TIERSCOPE_RETURN_IF_ERROR(demand->status());
      inputs.demand = &**demand;
    }
    TIERSCOPE_ASSIGN_OR_RETURN(Simulation simulation, Simulate(scenario, inputs));
    simulation.result.set_version(TIERSCOPE_VERSION);
    return MakeResultRow(simulation.result, ResultJson(simulation.result));
  }

  const SweepPoints& points_;
  const SweepWork& work_;
  const std::vector<int64_t>& order_;
  ResultsStore& store_;
  DemandPool demands_;
  RequestPool requests_;
  SweepProgress progress_;
  std::mutex mutex_;  // of the store, the progress and the status
  std::atomic<size_t> next_{0};
  std::atomic<bool> stop_{false};
  absl::Status failure_;
};

}  // namespace

absl::StatusOr<LocalRun> RunPoints(const SweepPoints& points, const SweepWork& work,
                                   const std::vector<int64_t>& order, int jobs,
                                   ResultsStore& store) {
  LocalRunner runner(points, work, order, store);
  return runner.Run(jobs);
}

}  // namespace tierscope::cli
