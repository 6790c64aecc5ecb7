#include "real/side_band.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "real/phase_range.h"
#include "sim/base/check.h"
#include "sim/base/status_macros.h"
#include "sim/policy/page_selection.h"

namespace tierscope {
namespace {

size_t Size(int64_t count) { return static_cast<size_t>(count); }

template <typename T>
int64_t BytesOf(const std::vector<T>& values) {
  return static_cast<int64_t>(values.size() * sizeof(T));
}

RecallPath PathOf(Policy::RecallPath path) {
  switch (path) {
    case Policy::COPY_ENGINE:
      return RecallPath::kCopyEngine;
    case Policy::STAGED:
      return RecallPath::kStaged;
    case Policy::GATHER_KERNEL:
      return RecallPath::kGatherKernel;
  }
  return RecallPath::kCopyEngine;
}

}  // namespace

SideBand::SideBand(const ExecutionPlan& plan, Backend& backend, KvStore& store, bool poison)
    : plan_(plan),
      backend_(backend),
      store_(store),
      poison_(poison),
      path_(PathOf(plan.scenario.policy().recall_path())) {
  const auto requests = plan.requests.size();
  for (auto& lists : lists_) lists.resize(requests);
  list_turn_.resize(requests);
  open_.resize(requests);
  for (const RequestPlan& request : plan.requests) {
    active_.emplace_back(Size(request.page_count));
  }
}

absl::StatusOr<std::unique_ptr<SideBand>> SideBand::Make(const ExecutionPlan& plan,
                                                         Backend& backend, KvStore& store,
                                                         bool poison) {
  std::unique_ptr<SideBand> side_band(new SideBand(plan, backend, store, poison));
  TIERSCOPE_RETURN_IF_ERROR(side_band->Allocate());
  side_band->Reset();
  side_band->thread_ = std::thread([raw = side_band.get()] { raw->Loop(); });
  return side_band;
}

SideBand::~SideBand() {
  if (!thread_.joinable()) return;
  Drain();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  work_there_.notify_all();
  thread_.join();
}

template <typename T>
absl::StatusOr<T*> SideBand::New(const std::string& name, int64_t count) {
  TIERSCOPE_ASSIGN_OR_RETURN(
      uint8_t * memory,
      backend_.Allocate(name, Arena::kDevice, count * static_cast<int64_t>(sizeof(T))));
  return reinterpret_cast<T*>(memory);
}

absl::Status SideBand::Allocate() {
  const int64_t rows = plan_.request_count();
  const int64_t pages = rows * plan_.history_pages_max;
  const int64_t heads = rows * kMemoryLayers * kMemoryHeads;
  const std::string name = "level 1";
  TIERSCOPE_ASSIGN_OR_RETURN(q_, New<uint8_t>(name, heads * kIndexDim));
  TIERSCOPE_ASSIGN_OR_RETURN(weights_, New<float>(name, heads));
  TIERSCOPE_ASSIGN_OR_RETURN(pages_, New<int32_t>(name, pages));
  TIERSCOPE_ASSIGN_OR_RETURN(entry_counts_, New<int32_t>(name, rows));
  TIERSCOPE_ASSIGN_OR_RETURN(density_, New<uint8_t>(name, pages));
  TIERSCOPE_ASSIGN_OR_RETURN(held_, New<int32_t>(name, pages));
  TIERSCOPE_ASSIGN_OR_RETURN(selected_, New<int32_t>(name, pages));
  TIERSCOPE_ASSIGN_OR_RETURN(recall_, New<int32_t>(name, pages));
  TIERSCOPE_ASSIGN_OR_RETURN(evict_, New<int32_t>(name, pages));
  TIERSCOPE_ASSIGN_OR_RETURN(counts_, New<int32_t>(name, rows * kSelectCounts));
  q_host_.resize(Size(heads * kIndexDim));
  weights_host_.resize(Size(heads));
  pages_host_.resize(Size(pages));
  entry_counts_host_.resize(Size(rows));
  held_host_.resize(Size(pages));
  selected_host_.resize(Size(pages));
  counts_host_.resize(Size(rows * kSelectCounts));
  moves_.reserve(Size(plan_.reserve_blocks));
  return absl::OkStatus();
}

void SideBand::Reset() {
  const std::lock_guard<std::mutex> lock(mutex_);
  TIERSCOPE_CHECK(!in_flight_ && queue_.empty() && !working_);
  residency_ = std::make_unique<Residency>(plan_.reserve_blocks, Policy::LRU_PROTECTED,
                                           Policy::ON_COMPLETION);
  for (auto& pages : active_) std::fill(pages.begin(), pages.end(), uint8_t{0});
  mailbox_.clear();
  writebacks_.clear();
  writeback_status_ = absl::OkStatus();
}

// What the side-band reads of the decode thread's is copied here, before it can change.
absl::Status SideBand::UploadTicks(Job& job) {
  const int64_t head_count = int64_t{kMemoryLayers} * kMemoryHeads;
  for (size_t row = 0; row < job.ticks.size(); ++row) {
    const JobTick& tick = job.ticks[row];
    const RequestPlan& own = plan_.requests[Size(tick.request)];
    for (int32_t layer = 0; layer < kMemoryLayers; ++layer) {
      const IndexQuery query =
          tick.content->MemoryQuery(static_cast<int32_t>(tick.own_step), layer);
      const auto at = static_cast<int64_t>(row) * head_count + int64_t{layer} * kMemoryHeads;
      std::copy_n(query.codes, kMemoryHeads * kIndexDim, q_host_.begin() + at * kIndexDim);
      std::copy_n(query.weights, kMemoryHeads, weights_host_.begin() + at);
    }
    const int64_t pages = (tick.entries + kPageEntries - 1) / kPageEntries;
    const auto list = static_cast<int64_t>(row) * plan_.history_pages_max;
    for (int64_t page = 0; page < pages; ++page) {
      pages_host_[Size(list + page)] = own.page_begin + static_cast<int32_t>(page);
    }
    TIERSCOPE_RETURN_IF_ERROR(store_.LaunchSnapshot(tick.request, tick.entries));
    pages_host_[Size(list + pages - 1)] = store_.SnapshotPage(tick.request);
    entry_counts_host_[row] = static_cast<int32_t>(tick.entries);
  }
  return backend_.Synchronize(Stream::kDecode);
}

absl::Status SideBand::Launch(Job job) {
  TIERSCOPE_CHECK(!in_flight_ && !job.ticks.empty());
  job.launched_ns = backend_.HostNs();
  TIERSCOPE_RETURN_IF_ERROR(UploadTicks(job));
  const std::lock_guard<std::mutex> lock(mutex_);
  job_ = std::make_unique<Job>(std::move(job));
  job_done_ = false;
  in_flight_ = true;
  queue_.push_back({true});
  work_there_.notify_one();
  return absl::OkStatus();
}

void SideBand::WriteBack(int32_t request, int32_t page, int32_t block, int64_t batch_step) {
  const int32_t cold_page = plan_.requests[Size(request)].page_begin + page;
  const std::lock_guard<std::mutex> lock(mutex_);
  queue_.push_back({false, {cold_page, block}, batch_step, request});
  work_there_.notify_one();
}

std::unique_ptr<Job> SideBand::TakeDone() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!job_done_) return nullptr;
  job_done_ = in_flight_ = false;
  return std::move(job_);
}

std::vector<EvictedPage> SideBand::TakeEvictions() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const EvictedPage& evicted : mailbox_) active_[Size(evicted.slot)][evicted.page] = 0;
  std::vector<EvictedPage> evictions = std::exchange(mailbox_, {});
  drop_asked_ = false;
  news_.notify_all();
  return evictions;
}

void SideBand::WaitForNews(int64_t milliseconds) {
  std::unique_lock<std::mutex> lock(mutex_);
  news_.wait_for(lock, std::chrono::milliseconds(milliseconds),
                 [&] { return job_done_ || drop_asked_; });
}

void SideBand::Open(int32_t request) {
  const std::lock_guard<std::mutex> lock(mutex_);
  residency_->Open(request, plan_.requests[Size(request)].page_count, request);
  open_[Size(request)] = 1;
}

void SideBand::Retire(int32_t request) {
  const std::lock_guard<std::mutex> lock(mutex_);
  open_[Size(request)] = 0;
  std::fill(active_[Size(request)].begin(), active_[Size(request)].end(), uint8_t{0});
}

void SideBand::Close(int32_t request) {
  const std::lock_guard<std::mutex> lock(mutex_);
  TIERSCOPE_CHECK(!in_flight_ && open_[Size(request)] == 0);
  residency_->Close(request);
}

int32_t SideBand::Grow(int32_t request, PageIndex page) {
  const std::lock_guard<std::mutex> lock(mutex_);
  residency_->Grow(request, page);
  // The decode thread is at a boundary: it takes the evictions before it reads a block again.
  for (const EvictedPage& evicted : residency_->evicted()) {
    if (active_[Size(evicted.slot)][evicted.page] != 0) mailbox_.push_back(evicted);
  }
  const auto evicted_count = static_cast<int32_t>(residency_->evicted().size());
  residency_->ClearEvicted();
  return evicted_count;
}

int32_t SideBand::BlockOf(int32_t request, PageIndex page) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return residency_->BlockOf(request, page);
}

void SideBand::SetActive(int32_t request, std::span<const int32_t> pages,
                         std::vector<int32_t>* blocks) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<uint8_t>& active = active_[Size(request)];
  std::fill(active.begin(), active.end(), uint8_t{0});
  blocks->clear();
  for (const int32_t page : pages) {
    const int32_t block = residency_->BlockOf(request, static_cast<PageIndex>(page));
    blocks->push_back(block);
    active[Size(page)] = block >= 0 ? 1 : 0;
  }
}

int32_t SideBand::held_count_peak() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return residency_->held_count_peak();
}

absl::Status SideBand::writeback_status() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return writeback_status_;
}

std::vector<WritebackSpan> SideBand::TakeWritebacks() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(writebacks_, {});
}

void SideBand::Drain() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    if (drop_asked_) {
      for (const EvictedPage& evicted : mailbox_) active_[Size(evicted.slot)][evicted.page] = 0;
      mailbox_.clear();
      drop_asked_ = false;
      news_.notify_all();
    }
    if (queue_.empty() && !working_) break;
    news_.wait_for(lock, std::chrono::milliseconds(10));
  }
  job_.reset();
  job_done_ = in_flight_ = false;
}

void SideBand::Loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    work_there_.wait(lock, [&] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const Work work = queue_.front();
    queue_.pop_front();
    working_ = true;
    lock.unlock();
    if (work.is_job) {
      RunJob(*job_);
    } else {
      RunWriteback(work);
    }
    lock.lock();
    working_ = false;
    if (work.is_job) job_done_ = true;
    news_.notify_all();
  }
}

void SideBand::Tag(Phase phase, int64_t step, int64_t tick) {
  if (backend_.tracing()) backend_.Tag(ActivityTag(phase, step, tick));
}

void SideBand::RunWriteback(const Work& work) {
  const PhaseRange range(Phase::kWriteback, work.batch_step);
  Tag(Phase::kWriteback, work.batch_step, -1);
  const int64_t begin = backend_.Mark(Stream::kSideBand);
  const PageTransfer transfer{store_.Pools(), {&work.move, 1}, RecallPath::kCopyEngine};
  absl::Status status = backend_.Writeback(Stream::kSideBand, transfer);
  const int64_t end = backend_.Mark(Stream::kSideBand);
  if (status.ok()) status = backend_.Synchronize(Stream::kSideBand);
  if (backend_.tracing()) backend_.Tag(0);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!status.ok()) {
    if (writeback_status_.ok()) writeback_status_ = std::move(status);
    return;
  }
  writebacks_.push_back(
      {work.batch_step, work.request, backend_.NsOfMark(begin), backend_.NsOfMark(end)});
}

void SideBand::RunJob(Job& job) {
  const PhaseRange range = PhaseRange::Tick(job.number);
  job.started_ns = backend_.HostNs();
  job.status = ScoreAndSelect(job);
  if (backend_.tracing()) backend_.Tag(0);
  if (!job.status.ok()) {
    // The decode thread ends the run; what it waits for must still come.
    for (JobTick& tick : job.ticks) tick.list.clear();
    return;
  }
  TakeBlocks(job);
  job.select_end_ns = backend_.HostNs();
  WaitForDrop(job);
  Tag(Phase::kRecall, job.batch_step, job.number);
  job.status = FillBlocks(job);
  if (backend_.tracing()) backend_.Tag(0);
  job.done_ns = backend_.HostNs();
}

absl::Status SideBand::ScoreAndSelect(Job& job) {
  const auto copy = [&](auto* target, const auto& source) {
    return backend_.Copy(Stream::kSideBand, target, source.data(), BytesOf(source));
  };
  TIERSCOPE_RETURN_IF_ERROR(copy(q_, q_host_));
  TIERSCOPE_RETURN_IF_ERROR(copy(weights_, weights_host_));
  TIERSCOPE_RETURN_IF_ERROR(copy(pages_, pages_host_));
  TIERSCOPE_RETURN_IF_ERROR(copy(entry_counts_, entry_counts_host_));
  MemoryScoreParams score;
  score.input.request_count = static_cast<int32_t>(job.ticks.size());
  score.input.pages_max = plan_.history_pages_max;
  score.input.q = q_;
  score.input.head_weights = weights_;
  for (int32_t layer = 0; layer < kMemoryLayers; ++layer) {
    score.input.keys[layer] = store_.Keys(layer);
  }
  score.input.pages = pages_;
  score.input.entry_counts = entry_counts_;
  score.code_cutoff = plan_.code_cutoff;
  score.density = density_;
  Tag(Phase::kScore, job.batch_step, job.number);
  std::optional<PhaseRange> range(std::in_place, Phase::kScore, job.number);
  const int64_t score_begin = backend_.Mark(Stream::kSideBand);
  TIERSCOPE_RETURN_IF_ERROR(backend_.MemoryScore(Stream::kSideBand, score));
  const int64_t score_end = backend_.Mark(Stream::kSideBand);
  range.reset();
  range.emplace(Phase::kSelect, job.number);
  Tag(Phase::kSelect, job.batch_step, job.number);

  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (size_t row = 0; row < job.ticks.size(); ++row) {
      const int64_t pages = (job.ticks[row].entries + kPageEntries - 1) / kPageEntries;
      for (int64_t page = 0; page < pages; ++page) {
        held_host_[row * Size(plan_.history_pages_max) + Size(page)] =
            residency_->BlockOf(job.ticks[row].request, static_cast<PageIndex>(page));
      }
    }
  }
  TIERSCOPE_RETURN_IF_ERROR(copy(held_, held_host_));
  const Policy& policy = plan_.scenario.policy();
  PageSelectParams select;
  select.request_count = score.input.request_count;
  select.pages_max = plan_.history_pages_max;
  select.kmax = plan_.page_kmax;
  select.reserve_blocks = plan_.reserve_blocks;
  select.sink_entries = policy.sink_entries();
  select.recency_entries = policy.recency_entries();
  select.density = density_;
  select.entry_counts = entry_counts_;
  select.held_blocks = held_;
  select.selected = selected_;
  select.recall = recall_;
  select.evict = evict_;
  select.counts = counts_;
  TIERSCOPE_RETURN_IF_ERROR(backend_.SelectPages(Stream::kSideBand, select));
  TIERSCOPE_RETURN_IF_ERROR(
      backend_.Copy(Stream::kSideBand, selected_host_.data(), selected_, BytesOf(selected_host_)));
  TIERSCOPE_RETURN_IF_ERROR(
      backend_.Copy(Stream::kSideBand, counts_host_.data(), counts_, BytesOf(counts_host_)));
  TIERSCOPE_RETURN_IF_ERROR(backend_.Synchronize(Stream::kSideBand));
  job.score_begin_ns = backend_.NsOfMark(score_begin);
  job.score_end_ns = backend_.NsOfMark(score_end);
  for (size_t row = 0; row < job.ticks.size(); ++row) {
    JobTick& tick = job.ticks[row];
    tick.list.clear();
    if (plan_.mode == RealMode::kReplay) {
      tick.list.assign(tick.forced.begin(), tick.forced.end());
      continue;
    }
    const int32_t* selected = selected_host_.data() + row * Size(plan_.history_pages_max);
    const int32_t count = counts_host_[row * kSelectCounts + kSelectedPages];
    for (int32_t i = 0; i < count; ++i) tick.list.push_back(static_cast<PageIndex>(selected[i]));
  }
  return absl::OkStatus();
}

// Gives every wanted page a block, as the simulator does, and notes which have to be filled.
void SideBand::TakeBlocks(Job& job) {
  moves_.clear();
  const std::lock_guard<std::mutex> lock(mutex_);
  for (JobTick& tick : job.ticks) {
    const auto request = Size(tick.request);
    if (open_[request] == 0) continue;
    const size_t turn = list_turn_[request] ^= 1;
    std::vector<PageIndex>& list = lists_[turn][request];
    list = tick.list;
    std::vector<PageIndex> lacking;
    for (const PageIndex page : list) {
      if (!residency_->Holds(tick.request, page)) lacking.push_back(page);
    }
    tick.missing = residency_->Want(tick.request, list);
    const int32_t first_page = plan_.requests[request].page_begin;
    for (const PageIndex page : lacking) {
      moves_.push_back({first_page + page, residency_->BlockOf(tick.request, page)});
    }
    job.pages += tick.missing;
  }
  for (const EvictedPage& evicted : residency_->evicted()) {
    ++job.pages_evicted;
    if (active_[Size(evicted.slot)][evicted.page] == 0) continue;
    mailbox_.push_back(evicted);
    drop_asked_ = true;
  }
  residency_->ClearEvicted();
  if (drop_asked_) news_.notify_all();
}

void SideBand::WaitForDrop(Job& job) {
  std::unique_lock<std::mutex> lock(mutex_);
  job.waited_for_drop = drop_asked_;
  news_.wait(lock, [&] { return !drop_asked_; });
}

absl::Status SideBand::FillBlocks(Job& job) {
  if (poison_) {
    for (const PageMove& move : moves_) {
      TIERSCOPE_RETURN_IF_ERROR(store_.PoisonBlock(Stream::kSideBand, move.block));
    }
  }
  const PhaseRange range(Phase::kRecall, job.number);
  const int64_t begin = backend_.Mark(Stream::kSideBand);
  TIERSCOPE_RETURN_IF_ERROR(backend_.Recall(Stream::kSideBand, {store_.Pools(), moves_, path_}));
  const int64_t end = backend_.Mark(Stream::kSideBand);
  TIERSCOPE_RETURN_IF_ERROR(backend_.Synchronize(Stream::kSideBand));
  job.recall_begin_ns = backend_.NsOfMark(begin);
  job.recall_end_ns = backend_.NsOfMark(end);
  return absl::OkStatus();
}

}  // namespace tierscope
