#include "cli/sweep_local.h"

#include <malloc.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cli/attention_source.h"
#include "cli/indexer_cache.h"
#include "cli/sweep_progress.h"
#include "tbb/task_arena.h"
#include "tbb/task_group.h"

#include "reports/result_json.h"
#include "sim/base/status_macros.h"
#include "sim/demand/multi_distil.h"
#include "sim/engine/simulate.h"
#include "traces/request_trace.h"

namespace tierscope::cli {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// What the points that are being run need of attention traces. Who asks first makes it, others
// wait; a demand goes with its last point and a distilled trace with its last demand.
class DemandPool {
 public:
  using Demand = std::shared_ptr<const absl::StatusOr<WindowDemand>>;

  DemandPool(const SweepWork& work, const std::vector<int64_t>& order) : work_(work) {
    for (const int64_t point : order) {
      const int32_t group = work.group_of[static_cast<size_t>(point)];
      const DemandGroup& needs = work.groups[static_cast<size_t>(group)];
      if (!needs.needed) continue;
      DemandSlot& slot = demands_[group];
      if (slot.points_left++ > 0) continue;
      TraceSlot& trace = traces_[needs.trace_path];
      trace.specs.push_back(needs.spec);
      ++trace.demands_left;
      slot.trace = &trace;
    }
  }

  Demand Get(int32_t group, const Scenario& scenario) {
    DemandSlot& slot = demands_.find(group)->second;
    const std::lock_guard<std::mutex> lock(slot.mutex);
    if (slot.demand == nullptr) {
      slot.demand = std::make_shared<const absl::StatusOr<WindowDemand>>(
          Make(work_.groups[static_cast<size_t>(group)], scenario, *slot.trace));
    }
    return slot.demand;
  }

  void PointDone(int32_t group) {
    const auto found = demands_.find(group);
    if (found == demands_.end()) return;
    DemandSlot& slot = found->second;
    const std::lock_guard<std::mutex> lock(slot.mutex);
    if (--slot.points_left > 0) return;
    slot.demand = nullptr;
    const std::lock_guard<std::mutex> trace_lock(slot.trace->mutex);
    if (--slot.trace->demands_left > 0) return;
    Release(slot.trace->distilled_bytes);
    slot.trace->distilled = nullptr;
  }

  double generate_wall_s() const { return generate_wall_s_; }
  double distil_wall_s() const { return distil_wall_s_; }
  int64_t spilled_bytes() const { return spilled_bytes_; }

 private:
  using Distilled = std::shared_ptr<const absl::StatusOr<DistilledTrace>>;
  struct TraceSlot {
    std::mutex mutex;
    std::vector<DemandSpec> specs;
    Distilled distilled;
    int64_t distilled_bytes = 0;  // of it in memory
    int64_t demands_left = 0;
  };
  struct DemandSlot {
    std::mutex mutex;
    Demand demand;
    TraceSlot* trace = nullptr;
    int64_t points_left = 0;
  };

  absl::StatusOr<WindowDemand> Make(const DemandGroup& group, const Scenario& scenario,
                                    TraceSlot& slot) {
    const Distilled trace = Distil(group, scenario, slot);
    TIERSCOPE_RETURN_IF_ERROR(trace->status());
    const Clock::time_point begin = Clock::now();
    absl::StatusOr<WindowDemand> demand = (*trace)->Demand(group.spec);
    AddDistilTime(begin);
    return demand;
  }

  Distilled Distil(const DemandGroup& group, const Scenario& scenario, TraceSlot& slot) {
    const std::lock_guard<std::mutex> lock(slot.mutex);
    if (slot.distilled != nullptr) return slot.distilled;
    absl::StatusOr<AttentionSource> source = FindAttentionTrace(scenario, group.spec);
    // An error of this spec alone; the next one may ask again.
    if (!source.ok()) {
      return std::make_shared<const absl::StatusOr<DistilledTrace>>(source.status());
    }
    const Clock::time_point begin = Clock::now();
    const int64_t allowed = ReserveHalfOfFree();
    slot.distilled = std::make_shared<const absl::StatusOr<DistilledTrace>>(
        DistilledTrace::Read(source->path, slot.specs, allowed, CacheFolder().string()));
    AddDistilTime(begin);
    if (slot.distilled->ok()) slot.distilled_bytes = (*slot.distilled)->memory_bytes();
    Release(allowed - slot.distilled_bytes);
    const std::lock_guard<std::mutex> totals_lock(totals_mutex_);
    generate_wall_s_ += source->generate_wall_s;
    if (slot.distilled->ok()) spilled_bytes_ += (*slot.distilled)->spilled_bytes();
    return slot.distilled;
  }

  // Several traces are open where few points need each: together they stay within the bound.
  int64_t ReserveHalfOfFree() {
    const std::lock_guard<std::mutex> lock(totals_mutex_);
    const int64_t half = (kDemandBytesMax - reserved_bytes_) / 2;
    reserved_bytes_ += half;
    return half;
  }
  void Release(int64_t bytes) {
    const std::lock_guard<std::mutex> lock(totals_mutex_);
    reserved_bytes_ -= bytes;
  }

  void AddDistilTime(Clock::time_point begin) {
    const std::lock_guard<std::mutex> lock(totals_mutex_);
    distil_wall_s_ += SecondsSince(begin);
  }

  const SweepWork& work_;
  std::map<std::string, TraceSlot> traces_;
  std::map<int32_t, DemandSlot> demands_;
  std::mutex totals_mutex_;
  double generate_wall_s_ = 0.0;
  double distil_wall_s_ = 0.0;
  int64_t spilled_bytes_ = 0;
  int64_t reserved_bytes_ = 0;
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
    run.spilled_bytes = demands_.spilled_bytes();
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
      // Refused, or ended by the watchdog or the clock, whose report goes on for lines.
      if (!absl::IsInvalidArgument(row.status()) && !absl::IsAborted(row.status())) {
        return row.status();
      }
      ResultRow refused;
      refused.error = std::string(row.status().message());
      refused.error = refused.error.substr(0, refused.error.find('\n'));
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
    DemandPool::Demand demand;
    const int32_t group = work_.group_of[static_cast<size_t>(point)];
    if (work_.groups[static_cast<size_t>(group)].needed) {
      demand = demands_.Get(group, scenario);
      TIERSCOPE_RETURN_IF_ERROR(demand->status());
      inputs.demand = &**demand;
      TIERSCOPE_ASSIGN_OR_RETURN(const std::string path, AttentionTracePath(scenario));
      TIERSCOPE_ASSIGN_OR_RETURN(inputs.indexer, indexers_.Get(path, inputs.demand->trace_digest,
                                                               scenario.policy().tau_steps()));
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
  IndexerPool indexers_{CacheFolder()};
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
  // Every demand and simulation takes and frees megabytes; given back to the system each time, that
  // was a quarter of a sweep's processor time. What is kept is one thread's working set.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  LocalRunner runner(points, work, order, store);
  return runner.Run(jobs);
}

}  // namespace tierscope::cli
