// Level 1 beside the decode stream: a thread that scores, selects, recalls and publishes for one
// job at a time, and writes sealed pages back. The decode thread launches jobs, waits for them
// where the policy says so, and takes what was published at a step boundary.
//
// Who may touch what:
// - Residency and the mailbox are under one mutex, for both threads.
// - A job's fields are the side-band's from Launch to `done`, the decode thread's otherwise.
// - A block whose page is in no active set belongs to the side-band once the residency gave it to a
//   page that a job wants; it fills it before the page is published.
// - A block taken from a page that some request still decodes with is filled only after the decode
//   thread has dropped the page from its tables, at a step boundary (Mailbox). Until then the job
//   waits, so no kernel reads a block that is being overwritten.
// - Writebacks and jobs run in the order in which they were handed over, so a sealed page is in the
//   cold pool before a later job can take its block.
#ifndef TIERSCOPE_REAL_SIDE_BAND_H_
#define TIERSCOPE_REAL_SIDE_BAND_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "real/backend.h"
#include "real/content.h"
#include "real/execution_plan.h"
#include "real/kv_store.h"
#include "reports/schema/phase_log.h"
#include "sim/demand/demand.h"
#include "sim/engine/residency.h"

namespace tierscope {

// One request's part of a job.
struct JobTick {
  int32_t request = 0;
  int64_t own_step = 0;  // the last one that ran
  int64_t entries = 0;   // of its history
  bool first = false;
  const RequestContent* content = nullptr;
  std::span<const PageIndex> forced;  // replay: the list to want, whatever the kernels say
  std::vector<PageIndex> list;        // out: what it wants, rising
  int32_t missing = 0;                // out: pages of it that had no block
};

// Times on the backend's clock.
struct Job {
  int64_t number = -1;
  int64_t batch_step = 0;  // after which it was launched
  std::vector<JobTick> ticks;
  absl::Status status;
  int64_t launched_ns = 0;
  int64_t started_ns = 0;  // everything handed over before is done
  int64_t score_begin_ns = 0;
  int64_t score_end_ns = 0;
  int64_t select_end_ns = 0;  // lists are known and blocks have changed hands
  int64_t recall_begin_ns = 0;
  int64_t recall_end_ns = 0;
  int64_t done_ns = 0;
  int64_t pages = 0;  // recalled
  int64_t pages_evicted = 0;
  bool waited_for_drop = false;
};

// A writeback that was done, for the phase table.
struct WritebackSpan {
  int64_t batch_step = 0;
  int32_t request = 0;
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
};

class SideBand {
 public:
  // Allocates level 1's buffers and starts the thread. All arguments outlive it. `poison`: blocks
  // that change hands are overwritten before they are filled, so that what reads them too early
  // shows (tests).
  static absl::StatusOr<std::unique_ptr<SideBand>> Make(const ExecutionPlan& plan, Backend& backend,
                                                        KvStore& store, bool poison);
  // Waits for what is in flight and ends the thread. Call Drain before, or nothing may wait.
  ~SideBand();

  // For the decode thread. A new run: nobody holds a page.
  void Reset();
  // Precondition: no job in flight. Fills in nothing but what JobTick lists as out.
  absl::Status Launch(Job job);
  void WriteBack(int32_t request, int32_t page, int32_t block, int64_t batch_step);
  bool in_flight() const { return in_flight_; }
  // The job that is done, once; null while it is not.
  std::unique_ptr<Job> TakeDone();
  // Pages that lost their block while their request decodes with them. The caller drops them from
  // its tables before the call returns to it, that is before it reads a block again: calling this
  // says that it does.
  std::vector<EvictedPage> TakeEvictions();
  // Waits until a job is done or evictions are there, at most so long.
  void WaitForNews(int64_t milliseconds);

  // Residency, under the mutex.
  void Open(int32_t request);
  // The request is over: a job that has not yet taken blocks for it will take none.
  void Retire(int32_t request);
  // Gives its blocks back. Precondition: no job in flight, which could still fill one of them.
  void Close(int32_t request);
  // Pages evicted for it; those that a request decodes with are among TakeEvictions.
  int32_t Grow(int32_t request, PageIndex page);
  int32_t BlockOf(int32_t request, PageIndex page);
  // The blocks of `pages`; from now on the request decodes with these pages.
  void SetActive(int32_t request, std::span<const int32_t> pages, std::vector<int32_t>* blocks);
  int32_t held_count_peak();

  // The first error of a writeback. Its page is not in the cold pool: the run ends.
  absl::Status writeback_status();
  // Times of all writebacks since Reset; after the last one is done (Drain).
  std::vector<WritebackSpan> TakeWritebacks();
  // Waits for jobs and writebacks; evictions that come meanwhile are dropped.
  void Drain();

 private:
  struct Work {
    bool is_job = false;
    PageMove move{};  // of a writeback
    int64_t batch_step = 0;
    int32_t request = 0;
  };

  SideBand(const ExecutionPlan& plan, Backend& backend, KvStore& store, bool poison);
  absl::Status Allocate();
  absl::Status UploadTicks(Job& job);
  void Loop();
  void RunWriteback(const Work& work);
  void RunJob(Job& job);
  absl::Status ScoreAndSelect(Job& job);
  // What follows on this thread belongs to the phase of the tick, where it is traced.
  void Tag(Phase phase, int64_t step, int64_t tick);
  void TakeBlocks(Job& job);
  void WaitForDrop(Job& job);
  absl::Status FillBlocks(Job& job);
  template <typename T>
  absl::StatusOr<T*> New(const std::string& name, int64_t count);

  const ExecutionPlan& plan_;
  Backend& backend_;
  KvStore& store_;
  const bool poison_;
  const RecallPath path_;

  // Level 1 on the device; rows are ticks of the job.
  uint8_t* q_ = nullptr;             // [row][3][128][128]
  float* weights_ = nullptr;         // [row][3][128]
  int32_t* pages_ = nullptr;         // [row][history_pages_max]
  int32_t* entry_counts_ = nullptr;  // [row]
  uint8_t* density_ = nullptr;       // [row][history_pages_max]
  int32_t* held_ = nullptr;          // [row][history_pages_max]
  int32_t* selected_ = nullptr;      // [row][history_pages_max]
  int32_t* recall_ = nullptr;
  int32_t* evict_ = nullptr;
  int32_t* counts_ = nullptr;  // [row][kSelectCounts]
  std::vector<uint8_t> q_host_;
  std::vector<float> weights_host_;
  std::vector<int32_t> pages_host_, entry_counts_host_, held_host_, selected_host_, counts_host_;
  std::vector<PageMove> moves_;
  // The last two lists of each request: the residency keeps spans into them.
  std::vector<std::vector<PageIndex>> lists_[2];
  std::vector<uint8_t> list_turn_;

  std::mutex mutex_;
  std::condition_variable work_there_, news_;
  std::unique_ptr<Residency> residency_;
  std::vector<std::vector<uint8_t>> active_;  // [request][page] the decode thread reads its block
  std::vector<uint8_t> open_;                 // [request]
  std::vector<EvictedPage> mailbox_;
  bool drop_asked_ = false;
  std::deque<Work> queue_;
  bool working_ = false;
  bool ending_ = false;
  std::unique_ptr<Job> job_;
  bool job_done_ = false;
  bool in_flight_ = false;  // the decode thread's view
  std::vector<WritebackSpan> writebacks_;
  absl::Status writeback_status_;
  std::thread thread_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_SIDE_BAND_H_
