#include "sim/engine/replica.h"

#include <algorithm>

#include "scenarios/memory.h"
#include "sim/base/units.h"
#include "sim/model/footprint.h"

namespace tierscope {
namespace {

// Groups other than the first draw profiles of their own.
uint64_t SeedOf(uint64_t seed, int32_t index) {
  return seed + static_cast<uint64_t>(index) * 0x9e3779b97f4a7c15ULL;
}

// An open loop's bound is a replica's, and its groups share it; a closed loop's users are the
// fleet's.
int32_t MaxConcurrency(const Scenario& scenario) {
  const Workload& workload = scenario.workload();
  const bool closed = workload.arrivals() == Workload::CLOSED_LOOP;
  return closed ? workload.concurrency()
                : static_cast<int32_t>(
                      CeilDiv(workload.concurrency(), scenario.engine().dp_attention()));
}

int64_t DramBytesPerSecondOfRank(const Scenario& scenario) {
  const Node& node = scenario.node();
  const int64_t ranks_of_socket = CeilDiv(RanksOfNode(scenario), std::max(1, node.sockets()));
  return std::max<int64_t>(1, node.dram_bytes_per_s_per_socket() / ranks_of_socket);
}

}  // namespace

Replica::Replica(const Scenario& scenario, const MemoryPlan& plan, const WindowDemand* demand,
                 const RequestTrace* trace, Observer* observer, const ReplicaOptions& options,
                 int32_t index, EventQueue& queue, Arrivals& arrivals, Lockstep& lockstep)
    : options_(options),
      policy_(scenario.policy()),
      engine_(scenario.engine()),
      plan_(plan),
      demand_(demand),
      observer_(observer),
      step_model_(scenario),
      beside_(scenario),
      recall_model_(scenario),
      residency_(static_cast<int32_t>(plan.reserve_blocks), scenario.policy().eviction(),
                 scenario.policy().publish()),
      dram_bytes_per_s_(DramBytesPerSecondOfRank(scenario)),
      bandwidth_(dram_bytes_per_s_),
      max_concurrency_(MaxConcurrency(scenario)),
      index_(index),
      queue_(queue),
      arrivals_(arrivals),
      lockstep_(lockstep),
      slo_(scenario.engine().has_slo() ? &scenario.engine().slo() : nullptr),
      warmup_steps_(int64_t{scenario.engine().warmup_windows()} * scenario.policy().tau_steps()),
      conservation_(options.check) {
  lockstep_.groups.push_back(this);
  horizon_ = engine_.simulated_s() > 0 ? SimTime{} + DurationFromSeconds(engine_.simulated_s())
                                       : kClockEnd;
  host_usable_bytes_ = plan.host_usable_bytes_node;
  grown_pages_max_ = GrownPagesMax(demand);
  if (plan.prefix_bytes_node > 0) {
    prefix_.emplace(engine_.prefix_store().eviction(), *trace,
                    PrefixCapacity(engine_.prefix_store(), plan, *trace));
  }
  hbm_fixed_bytes_ = plan.hbm_weight_bytes + plan.hbm_fixed_bytes + plan.hbm_index_fixed_bytes +
                     plan.hbm_reserve_bytes;
  entry_bytes_ = scenario.model().kv_entry_bytes();
  flow_end_.fill(kSimTimeNever);
  publish_fixed_ = DurationFromSeconds(policy_.publish_fixed_ms() * 1e-3);
  host_contention_ = DurationFromSeconds(engine_.host_contention_ms_per_step() * 1e-3);
  fetch_layers_ = DurationFromSeconds(policy_.fetch_layer_us() * 1e-6 *
                                      static_cast<double>(scenario.model().csa_layers()));
  InitLink(scenario);
  if (tiered()) {
    assigner_.emplace(*demand_, SeedOf(scenario.seed(), index),
                      scenario.workload().attention().random_offset());
    outcome_.profile_use.resize(demand_->profiles.size());
  }
}

void Replica::InitLink(const Scenario& scenario) {
  const Link& link = scenario.hardware().host_link();
  const Node& node = scenario.node();
  const int64_t ranks_of_switch =
      std::clamp<int64_t>(node.gpus_per_switch(), 1, RanksOfNode(scenario));
  const int64_t switch_share = std::max<int64_t>(1, node.switch_bytes_per_s() / ranks_of_switch);
  swap_in_cap_bytes_per_s_ = std::min(link.peak_bytes_per_s(), switch_share);
  writeback_cap_bytes_per_s_ = std::min(link.device_to_host_bytes_per_s(), switch_share);
  ingest_cap_bytes_per_s_ = node.network_bytes_per_s_per_gpu();
  tier_links_[0].bytes_per_s = node.nvme_read_bytes_per_s();
  tier_links_[0].latency = DurationFromSeconds(node.nvme_latency_us() * 1e-6);
  tier_links_[1].bytes_per_s = node.remote_read_bytes_per_s();
  tier_links_[1].latency = DurationFromSeconds(node.remote_latency_us() * 1e-6);
}

void Replica::Start() {
  if (warmup_steps_ == 0) EndWarmup(SimTime{});
}

void Replica::Handle(const Event& event) {
  const SimTime now{event.key};
  conservation_.Clock(now);
  switch (static_cast<Phase>(event.phase())) {
    case kArrival:  // the fleet's: OnArrival
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
  lockstep_.stepping = false;
  CountStep(now);
  for (Replica* group : lockstep_.groups) {
    if (group->chunk_tokens_ > 0) group->FinishChunk(now);
    group->RunStepEvents(now);
  }
  if (lockstep_.steps == warmup_steps_) {
    for (Replica* group : lockstep_.groups) group->EndWarmup(now);
  }
  RequestBoundary(now);
}

// Asks for the boundary's work once everything else of this instant is done.
void Replica::RequestBoundary(SimTime now) {
  if (lockstep_.boundary_requested) return;
  lockstep_.boundary_requested = true;
  lockstep_.lead().Push(now.ns, kBoundary, 0);
}

bool Replica::AnyBlocks() const {
  return std::any_of(lockstep_.groups.begin(), lockstep_.groups.end(),
                     [](const Replica* group) { return group->Blocks(); });
}

// Nobody decodes, nobody is about to, and first pages are on their way.
bool Replica::StillCold() const {
  bool cold = false;
  for (const Replica* group : lockstep_.groups) {
    if (!group->joining_.empty() || !group->chunk_queue_.empty()) return false;
    cold |= group->cold_recalls_ > 0;
  }
  return cold;
}

// A group that waits holds up all.
void Replica::OnBoundary(SimTime now) {
  lockstep_.boundary_requested = false;
  if (wait_ == Wait::kFetch) fetch_.boundary_due = true;
  if (lockstep_.stepping || AnyBlocks()) return;
  if (lockstep_.idle) {
    lockstep_.idle_total += now - lockstep_.idle_since;
    lockstep_.boundary = now;
  }
  lockstep_.idle = false;
  for (Replica* group : lockstep_.groups) group->AdmitWaiting(now);
  if (wait_ == Wait::kColdRecall) {
    if (StillCold()) return;
    EndWait(StallCause::kAdmission, now);
  }
  for (Replica* group : lockstep_.groups) group->TakeUp(now);
  if (!AnyBlocks()) Proceed(now);
}

void Replica::RunStepEvents(SimTime now) {
  while (!step_queue_.empty() && step_queue_.next().key <= lockstep_.tokens) {
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
  DropSurplus(request, 1);  // nothing is drafted before a request's first step
  request.first_token = now;
  if (request.output_tokens() == 1) {
    Finish(slot, now);
  } else if (ticks()) {
    due_.push_back(slot);
  } else {
    ScheduleSteps(slot, now);
  }
}

// The page that was filling is sealed and written back, and the next one opens.
void Replica::OnPageFull(int32_t slot, SimTime now) {
  if (!MakeRoomForPage(slot, now)) return;
  if (ticks()) OpenPage(slot, now);
  RequestState& request = At(slot);
  // Of the step's tokens those behind the page's end; a recording that starts over hides where that
  // was.
  const int64_t gained = lockstep_.tokens - lockstep_.clock.At(lockstep_.steps - 1);
  const int64_t beyond =
      std::min(plan_.page_tokens - request.StepsToNextPage(Completed(request)), gained - 1);
  const int64_t own_tokens = request.context_tokens() + Completed(request) - beyond;
  const int64_t pages = std::max(request.host_pages, CeilDiv(own_tokens, plan_.page_tokens));
  host_pages_in_use_ += pages - request.host_pages;
  request.host_pages = pages;
  RaisePeaks();
  if (plan_.has_cold_pool) ++counters_.pages_written_back;
  writeback_bytes_ += plan_.recall_page_bytes;
  StartWriteback(now);
  SchedulePageFull(slot);
}

// The page that the next generated entries fill: active from birth, in HBM without a recall.
void Replica::OpenPage(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  const PageIndex page = request.OpenPageAfter(Completed(request));
  // The list of the first tick has the open page.
  const bool held = plan_.has_reserve
                        ? residency_.Holds(slot, page)
                        : request.demand->Wants(request.PositionOf(request.active_window), page);
  if (plan_.has_reserve) residency_.Grow(slot, page);
  HandleEvicted(now);
  Tell(RequestEvent::kGrow, now, request, page);
  if (held) return;
  request.active_pages += 1;
  if (!request.in_batch) return;
  batch_active_pages_ += 1;
  batch_.scored_entries += kPageEntries;
}

// At a step boundary: lets requests in and takes their due ticks, or waits. A request that has
// tokens and no pages, after a preemption or a prefill on the replica, has its tick first, and
// decodes beside it only if it decodes cold.
void Replica::TakeUp(SimTime now) {
  for (int32_t slot : joining_) {
    const bool tick_due = ticks() && At(slot).cold && At(slot).steps_completed > 0;
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
  if (due_.empty()) return;
  LaunchJob(now);
  if (sync()) BeginWait(Wait::kSync, now);
}

// Runs the next step, waits, or falls idle.
void Replica::Proceed(SimTime now) {
  bool work = false, cold = false;
  for (const Replica* group : lockstep_.groups) {
    work |= group->HasWork();
    cold |= group->cold_recalls_ > 0;
  }
  if (work) {
    for (Replica* group : lockstep_.groups) {
      if (!group->swap_outs_.empty()) group->BeginWait(Wait::kSwapOut, now);
    }
    return AnyBlocks() ? void() : StartStep(now);
  }
  if (cold) return BeginWait(Wait::kColdRecall, now);
  lockstep_.idle = true;
  lockstep_.idle_since = lockstep_.boundary;
}

ReplicaOutcome Replica::Outcome(SimTime end) {
  SettleAccounts();
  CountAdmissionWait(end);
  if (half_of_requests_ != kSimTimeNever) MarkHalfOfRequests();
  if (half_of_steps_ != kSimTimeNever) MarkHalfOfSteps();
  if (!lockstep_.idle && &lockstep_.lead() == this) CountCutWaits(end);  // before the other groups
  FillHalves();
  if (job_.in_flight) counters_.sideband_busy += end - std::max(counting_from_, job_.launched);
  if (job_.on_link) counters_.link_busy += end - std::max(counting_from_, job_.link_begin);
  if (swapping_in_) counters_.link_busy += end - std::max(counting_from_, swap_in_begin_);
  if (wait_ == Wait::kFetch) counters_.link_busy += end - std::max(counting_from_, wait_begin_);
  CheckInvariants(end);
  outcome_.shares.push_back({end - counting_from_, counters_.decode, counters_.prefill_only,
                             counters_.link_busy, counters_.output_tokens, counters_.request_ns,
                             counters_.slo_met, tokens_routed_});
  if (observer_ != nullptr) observer_->Finished(end, counters_);
  outcome_.counters = std::move(counters_);
  outcome_.peaks.blocks_in_use = residency_.held_count_peak();
  if (prefix_) {
    outcome_.peaks.prefix_blocks = prefix_->host_blocks_peak();
    outcome_.peaks.nvme_blocks = prefix_->lower_blocks_peak(LowerTier::kNvme);
    outcome_.peaks.remote_blocks = prefix_->lower_blocks_peak(LowerTier::kRemote);
  }
  outcome_.end = end;
  outcome_.warmup_end = warmup_end_;
  outcome_.groups_in_warmup = warmup_end_ ? 0 : 1;
  outcome_.event_digest = digest_.hex();
  return std::move(outcome_);
}

}  // namespace tierscope
