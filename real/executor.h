// Executes a planned scenario on a backend, pass by pass: the decode loop of the simulator
// (sim/engine/README.md: states, order of work at a step boundary) with the clock and the memory of
// a machine in the place of the simulator's. The decisions are the simulator's own code: page
// selection, residency, windows; only when a job is done is not decided but awaited.
#ifndef TIERSCOPE_REAL_EXECUTOR_H_
#define TIERSCOPE_REAL_EXECUTOR_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "real/backend.h"
#include "real/content.h"
#include "real/decode_step.h"
#include "real/execution_plan.h"
#include "real/kv_store.h"
#include "real/pass_record.h"
#include "real/side_band.h"
#include "sim/demand/demand.h"

namespace tierscope {

struct ExecutorOptions {
  const WindowDemand* demand = nullptr;          // replay: whose want lists are forced
  const std::atomic<bool>* cancelled = nullptr;  // a pass ends with Cancelled soon after it is set
  CsaLayerInspector inspector;                   // tests
  bool poison = false;                           // tests: what is read too early is NaN
};

class Executor {
 public:
  // Allocates and makes the content. `plan` and `backend` outlive the executor. Error: no memory.
  static absl::StatusOr<std::unique_ptr<Executor>> Make(const ExecutionPlan& plan, Backend& backend,
                                                        const ExecutorOptions& options);
  ~Executor();

  // Runs all requests from their first step to their last, from the same state every time.
  // `profiled`: kernels are timed one by one. Error: Cancelled, or what the backend says.
  absl::StatusOr<PassRecord> RunPass(bool profiled);

  const RequestContent& content(int32_t profile) const {
    return contents_[static_cast<size_t>(profile)];
  }
  KvStore& store() { return *store_; }
  SideBand& side_band() { return *side_band_; }
  const DecodeStep& decode_step() const { return *decode_step_; }

 private:
  struct Decoding {
    int64_t completed = 0;  // own steps
    bool in_batch = false;
    bool cold = true;  // holds no pages
    bool finished = false;
    int64_t tick_due = -1;        // own steps completed when its next tick is due, -1 none
    std::vector<int32_t> pages;   // active, rising
    std::vector<int32_t> blocks;  // of each, -1 lost
    std::vector<int32_t> opened;  // pages that it began to fill, rising
  };

  Executor(const ExecutionPlan& plan, Backend& backend, const ExecutorOptions& options);
  absl::Status Load();
  ContentShape ShapeOf(int32_t profile) const;
  absl::Status Reset();
  absl::Status RunSteps(bool profiled);
  absl::Status Step(bool profiled);
  absl::Status AfterStep();
  absl::Status AfterOwnStep(int32_t request);
  void Admit();
  void Finish(int32_t request);
  void CloseRetired();
  absl::Status OpenPage(int32_t request);
  absl::Status Proceed();
  absl::Status LaunchJob();
  absl::Status TakePublished();
  void Activate(const JobTick& tick, int64_t entries);
  absl::Status AfterFirstPublish(int32_t request);
  void DropEvicted();
  absl::Status WaitForJob(bool join);
  void CountWait(Phase phase, int64_t ns);
  void CountSyncWait(const JobRecord& record, int64_t begin_ns, int64_t end_ns);
  void NoteSet(int32_t request);
  int64_t ActiveEntries(int32_t request) const;
  bool AllFinished() const;
  absl::Status CheckCancelled() const;
  int64_t Now() { return backend_.HostNs() - origin_ns_; }
  Decoding& At(int32_t request) { return decoding_[static_cast<size_t>(request)]; }
  const Decoding& At(int32_t request) const { return decoding_[static_cast<size_t>(request)]; }
  const RequestPlan& Plan(int32_t request) const {
    return plan_.requests[static_cast<size_t>(request)];
  }
  const RequestContent& ContentOf(int32_t request) const {
    return contents_[static_cast<size_t>(Plan(request).profile)];
  }

  const ExecutionPlan& plan_;
  Backend& backend_;
  const ExecutorOptions options_;
  const bool sync_;
  std::vector<RequestContent> contents_;  // [profile]
  std::unique_ptr<KvStore> store_;
  std::unique_ptr<DecodeStep> decode_step_;
  std::unique_ptr<SideBand> side_band_;

  // Of the pass.
  PassRecord pass_;
  int64_t origin_ns_ = 0;
  std::vector<Decoding> decoding_;
  std::vector<int32_t> due_;      // requests whose tick is due at this boundary
  std::vector<int32_t> retired_;  // finished, their blocks not yet given back
  std::vector<StepRow> rows_;
  int64_t steps_ = 0;
  int64_t boundary_ns_ = 0;  // when the last step ended
  StepRecord next_;          // the step that is not yet run: its waits
  int32_t cold_count_ = 0;   // requests whose first job is in flight
  int32_t admitted_ = 0;     // requests so far, in their order
  int64_t blocks_promised_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_EXECUTOR_H_
