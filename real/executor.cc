#include "real/executor.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "real/phase_range.h"
#include "sim/base/check.h"
#include "sim/base/status_macros.h"
#include "sim/policy/tick_phase.h"

namespace tierscope {
namespace {

constexpr int64_t kNewsMs = 50;  // how long a wait goes on before it looks whether it was cancelled

size_t Size(int64_t count) { return static_cast<size_t>(count); }

}  // namespace

Executor::Executor(const ExecutionPlan& plan, Backend& backend, const ExecutorOptions& options)
    : plan_(plan),
      backend_(backend),
      options_(options),
      sync_(plan.scenario.policy().level1() == Policy::SYNC) {}

Executor::~Executor() = default;

absl::StatusOr<std::unique_ptr<Executor>> Executor::Make(const ExecutionPlan& plan,
                                                         Backend& backend,
                                                         const ExecutorOptions& options) {
  TIERSCOPE_CHECK((plan.mode == RealMode::kReplay) == (options.demand != nullptr));
  std::unique_ptr<Executor> executor(new Executor(plan, backend, options));
  TIERSCOPE_RETURN_IF_ERROR(executor->Load());
  return executor;
}

absl::Status Executor::Load() {
  TIERSCOPE_ASSIGN_OR_RETURN(store_, KvStore::Make(plan_, backend_));
  TIERSCOPE_ASSIGN_OR_RETURN(decode_step_, DecodeStep::Make(plan_, backend_, *store_));
  TIERSCOPE_ASSIGN_OR_RETURN(side_band_, SideBand::Make(plan_, backend_, *store_, options_.poison));
  decode_step_->set_inspector(options_.inspector);
  for (int32_t profile = 0; profile < plan_.profile_count(); ++profile) {
    contents_.emplace_back(ShapeOf(profile));
    TIERSCOPE_RETURN_IF_ERROR(CheckCancelled());
  }
  return absl::OkStatus();
}

ContentShape Executor::ShapeOf(int32_t profile) const {
  const int64_t prompt_tokens = plan_.profile_prompt_tokens[Size(profile)];
  const bool followed =
      std::any_of(plan_.requests.begin(), plan_.requests.end(),
                  [&](const RequestPlan& request) { return request.profile == profile; });
  ContentShape shape;
  shape.seed = plan_.scenario.seed();
  shape.profile = profile;
  shape.csa_layers = plan_.csa_layers;
  shape.target_layers = kMemoryLayers;
  shape.tokens_per_entry = plan_.tokens_per_entry;
  shape.tick_stride_steps = plan_.stride_steps;
  // Of a trace's profiles only those that serve a request are made; live ones may be recorded.
  if (!followed && plan_.mode == RealMode::kReplay) return shape;
  shape.prompt_entries = prompt_tokens / plan_.tokens_per_entry;
  shape.entry_count = (prompt_tokens + plan_.step_count + 1) / plan_.tokens_per_entry;
  shape.step_count = static_cast<int32_t>(plan_.step_count);
  return shape;
}

absl::Status Executor::CheckCancelled() const {
  if (options_.cancelled == nullptr || !options_.cancelled->load()) return absl::OkStatus();
  return absl::CancelledError("interrupted; nothing is written of a run that is not whole");
}

absl::Status Executor::Reset() {
  side_band_->Drain();
  side_band_->Reset();
  pass_ = PassRecord();
  pass_.requests.resize(plan_.requests.size());
  decoding_.assign(plan_.requests.size(), Decoding());
  due_.clear();
  retired_.clear();
  steps_ = 0;
  cold_count_ = 0;
  next_ = StepRecord();
  TIERSCOPE_RETURN_IF_ERROR(store_->PoisonReserve());
  for (int32_t request = 0; request < plan_.request_count(); ++request) {
    TIERSCOPE_RETURN_IF_ERROR(CheckCancelled());
    TIERSCOPE_RETURN_IF_ERROR(store_->LoadPrompt(request, ContentOf(request)));
  }
  admitted_ = 0;
  blocks_promised_ = 0;
  Admit();
  return absl::OkStatus();
}

absl::StatusOr<PassRecord> Executor::RunPass(bool profiled) {
  TIERSCOPE_RETURN_IF_ERROR(Reset());
  origin_ns_ = backend_.HostNs();
  boundary_ns_ = 0;
  const absl::Status status = RunSteps(profiled);
  side_band_->Drain();
  TIERSCOPE_RETURN_IF_ERROR(status);
  TIERSCOPE_RETURN_IF_ERROR(side_band_->writeback_status());
  pass_.end_ns = Now();
  pass_.blocks_peak = side_band_->held_count_peak();
  pass_.writebacks = side_band_->TakeWritebacks();
  for (WritebackSpan& span : pass_.writebacks) {
    span.begin_ns -= origin_ns_;
    span.end_ns -= origin_ns_;
  }
  return std::move(pass_);
}

bool Executor::AllFinished() const {
  return std::all_of(decoding_.begin(), decoding_.end(),
                     [](const Decoding& d) { return d.finished; });
}

absl::Status Executor::RunSteps(bool profiled) {
  // A step begins where the one before it ended: its waits are its own.
  std::optional<PhaseRange> range(std::in_place, Phase::kStep, steps_);
  while (!AllFinished()) {
    TIERSCOPE_RETURN_IF_ERROR(CheckCancelled());
    TIERSCOPE_RETURN_IF_ERROR(side_band_->writeback_status());
    TIERSCOPE_RETURN_IF_ERROR(Step(profiled));
    range.reset();
    TIERSCOPE_RETURN_IF_ERROR(AfterStep());
    if (!AllFinished()) range.emplace(Phase::kStep, steps_);
    TIERSCOPE_RETURN_IF_ERROR(Proceed());
  }
  return absl::OkStatus();
}

// Entries of the active pages: all of them are full but for the newest of the history.
int64_t Executor::ActiveEntries(int32_t request) const {
  const Decoding& state = At(request);
  if (state.pages.empty()) return 0;
  const int64_t entries = plan_.EntriesAt(Plan(request), state.completed);
  const int64_t last = int64_t{state.pages.back()} * kPageEntries;
  return (static_cast<int64_t>(state.pages.size()) - 1) * kPageEntries +
         std::clamp<int64_t>(entries - last, 0, kPageEntries);
}

absl::Status Executor::Step(bool profiled) {
  rows_.clear();
  next_.begin_ns = boundary_ns_;
  for (int32_t request = 0; request < plan_.request_count(); ++request) {
    Decoding& state = At(request);
    if (!state.in_batch) continue;
    if (state.completed == 1) pass_.requests[Size(request)].step_offset = steps_ - 1;
    const int64_t tokens = Plan(request).context_tokens + state.completed + 1;
    int32_t block = -1;
    if (!state.cold && tokens % plan_.tokens_per_entry == 0) {
      const int64_t page = (tokens / plan_.tokens_per_entry - 1) / kPageEntries;
      block = side_band_->BlockOf(request, static_cast<PageIndex>(page));
      TIERSCOPE_CHECK(block >= 0);  // the page that fills is pinned
    }
    TIERSCOPE_RETURN_IF_ERROR(
        store_->AppendToken(request, state.completed, block, ContentOf(request)).status());
    rows_.push_back({request, state.completed, state.pages, state.blocks, ActiveEntries(request),
                     &ContentOf(request)});
    next_.active_pages += static_cast<int64_t>(state.pages.size());
    next_.context_tokens += tokens - 1;
  }
  next_.batch = static_cast<int32_t>(rows_.size());
  TIERSCOPE_RETURN_IF_ERROR(decode_step_->Run(steps_, rows_, profiled ? &next_.kernels : nullptr));
  boundary_ns_ = Now();
  next_.duration_ns = boundary_ns_ - next_.begin_ns;
  for (int i = 0; i < kPhaseCount; ++i) {
    KernelTimes::Family& family = next_.kernels.families[Size(i)];
    if (family.duration_ns > 0) family.begin_ns -= origin_ns_;
  }
  pass_.steps.push_back(std::exchange(next_, StepRecord()));
  return absl::OkStatus();
}

// What a step's end brings, in the simulator's order: first steps, ends, full pages, ticks.
absl::Status Executor::AfterStep() {
  ++steps_;
  for (const StepRow& row : rows_) {
    Decoding& state = At(row.request);
    ++state.completed;
    if (state.completed == 1) pass_.requests[Size(row.request)].first_token_ns = boundary_ns_;
    if (state.completed == Plan(row.request).output_tokens) Finish(row.request);
  }
  if (!side_band_->in_flight()) CloseRetired();
  for (const StepRow& row : rows_) TIERSCOPE_RETURN_IF_ERROR(AfterOwnStep(row.request));
  DropEvicted();
  return absl::OkStatus();
}

absl::Status Executor::AfterOwnStep(int32_t request) {
  Decoding& state = At(request);
  if (state.finished) return absl::OkStatus();
  if (state.cold) {
    due_.push_back(request);
    return absl::OkStatus();
  }
  const int64_t tokens = Plan(request).context_tokens + state.completed;
  if (tokens % plan_.memory.page_tokens == 0) {
    const int32_t sealed = state.opened.back();
    side_band_->WriteBack(request, sealed,
                          side_band_->BlockOf(request, static_cast<PageIndex>(sealed)), steps_ - 1);
    TIERSCOPE_RETURN_IF_ERROR(OpenPage(request));
  }
  if (state.completed == state.tick_due) due_.push_back(request);
  return absl::OkStatus();
}

// First come, first served: the next request waits until the reserve has as many blocks as it can
// ever pin. Its prompt lies in the pools from the start.
void Executor::Admit() {
  for (; admitted_ < plan_.request_count(); ++admitted_) {
    const int64_t blocks = Plan(admitted_).promised_blocks;
    if (blocks_promised_ + blocks > plan_.reserve_blocks) return;
    blocks_promised_ += blocks;
    side_band_->Open(admitted_);
    At(admitted_).in_batch = true;
  }
}

void Executor::Finish(int32_t request) {
  Decoding& state = At(request);
  state.finished = true;
  state.in_batch = false;
  blocks_promised_ -= Plan(request).promised_blocks;
  RequestRecord& record = pass_.requests[Size(request)];
  record.end_ns = boundary_ns_;
  record.end_step = steps_;
  side_band_->Retire(request);
  retired_.push_back(request);
}

// Blocks of finished requests, which a job in flight may still be filling, are given back.
void Executor::CloseRetired() {
  for (const int32_t request : retired_) side_band_->Close(request);
  retired_.clear();
}

// The page that the next entries fill: active from birth, on the device without a recall.
absl::Status Executor::OpenPage(int32_t request) {
  Decoding& state = At(request);
  const auto page = static_cast<int32_t>((Plan(request).context_tokens + state.completed) /
                                         plan_.memory.page_tokens);
  const int32_t held = side_band_->BlockOf(request, static_cast<PageIndex>(page));
  const int32_t evicted = side_band_->Grow(request, static_cast<PageIndex>(page));
  if (steps_ > plan_.warmup_steps) pass_.pages_evicted_for_growth += evicted;
  state.opened.push_back(page);
  if (held >= 0) return absl::OkStatus();
  if (options_.poison) {
    const int32_t block = side_band_->BlockOf(request, static_cast<PageIndex>(page));
    TIERSCOPE_RETURN_IF_ERROR(store_->PoisonBlock(Stream::kDecode, block));
  }
  state.pages.push_back(page);
  side_band_->SetActive(request, state.pages, &state.blocks);
  NoteSet(request);
  return absl::OkStatus();
}

// Pages that lost their blocks while they were decoded with: missed from the next step on.
void Executor::DropEvicted() {
  for (const EvictedPage& evicted : side_band_->TakeEvictions()) {
    Decoding& state = At(evicted.slot);
    const auto at = std::lower_bound(state.pages.begin(), state.pages.end(), int32_t{evicted.page});
    if (at == state.pages.end() || *at != evicted.page) continue;
    state.blocks[Size(at - state.pages.begin())] = -1;
    NoteSet(evicted.slot);
  }
}

void Executor::NoteSet(int32_t request) {
  const Decoding& state = At(request);
  std::vector<ActiveSet>& sets = pass_.requests[Size(request)].sets;
  if (!sets.empty() && sets.back().from_step == state.completed) sets.pop_back();
  ActiveSet set{state.completed, {}, {}};
  for (size_t i = 0; i < state.pages.size(); ++i) {
    const auto page = static_cast<PageIndex>(state.pages[i]);
    set.pages.push_back(page);
    if (state.blocks[i] < 0) set.lost.push_back(page);
  }
  sets.push_back(std::move(set));
}

// At a boundary: take what was published, launch the job of due ticks, wait where the policy waits.
absl::Status Executor::Proceed() {
  TIERSCOPE_RETURN_IF_ERROR(TakePublished());
  Admit();
  if (!due_.empty()) {
    if (side_band_->in_flight()) TIERSCOPE_RETURN_IF_ERROR(WaitForJob(/*join=*/true));
    TIERSCOPE_RETURN_IF_ERROR(LaunchJob());
    if (sync_) TIERSCOPE_RETURN_IF_ERROR(WaitForJob(/*join=*/false));
  }
  const auto decodes = [](const Decoding& d) { return d.in_batch; };
  const bool idle = std::none_of(decoding_.begin(), decoding_.end(), decodes);
  if (idle && cold_count_ > 0) TIERSCOPE_RETURN_IF_ERROR(WaitForJob(/*join=*/false));
  return absl::OkStatus();
}

absl::Status Executor::LaunchJob() {
  Job job;
  job.number = static_cast<int64_t>(pass_.jobs.size());
  job.batch_step = steps_ - 1;
  std::sort(due_.begin(), due_.end());
  for (const int32_t request : due_) {
    Decoding& state = At(request);
    JobTick tick;
    tick.request = request;
    tick.own_step = state.completed - 1;
    tick.entries = plan_.EntriesAt(Plan(request), tick.own_step);
    tick.first = state.cold;
    tick.content = &ContentOf(request);
    if (options_.demand != nullptr) {
      const auto& profile = options_.demand->profiles[Size(Plan(request).profile)];
      tick.forced = profile.WantList(static_cast<int32_t>(tick.own_step / plan_.stride_steps));
    }
    job.ticks.push_back(std::move(tick));
    if (state.cold) {
      ++cold_count_;
      if (!sync_) state.in_batch = false;
    } else {
      const int64_t next = state.completed + plan_.tau_steps;
      state.tick_due = next < Plan(request).output_tokens ? next : -1;
    }
  }
  due_.clear();
  pass_.jobs.emplace_back();
  return side_band_->Launch(std::move(job));
}

absl::Status Executor::TakePublished() {
  DropEvicted();
  std::unique_ptr<Job> done = side_band_->TakeDone();
  if (done == nullptr) return absl::OkStatus();
  TIERSCOPE_RETURN_IF_ERROR(done->status);
  for (int64_t* ns :
       {&done->launched_ns, &done->started_ns, &done->score_begin_ns, &done->score_end_ns,
        &done->select_end_ns, &done->recall_begin_ns, &done->recall_end_ns, &done->done_ns}) {
    *ns -= origin_ns_;
  }
  CloseRetired();
  JobRecord& record = pass_.jobs.back();
  record.published_ns = Now();
  record.publish_step = steps_;
  for (const JobTick& tick : done->ticks) {
    Decoding& state = At(tick.request);
    if (tick.first) --cold_count_;
    if (state.finished) continue;
    Activate(tick, plan_.EntriesAt(Plan(tick.request), tick.own_step));
    if (tick.first) TIERSCOPE_RETURN_IF_ERROR(AfterFirstPublish(tick.request));
  }
  record.job = std::move(*done);
  DropEvicted();
  return absl::OkStatus();
}

// The list of the tick, and the pages that were opened since, become the active set.
void Executor::Activate(const JobTick& tick, int64_t entries) {
  Decoding& state = At(tick.request);
  state.pages.assign(tick.list.begin(), tick.list.end());
  const int64_t formed = (entries + kPageEntries - 1) / kPageEntries;
  for (const int32_t page : state.opened) {
    if (page >= formed) state.pages.push_back(page);
  }
  side_band_->SetActive(tick.request, state.pages, &state.blocks);
  NoteSet(tick.request);
}

absl::Status Executor::AfterFirstPublish(int32_t request) {
  Decoding& state = At(request);
  state.cold = false;
  state.in_batch = true;
  TIERSCOPE_RETURN_IF_ERROR(OpenPage(request));
  const Policy& policy = plan_.scenario.policy();
  int64_t window = plan_.tau_steps;
  if (policy.phase() != Policy::OWN_STEPS) {
    const bool staggered = policy.phase() == Policy::STAGGERED;
    const int64_t place =
        staggered ? StaggeredPlace(plan_.tau_steps, plan_.stride_steps, request) : 0;
    window = FirstWindowSteps(plan_.tau_steps, plan_.stride_steps, place, steps_);
  }
  const int64_t due = window + 1;  // the first tick stood behind own step 0
  state.tick_due = due < Plan(request).output_tokens ? due : -1;
  return absl::OkStatus();
}

void Executor::CountWait(Phase phase, int64_t ns) {
  for (size_t i = 0; i < std::size(kWaitPhases); ++i) {
    if (kWaitPhases[i] == phase) next_.wait_ns[i] += std::max<int64_t>(0, ns);
  }
}

// A synchronous job's wait by its parts: what ran before it, scoring and selection, the copies. The
// part of requests that had their first tick is the price of admission: of the copies by pages, of
// the rest by entries, as the simulator shares them.
void Executor::CountSyncWait(const JobRecord& record, int64_t begin_ns, int64_t end_ns) {
  const Job& job = record.job;
  int64_t entries = 0, entries_first = 0, pages = 0, pages_first = 0;
  for (const JobTick& tick : job.ticks) {
    entries += tick.entries;
    pages += tick.missing;
    if (!tick.first) continue;
    entries_first += tick.entries;
    pages_first += tick.missing;
  }
  const auto count = [this](Phase phase, int64_t ns, int64_t part, int64_t whole) {
    const int64_t first = part == whole ? ns : ns * part / whole;
    CountWait(Phase::kWaitAdmission, first);
    CountWait(phase, ns - first);
  };
  const int64_t started = std::clamp(job.started_ns, begin_ns, end_ns);
  const int64_t selected = std::clamp(job.select_end_ns, started, end_ns);
  count(Phase::kWaitQueue, started - begin_ns, entries_first, entries);
  count(Phase::kWaitIndex, selected - started, entries_first, entries);
  if (pages == 0) return CountWait(Phase::kWaitTransfer, end_ns - selected);
  count(Phase::kWaitTransfer, end_ns - selected, pages_first, pages);
}

// Waits until the job in flight is published. `join`: a due tick has to wait for it; else a
// synchronous job, or the first pages of an empty batch, are waited for.
absl::Status Executor::WaitForJob(bool join) {
  const int64_t begin_ns = Now();
  if (next_.wait_begin_ns == 0) next_.wait_begin_ns = begin_ns;
  const size_t job = pass_.jobs.size() - 1;
  std::optional<PhaseRange> range;
  if (join || cold_count_ > 0) {
    range.emplace(join ? Phase::kWaitJoin : Phase::kWaitAdmission, steps_);
  }
  while (side_band_->in_flight()) {
    side_band_->WaitForNews(kNewsMs);
    TIERSCOPE_RETURN_IF_ERROR(CheckCancelled());
    TIERSCOPE_RETURN_IF_ERROR(TakePublished());
  }
  pass_.jobs[job].joined = join;
  const int64_t end_ns = Now();
  if (join) {
    CountWait(Phase::kWaitJoin, end_ns - begin_ns);
  } else {
    CountSyncWait(pass_.jobs[job], begin_ns, end_ns);
  }
  return absl::OkStatus();
}

}  // namespace tierscope
