#include "sim/engine/replica.h"

#include <algorithm>

#include "sim/base/units.h"
#include "sim/model/footprint.h"

namespace tierscope {
namespace {

constexpr int64_t kProgressMask = (int64_t{1} << 20) - 1;

int64_t DramBytesPerSecondOfRank(const Scenario& scenario) {
  const Node& node = scenario.node();
  const int64_t ranks_of_socket =
      CeilDiv(RanksThatShare(scenario.engine()), std::max(1, node.sockets()));
  return std::max<int64_t>(1, node.dram_bytes_per_s_per_socket() / ranks_of_socket);
}

// Measured slowdowns, or the engine's factors, by which a job is not slowed itself.
Beside BesideOf(const Scenario& scenario) {
  const Engine& engine = scenario.engine();
  Beside beside = {engine.level1_interference(), 1.0, 1.0, engine.gather_interference(), 1.0, 1.0,
                   engine.recall_interference()};
  if (!scenario.hardware().has_measured_ops()) return beside;
  const MeasuredOps& ops = scenario.hardware().measured_ops();
  const double by_score = std::max(1.0, ops.step_beside_score());
  const double by_copy = std::max(1.0, ops.step_beside_copy());
  return {by_score - 1.0,      by_score, std::max(1.0, ops.score_beside_step()),
          by_copy - 1.0,       by_copy,  std::max(1.0, ops.copy_beside_step()),
          /*recall_write=*/0.0};
}

}  // namespace

Replica::Replica(const Scenario& scenario, const MemoryPlan& plan, const WindowDemand* demand,
                 const RequestTrace* trace, Observer* observer, const ReplicaOptions& options)
    : options_(options),
      policy_(scenario.policy()),
      engine_(scenario.engine()),
      plan_(plan),
      demand_(demand),
      observer_(observer),
      step_model_(scenario),
      beside_(BesideOf(scenario)),
      measured_(scenario.hardware().has_measured_ops()),
      recall_model_(scenario),
      source_(scenario, trace),
      residency_(static_cast<int32_t>(plan.reserve_blocks), scenario.policy().eviction(),
                 scenario.policy().publish()),
      dram_bytes_per_s_(DramBytesPerSecondOfRank(scenario)),
      bandwidth_(dram_bytes_per_s_),
      max_concurrency_(scenario.workload().concurrency()),
      prefill_free_(scenario.engine().prefill_instances()),
      slo_(scenario.engine().has_slo() ? &scenario.engine().slo() : nullptr),
      warmup_steps_(int64_t{scenario.engine().warmup_windows()} * scenario.policy().tau_steps()),
      conservation_(options.check) {
  host_usable_bytes_ = plan.host_usable_bytes_node;
  if (plan.prefix_bytes_node > 0) {
    prefix_.emplace(engine_.prefix_store().eviction(), *trace,
                    PrefixCapacity(engine_.prefix_store(), plan, *trace));
  }
  hbm_fixed_bytes_ = plan.hbm_weight_bytes + plan.hbm_fixed_bytes + plan.hbm_index_fixed_bytes +
                     plan.hbm_reserve_bytes;
  flow_end_.fill(kSimTimeNever);
  publish_fixed_ = DurationFromSeconds(policy_.publish_fixed_ms() * 1e-3);
  host_contention_ = DurationFromSeconds(engine_.host_contention_ms_per_step() * 1e-3);
  InitLink(scenario);
  if (tiered()) {
    assigner_.emplace(*demand_, scenario.seed(), scenario.workload().attention().random_offset());
    outcome_.profile_use.resize(demand_->profiles.size());
  }
}

void Replica::InitLink(const Scenario& scenario) {
  const Link& link = scenario.hardware().host_link();
  const Node& node = scenario.node();
  const int64_t ranks_of_switch =
      std::clamp<int64_t>(node.gpus_per_switch(), 1, RanksThatShare(scenario.engine()));
  const int64_t switch_share = node.switch_bytes_per_s() / ranks_of_switch;
  swap_in_cap_bytes_per_s_ = std::min(link.peak_bytes_per_s(), switch_share);
  writeback_cap_bytes_per_s_ = std::min(link.device_to_host_bytes_per_s(), switch_share);
  ingest_cap_bytes_per_s_ = node.network_bytes_per_s_per_gpu();
  tier_links_[0].bytes_per_s = node.nvme_read_bytes_per_s();
  tier_links_[0].latency = DurationFromSeconds(node.nvme_latency_us() * 1e-6);
  tier_links_[1].bytes_per_s = node.remote_read_bytes_per_s();
  tier_links_[1].latency = DurationFromSeconds(node.remote_latency_us() * 1e-6);
}

ReplicaOutcome Replica::Run() {
  horizon_ = engine_.simulated_s() > 0 ? SimTime{} + DurationFromSeconds(engine_.simulated_s())
                                       : kSimTimeNever;
  SimTime now;
  if (warmup_steps_ == 0) EndWarmup(now);
  PullArrival();
  while (!Stuck(now) && !queue_.empty() && queue_.next().key <= horizon_.ns) {
    const SimTime next{queue_.next().key};
    conservation_.Clock(next);
    if (next > now) events_at_instant_ = arrived_at_instant_ = 0;
    now = next;
    if ((++outcome_.events & kProgressMask) == 0 && observer_ != nullptr) observer_->Progress(now);
    const Event event = queue_.Pop();
    if (event.phase() != kArrival) --work_pending_;
    if (options_.fault.kind == Fault::kNone || !Sabotage(event)) Dispatch(event);
  }
  return Outcome(horizon_ == kSimTimeNever || !outcome_.stuck.empty() ? now : horizon_);
}

void Replica::Dispatch(const Event& event) {
  const SimTime now{event.key};
  switch (static_cast<Phase>(event.phase())) {
    case kArrival:
      OnArrivalEvent(event, now);
      return;
    case kPrefillDone:
      OnPrefillDone(event.subject, now);
      return;
    case kFetchReady:
      OnFetchReady(event.subject, now);
      return;
    case kFlowDone:
      OnFlowDone(event, now);
      return;
    case kLevel1Scored:
      OnScored(now);
      return;
    case kPublished:
      Publish(now);
      return;
    case kStepEnd:
      OnStepEnd(now);
      return;
    case kBoundary:
      OnBoundary(now);
      return;
  }
}

void Replica::Record(RequestEvent::Kind kind, SimTime now, const RequestState& r, int64_t value) {
  digest_.Add(static_cast<uint64_t>(kind));
  digest_.Add(static_cast<uint64_t>(now.ns));
  digest_.Add(static_cast<uint64_t>(r.id));
  digest_.Add(static_cast<uint64_t>(value));
  Tell(kind, now, r, value);
}

void Replica::OnStepEnd(SimTime now) {
  stepping_ = false;
  CountStep(now);
  if (chunk_tokens_ > 0) FinishChunk(now);
  RunStepEvents(now);
  if (steps_ == warmup_steps_) EndWarmup(now);
  RequestBoundary(now);
}

// A step ends: what it did to batch, memory and counters.
void Replica::CountStep(SimTime end) {
  ++steps_;
  const SimDuration length = end - boundary_;
  counters_.steps += 1;
  counters_.output_tokens += batch_.requests;
  counters_.decode += length;
  counters_.seconds.Add(counters_.decode, batch_.requests);
  counters_.request_ns += static_cast<__int128>(length.ns) * batch_.requests;
  counters_.step_ns.Add(length.ns);
  counters_.step_longest = std::max(counters_.step_longest, length);
  for (size_t cause = 0; cause < step_stall_.size(); ++cause) {
    counters_.stall[cause] += step_stall_[cause];
    step_stall_[cause] = SimDuration{};
  }
  counters_.active_page_steps += batch_active_pages_;
  counters_.context_token_steps += batch_.context_tokens;
  counters_.flop += step_model_.StepFlop(batch_);
  counters_.flop_replicated += step_model_.ReplicatedStepFlop(batch_);
  batch_.context_tokens += batch_.requests;
  tokens_in_use_ += batch_.requests;
  outcome_.peaks.tokens_in_use = std::max(outcome_.peaks.tokens_in_use, tokens_in_use_);
  boundary_ = end;
  CheckMemory();
}

// Asks for the boundary's work once everything else of this instant is done.
void Replica::RequestBoundary(SimTime now) {
  if (boundary_requested_) return;
  boundary_requested_ = true;
  Push(now.ns, kBoundary, 0);
}

void Replica::OnBoundary(SimTime now) {
  boundary_requested_ = false;
  if (stepping_ || wait_ == Wait::kJoin || wait_ == Wait::kSync || wait_ == Wait::kSwapOut) return;
  if (idle_) {
    idle_total_ += now - idle_since_;
    boundary_ = now;
  }
  idle_ = false;
  AdmitWaiting(now);
  if (wait_ == Wait::kColdRecall) {
    if (joining_.empty() && chunk_queue_.empty() && cold_recalls_ > 0) return;
    EndWait(StallCause::kAdmission, now);
  }
  Proceed(now);
}

void Replica::RunStepEvents(SimTime now) {
  while (!step_queue_.empty() && step_queue_.next().key <= steps_) {
    ++outcome_.events;
    OnStepEvent(step_queue_.Pop(), now);
  }
}

void Replica::OnStepEvent(const Event& event, SimTime now) {
  const RequestState& request = At(event.subject);
  if (!request.alive || request.generation != event.stamp) return;
  switch (static_cast<StepPhase>(event.phase())) {
    case kFirstStepDone:
      OnFirstStepDone(event.subject, now);
      return;
    case kFinished:
      Finish(event.subject, now);
      return;
    case kPageFull:
      OnPageFull(event.subject, now);
      return;
    case kGrow:
      OnGrow(event.subject, now);
      return;
    case kTickDue:
      due_.push_back(event.subject);
      return;
  }
}

// Step 0 of a request has run: its first token is out and its first tick is due.
void Replica::OnFirstStepDone(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  request.first_token = now;
  if (request.output_tokens() == 1) {
    Finish(slot, now);
  } else if (tiered()) {
    due_.push_back(slot);
  } else {
    ScheduleSteps(slot, now);
  }
}

// The page that was filling is sealed and written back, and the next one opens.
void Replica::OnPageFull(int32_t slot, SimTime now) {
  if (!MakeRoomForPage(slot, now)) return;
  OpenPage(slot, now);
  RequestState& request = At(slot);
  const int64_t own_tokens = request.context_tokens() + Completed(request);
  const int64_t pages = std::max(request.host_pages, CeilDiv(own_tokens, plan_.page_tokens));
  host_pages_in_use_ += pages - request.host_pages;
  request.host_pages = pages;
  RaisePeaks();
  ++counters_.pages_written_back;
  writeback_bytes_ += plan_.recall_page_bytes;
  StartWriteback(now);
  SchedulePageFull(slot);
}

// The page that the next generated entries fill: active from birth, in HBM without a recall.
void Replica::OpenPage(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  const PageIndex page = request.OpenPageAfter(Completed(request));
  const bool held = residency_.Holds(slot, page);  // the list of the first tick has the open page
  residency_.Grow(slot, page);
  HandleEvicted(now);
  Tell(RequestEvent::kGrow, now, request, page);
  if (held) return;
  request.active_pages += 1;
  if (!request.in_batch) return;
  batch_active_pages_ += 1;
  batch_.scored_entries += kPageEntries;
}

// At a step boundary: let requests in, take due ticks, then run the next step, wait, or fall idle.
// A request that has tokens and no pages, after a preemption or a prefill on the replica, has its
// tick first, and decodes beside it only if it decodes cold.
void Replica::Proceed(SimTime now) {
  for (int32_t slot : joining_) {
    const bool tick_due = tiered() && At(slot).cold && At(slot).steps_completed > 0;
    if (tick_due) due_.push_back(slot);
    if (tick_due && !decodes_cold()) {
      SetStage(slot, Stage::kCold, now);
    } else {
      Join(slot, now);
    }
  }
  joining_.clear();
  if (!due_.empty()) {
    if (job_.in_flight) return BeginWait(Wait::kJoin, now);
    MakeRoomForTicks(now);
  }
  if (!due_.empty()) {
    LaunchJob(now);
    if (sync()) return BeginWait(Wait::kSync, now);
  }
  if (batch_.requests > 0 || !chunk_queue_.empty()) {
    if (!swap_outs_.empty()) return BeginWait(Wait::kSwapOut, now);
    return StartStep(now);
  }
  if (cold_recalls_ > 0) return BeginWait(Wait::kColdRecall, now);
  idle_ = true;
  idle_since_ = boundary_;
}

// Runs steps until one ends with, or is overtaken by, an event: that one goes through the queue.
// Each leapt step is the arithmetic of a step alone.
void Replica::StartStep(SimTime now) {
  for (;;) {
    if (!tiered()) batch_.scored_entries = batch_.context_tokens * kPageEntries / plan_.page_tokens;
    SimDuration base = batch_.requests > 0 ? step_model_.Step(batch_) : SimDuration{};
    if (!chunk_queue_.empty()) base += TakeChunk();
    const SimDuration lengthening = Interference(now, base);
    CountStall(StallCause::kInterference, lengthening);
    const SimTime end = now + base + lengthening;
    if (observer_ != nullptr) {
      observer_->Step(now, end - now, lengthening, batch_.requests);
      observer_->Detail({boundary_, now, end - now, batch_, batch_active_pages_, step_stall_});
    }
    if (!step_model_.Covers(batch_)) ++counters_.steps_extrapolated;
    if (!MayLeap(end)) {
      stepping_ = true;
      step_end_ = end;
      activity_longest_ = std::max(activity_longest_, end - now);
      return Push(end.ns, kStepEnd, 0);
    }
    CountStep(end);
    ++outcome_.steps_leapt;
    now = end;
  }
}

// Nothing happens before, at, or because of the end of a step that begins now.
bool Replica::MayLeap(SimTime end) const {
  return options_.leap && chunk_queue_.empty() && end <= horizon_ &&
         (queue_.empty() || queue_.next().key > end.ns) &&
         (step_queue_.empty() || step_queue_.next().key > steps_ + 1) &&
         steps_ + 1 != warmup_steps_;
}

// Ends the wait at the present boundary and counts it under `cause`.
void Replica::EndWait(StallCause cause, SimTime now) {
  static constexpr const char* kNames[] = {"index",    "queue",     "transfer",    "join",
                                           "eviction", "admission", "interference"};
  CountStall(cause, now - wait_begin_);
  if (observer_ != nullptr) observer_->Wait(wait_begin_, now, kNames[static_cast<size_t>(cause)]);
  wait_ = Wait::kNone;
}

void Replica::EndWarmup(SimTime now) {
  SettleAccounts();
  CountAdmissionWait(now);
  outcome_.arrived_before_warmup_end = outcome_.arrived;
  outcome_.in_system_at_warmup_end = InSystem();
  decode_before_ += counters_.decode;
  tokens_before_ += counters_.output_tokens;
  counters_ = Counters();
  warmup_end_ = counting_from_ = now;
  if (observer_ != nullptr) observer_->WarmupEnded(now);
}

void Replica::SettleAccounts() {
  if (!tiered()) return;
  for (RequestState& request : slots_) {
    if (request.alive) SettleAccount(request);
  }
}

// Counts the selections of all steps that the request has run.
void Replica::SettleAccount(RequestState& request) {
  request.Account(Completed(request) - 1, counters_);
  if (plan_.decode_region_entries == 0) return;
  const int64_t lost = request.EntriesOverflowed(Completed(request), plan_.decode_region_entries);
  counters_.entries_lost += lost - request.entries_lost;
  request.entries_lost = lost;
}

ReplicaOutcome Replica::Outcome(SimTime end) {
  SettleAccounts();
  CountAdmissionWait(end);
  if (job_.in_flight) counters_.sideband_busy += end - std::max(counting_from_, job_.launched);
  if (job_.on_link) counters_.link_busy += end - std::max(counting_from_, job_.link_begin);
  if (swapping_in_) counters_.link_busy += end - std::max(counting_from_, swap_in_begin_);
  CheckInvariants(end);
  outcome_.counters = std::move(counters_);
  outcome_.peaks.blocks_in_use = residency_.held_count_peak();
  if (prefix_) {
    outcome_.peaks.prefix_blocks = prefix_->host_blocks_peak();
    outcome_.peaks.nvme_blocks = prefix_->lower_blocks_peak(LowerTier::kNvme);
    outcome_.peaks.remote_blocks = prefix_->lower_blocks_peak(LowerTier::kRemote);
  }
  outcome_.end = end;
  outcome_.warmup_end = warmup_end_;
  outcome_.event_digest = digest_.hex();
  return std::move(outcome_);
}

}  // namespace tierscope
