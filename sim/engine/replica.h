// One model instance over its tensor-parallel ranks, or with dp_attention one of its attention
// groups: continuous batching, level 1, recall, admission. All ranks of a group do the same at the
// same time (KV, indexing and attention are replicated), so one is simulated; bytes and pages count
// one rank.
//
// Time: the fleet's event queue in nanoseconds drives arrivals, level-1 jobs, transfers and the end
// of each batch step. What recurs with a request's own tokens (ticks, page growth, its end) waits
// in a second queue in units of the token clock (lockstep.h; a token a step without mtp), so a step
// costs nothing for the requests that have no event in it. The groups of an instance share steps:
// the first of them, the lead, handles their end and their boundary for all. README.md beside this
// file has the states and the order of work at a step boundary.
#ifndef TIERSCOPE_SIM_ENGINE_REPLICA_H_
#define TIERSCOPE_SIM_ENGINE_REPLICA_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/base/array_queue.h"
#include "sim/base/digest.h"
#include "sim/base/time.h"
#include "sim/demand/assignment.h"
#include "sim/demand/demand.h"
#include "sim/engine/arrivals.h"
#include "sim/engine/beside.h"
#include "sim/engine/conservation.h"
#include "sim/engine/counters.h"
#include "sim/engine/event_queue.h"
#include "sim/engine/level1_job.h"
#include "sim/engine/lockstep.h"
#include "sim/engine/memory_plan.h"
#include "sim/engine/memory_use.h"
#include "sim/engine/observer.h"
#include "sim/engine/prefix_store.h"
#include "sim/engine/replica_options.h"
#include "sim/engine/request_state.h"
#include "sim/engine/residency.h"
#include "sim/engine/router.h"
#include "sim/model/recall_model.h"
#include "sim/model/shared_bandwidth.h"
#include "sim/model/step_model.h"
#include "sim/policy/page_selection.h"
#include "traces/request_trace.h"

namespace tierscope {

// What an event of the queue ends, and the fields of a scenario that say how long it takes.
struct Activity {
  const char* what;
  const char* fields;
};

// What a run leaves behind before it is turned into metrics.
struct ReplicaOutcome {
  Counters counters;
  Peaks peaks;
  SimTime end;
  std::optional<SimTime> warmup_end;  // nothing: the run ended before, and nothing was left out
  int64_t groups_in_warmup = 0;       // dp_attention groups of which that holds
  int64_t events = 0;                 // taken from the queues
  int64_t steps_leapt = 0;            // batch steps that needed none
  int64_t arrived = 0;
  // The halves of the time from the end of the warm-up to engine.simulated_s; nothing: no such
  // time.
  struct Halves {
    struct Decoded {
      int64_t tokens = 0;  // of counted steps that ended in it
      SimDuration decode;
    };
    int64_t arrived = 0;   // in the second
    int64_t piled_up = 0;  // more requests in the system at the end than at half time
    Decoded first, second;
  };
  std::optional<Halves> halves;
  int64_t finished = 0;                        // of arrived, warm-up included
  int64_t rejected = 0;                        // of arrived, would not fit an empty replica
  std::vector<InvariantViolation> violations;  // empty, or a bug
  std::string stuck;  // not empty: the run cannot go on, and what waits for what or takes too long
  std::string event_digest;
  struct ProfileUse {
    int64_t requests = 0;
    int64_t wraps = 0;        // times a request ran past the profile's end
    int64_t context_off = 0;  // requests whose context is 1.5 times shorter or longer
  };
  std::vector<ProfileUse> profile_use;
  // What no sum over groups gives back: of each dp_attention group of each replica in turn.
  struct Share {
    SimDuration counted;  // from the end of its warm-up to the end of the run
    SimDuration decode;   // as prefill_only: 0 but of a replica's first group
    SimDuration prefill_only;
    SimDuration link_busy;
    int64_t output_tokens = 0;
    __int128 request_ns = 0;
    int64_t slo_met = 0;
    int64_t tokens_routed = 0;  // prompts and outputs of all that arrived there, warm-up included
  };
  std::vector<Share> shares;
};

class Replica {
 public:
  // Events of equal time are handled in this order.
  enum Phase : uint8_t {
    kArrival,
    kPrefillDone,
    kFetchReady,
    kFlowDone,
    kLevel1Scored,
    kPublished,
    kStepEnd,
    kBoundary,
  };

  // `scenario` is resolved and valid; `demand` is null exactly under policy FULL; `trace` and
  // `observer` may be null. All outlive the replica.
  // `index`: of this group among all of the fleet. The group joins the instance whose groups share
  // `lockstep`.
  Replica(const Scenario& scenario, const MemoryPlan& plan, const WindowDemand* demand,
          const RequestTrace* trace, Observer* observer, const ReplicaOptions& options,
          int32_t index, EventQueue& queue, Arrivals& arrivals, Lockstep& lockstep);
  Replica(const Replica&) = delete;

  // Before the first event.
  void Start();
  // An event of this group.
  void Handle(const Event& event);
  void OnArrival(const Arrival& arrival, SimTime now);
  // What a router sees. prefix_blocks only where `looks_at_prefix`.
  GroupLoad LoadFor(const Arrival& arrival, bool looks_at_prefix) const;
  ReplicaOutcome Outcome(SimTime end);

  // For the watchdog.
  Lockstep& lockstep() { return lockstep_; }
  int64_t InSystem() const { return outcome_.arrived - outcome_.finished - outcome_.rejected; }
  int64_t progress_mark() const {
    return tokens_before_ + counters_.output_tokens + outcome_.finished;
  }
  // Whether the event was overtaken: that of a transfer whose end has moved.
  bool IsStale(const Event& event) const {
    return event.phase() == kFlowDone &&
           event.stamp != flow_stamp_[static_cast<size_t>(event.subject)];
  }
  // Of an event that is no arrival.
  static Activity ActivityOf(const Event& event);
  // A line for each request: since when and for what it waits. Adds at most `lines_max` of them.
  int64_t ReportWaits(size_t lines_max, std::vector<std::string>* lines) const;
  void Push(int64_t key, Phase phase, int32_t subject, int32_t stamp = 0);

 private:
  // Work of a step boundary, in this order.
  enum StepPhase : uint8_t { kFirstStepDone, kFinished, kPageFull, kGrow, kTickDue };
  enum class Wait : uint8_t { kNone, kJoin, kSync, kColdRecall, kSwapOut, kFetch };

  // A request that is not admitted.
  struct Waiting {
    Arrival arrival;
    SimTime ready;
    int64_t number = 0;  // order of arrival
    int32_t slot = -1;   // of a preempted request, which keeps its slot
    PrefixHold prefix = {};
  };
  // What admission sets aside for a request.
  struct Promise {
    int64_t tokens = 0;
    int64_t host_pages = 0;
    int64_t swap_bytes = 0;  // of one rank
    int64_t blocks = 0;
  };
  // A transfer or a tick of a request that may be preempted meanwhile.
  struct SlotRef {
    int32_t slot = -1;
    int32_t generation = 0;
  };
  // A request that arrived and whose prefix comes up from a lower tier.
  struct Fetch {
    Waiting waiting;
    std::array<int64_t, kLowerTierCount> bytes = {};  // of one copy
  };
  // Requests between their arrival and their end, by where their containers say they are.
  struct Census {
    int64_t requests = 0;
    __int128 age_ns = 0;
    int64_t tokens = 0;
    int64_t in_batch = 0;
    __int128 in_batch_ns = 0;
    int64_t prefix_blocks = 0;  // that they pin
  };
  // Counted by half way from the end of the warm-up to engine.simulated_s.
  struct HalfTime {
    int64_t arrived = 0;
    int64_t in_system = 0;
    int64_t decode_tokens = 0;
    SimDuration decode;
  };
  // What the step in progress selects, and what its hot buffers lack.
  struct StepFetch {
    int64_t selections = 0, misses = 0;
    SimDuration alone, waited;    // for the transfer: on an idle node, and here
    SimDuration queue, transfer;  // what it adds to the step, behind other transfers and else
    bool boundary_due = false;    // asked for while it waited
  };

  // replica.cc: events and the step boundary
  void InitLink(const Scenario& scenario);
  void OnStepEnd(SimTime now);
  MemoryUse MemoryNow() const;
  void OnBoundary(SimTime now);
  void RunStepEvents(SimTime now);
  void OnStepEvent(const Event& event, SimTime now);
  void OnFirstStepDone(int32_t slot, SimTime now);
  void OnPageFull(int32_t slot, SimTime now);
  void OpenPage(int32_t slot, SimTime now);
  void RequestBoundary(SimTime now);
  bool StillCold() const;
  void TakeUp(SimTime now);
  void Proceed(SimTime now);
  bool HasWork() const { return batch_.requests > 0 || !chunk_queue_.empty(); }
  bool Blocks() const { return wait_ != Wait::kNone && wait_ != Wait::kColdRecall; }
  bool AnyBlocks() const;
  void BeginWait(Wait wait, SimTime now) { wait_ = wait, wait_begin_ = now; }
  void CountStall(StallCause cause, SimDuration d) {
    lockstep_.step_stall[static_cast<size_t>(cause)] += d;
  }
  void SetStage(int32_t slot, Stage stage, SimTime now) {
    At(slot).stage = stage, At(slot).stage_since = now;
  }

  // step.cc: how long a step takes, leaping, what counts and from when
  struct StepLength {
    SimDuration base;
    SimDuration lengthening;  // by side-bands and host
  };
  BatchWork StepWork() const;
  StepLength LengthOfStep(SimTime now);
  StepLength LengthOfJointStep(SimTime now);
  void StartStep(SimTime now);
  std::optional<SimTime> RunStep(SimTime now);
  bool MayLeap(SimTime end) const;
  int64_t RequestsOfAllGroups() const;
  void CountStep(SimTime end);
  void CountDecodeStep(SimDuration length, int64_t tokens);
  void CountBatch(SimDuration length, int64_t tokens);
  void GainTokens(int64_t tokens);
  void DropSurplus(RequestState& request, int64_t tokens);
  void EndWait(StallCause cause, SimTime now);
  void EndWarmup(SimTime now);
  void MarkHalfOfRequests();
  void MarkHalfOfSteps();
  void FillHalves();
  void EndCutWait(SimTime end);
  void CountCutWaits(SimTime end);
  void SettleAccounts();
  void SettleAccount(RequestState& request);

  // admission.cc: arrivals, prefill, admission, finish
  void EnterLine(const Waiting& waiting, SimTime now);
  void StartPrefills(SimTime now);
  void StartPrefill(SimTime now);
  void OnPrefillDone(int32_t index, SimTime now);
  void AdmitWaiting(SimTime now);
  bool FitsEmpty(const Arrival& arrival) const;
  Promise PromiseFor(const Waiting& waiting) const;
  Resource Lacking(const Promise& promise) const;
  Resource Lacking(const Waiting& waiting) const;
  void CountAdmissionWait(SimTime now);
  bool HbmFits(int64_t tokens, int64_t requests) const;
  bool HostFits(int64_t pages, int64_t swap_bytes) const;
  bool BlocksFit(int64_t more) const;
  int32_t TakeSlot();
  void Admit(const Waiting& waiting, const Promise& promise, SimTime now);
  void StartAdmitted(int32_t slot, SimTime now);
  void StartOwnKv(int32_t slot, SimTime now);
  void BindProfile(int32_t slot);
  void RaisePeaks();
  void CheckMemory();
  void CheckHostMemory();
  void StartIngest(SimTime now);
  void Finish(int32_t slot, SimTime now);
  void RecordFinished(const RequestState& request, SimTime now);
  void Join(int32_t slot, SimTime now);
  void Leave(int32_t slot, SimTime now);
  int32_t FirstWindow(const RequestState& request) const;
  void ScheduleSteps(int32_t slot, SimTime now);
  void SchedulePageFull(int32_t slot);
  void ScheduleTick(int32_t slot, int64_t steps);

  // chunked_prefill.cc: the replica prefills
  void QueueChunks(int32_t slot);
  SimDuration TakeChunk();
  void FinishChunk(SimTime now);
  void OnPrefilled(int32_t slot, SimTime now);

  // prefix_reuse.cc: what requests find in the prefix store and leave there
  void MatchPrefix(Waiting& waiting);
  void CountPrefix(const Waiting& waiting, SimTime now);
  bool FetchPrefix(Waiting& waiting, SimTime now);
  void StartFetch(int32_t tier, SimTime now);
  void OnFetchReady(int32_t tier, SimTime now);
  void OnFetchDone(int32_t tier, SimTime now);
  void PassFetch(int32_t tier, SimTime now);
  int64_t PrefixTokens(const PrefixHold& hold) const { return hold.pages * plan_.page_tokens; }
  int64_t PrefixLoadBytes(const RequestState& request) const;
  void KeepPrompt(int32_t slot, SimTime now);
  int32_t KeepBlocks(absl::Span<const uint32_t> ids, int32_t begin, int32_t end, int64_t tokens,
                     bool copied, SimTime now);
  void LeavePrefix(int32_t slot, SimTime now);

  // preemption.cc: growth, preemption, swap
  bool optimistic() const { return engine_.admit() == Engine::OPTIMISTIC; }
  bool swaps() const { return optimistic() && engine_.preemption() == Engine::SWAP; }
  bool promises_blocks() const { return optimistic() && tiered() && plan_.protects_live; }
  void ScheduleGrowth(int32_t slot);
  void OnGrow(int32_t slot, SimTime now);
  bool MakeRoomForPage(int32_t slot, SimTime now);
  void MakeRoomForTicks(SimTime now);
  void PromiseBlocks(int32_t slot, int64_t blocks);
  void SetPromisedBlocks(int32_t slot, int64_t blocks);
  int32_t YoungestAdmitted();
  void Preempt(int32_t slot, SimTime now);
  void DropWork(int32_t slot);
  void QueuePreempted(int32_t slot, bool prefill, SimTime now);
  static void InsertByAge(ArrayQueue<Waiting>& queue, const Waiting& waiting, Replica& replica);
  void StartSwapIns(SimTime now);
  void OnSwapOutDone(SimTime now);
  void OnSwapInDone(SimTime now);

  // watchdog.cc: a run that cannot go on
  std::string WaitsFor(const Waiting& waiting) const;
  std::string WaitsFor(const RequestState& request) const;
  Census TakeCensus(SimTime end) const;
  void CheckInvariants(SimTime end);

  // step_fetch.cc: entries that steps wait for
  bool FetchMisses(SimTime now);
  void OnFetched(SimTime now);
  SimDuration FetchBeside(SimDuration compute);
  void CountFetch();

  // side_band.cc: level 1, recall, publish
  void LaunchJob(SimTime now);
  void OnScored(SimTime now);
  void StartRecall(SimTime now);
  void StartTransfer(SimTime now);
  void OnRecallFlowDone(SimTime now);
  void PublishAfter(SimTime now, SimDuration d);
  void Publish(SimTime now);
  void PublishTick(const TickRef& tick, SimTime now);
  void Activate(int32_t slot, int64_t window);
  void EndSyncWait(SimTime now);
  int64_t StepsBeforeChange(const RequestState& request) const;
  void HandleEvicted(SimTime now);
  void TellNextUses(const TickRef& tick);
  SimDuration Interference(SimTime now, SimDuration base);
  void StartFlow(Flow flow, SimTime now, int64_t bytes, int64_t cap_bytes_per_s);
  void OnFlowDone(const Event& event, SimTime now);
  void ScheduleFlows(SimTime now);
  void OnIngestDone(SimTime now);
  void StartWriteback(SimTime now);

  RequestState& At(int32_t slot) { return slots_[static_cast<size_t>(slot)]; }
  const RequestState& At(int32_t slot) const { return slots_[static_cast<size_t>(slot)]; }
  bool Current(const SlotRef& ref) const { return At(ref.slot).generation == ref.generation; }
  int64_t Completed(const RequestState& r) const {
    return r.in_batch ? lockstep_.tokens - r.base_step : r.steps_completed;
  }
  // Shows the event to the observer; Record puts it into the digest besides.
  void Tell(RequestEvent::Kind kind, SimTime now, const RequestState& r, int64_t value = 0) {
    if (observer_ != nullptr) observer_->OnRequest({kind, now, r.id, Completed(r), value});
  }
  void Record(RequestEvent::Kind kind, SimTime now, const RequestState& r, int64_t value = 0);
  // Whether requests have a recorded profile: under every policy but FULL.
  bool tiered() const { return demand_ != nullptr; }
  bool ticks() const { return tiered() && HasTicks(policy_.kind()); }
  bool ticks_at_once() const { return TicksAtOnce(policy_.kind()); }
  bool fetches() const { return plan_.placement == KvPlacement::kHotBuffer; }
  bool sync() const { return policy_.level1() == Policy::SYNC || ticks_at_once(); }
  bool decodes_beside_job() const { return !sync() && batch_.requests > 0; }
  // Whether a request decodes before its first publish, with nothing active.
  bool decodes_cold() const { return policy_.kind() == Policy::FLASHMEMORY; }

  const ReplicaOptions options_;
  const Policy& policy_;
  const Engine& engine_;
  const MemoryPlan& plan_;
  const WindowDemand* demand_;
  Observer* observer_;
  StepTimeModel step_model_;
  Beside beside_;
  RecallModel recall_model_;
  std::optional<ProfileAssigner> assigner_;
  Residency residency_;
  std::optional<PrefixStore> prefix_;  // nothing without engine.prefix_store
  int64_t entry_bytes_ = 0;            // of one layer
  int64_t dram_bytes_per_s_;           // this rank's share of host DRAM
  SharedBandwidth bandwidth_;
  int64_t swap_in_cap_bytes_per_s_ = 0;
  int64_t writeback_cap_bytes_per_s_ = 0;
  int64_t ingest_cap_bytes_per_s_ = 0;
  int32_t max_concurrency_ = 0;    // 0 = no bound but memory
  int64_t grown_pages_max_ = 0;    // of any profile
  int64_t host_usable_bytes_ = 0;  // of the node
  int64_t hbm_fixed_bytes_ = 0;    // weights, fixed pools and reserve of one rank
  SimTime horizon_;
  Digest digest_;

  const int32_t index_;  // among the fleet's groups
  EventQueue& queue_;    // of the fleet
  Arrivals& arrivals_;
  Lockstep& lockstep_;
  EventQueue step_queue_;  // keys: of the token clock

  // Arrivals.
  int64_t outstanding_tokens_ = 0;  // prompt and output of requests in the system
  int64_t tokens_routed_ = 0;
  // One request at a time in each tier, and each through all tiers in order.
  struct TierLink {
    int64_t bytes_per_s = 0;
    SimDuration latency;
    bool busy = false;
    ArrayQueue<Fetch> queue;
  };
  std::array<TierLink, kLowerTierCount> tier_links_;
  ArrayQueue<Waiting> prefill_queue_;
  std::vector<std::optional<Waiting>> prefilling_;
  ArrayQueue<Waiting> waiting_;            // ready to be admitted
  Resource head_lacks_ = Resource::kNone;  // what the first of them waits for, as of head_seen_
  SimTime head_seen_;
  ArrayQueue<SlotRef> ingest_queue_;
  std::vector<int32_t> joining_;     // slots that enter the batch at the next boundary
  ArrayQueue<int32_t> chunk_queue_;  // slots that the replica prefills, first come, first served
  int64_t chunk_tokens_ = 0;         // of the step in progress

  // The batch.
  std::vector<RequestState> slots_;
  std::vector<int32_t> slots_free_;
  BatchWork batch_;
  int64_t batch_active_pages_ = 0;
  SimDuration step_part_;  // this group's part of the step that starts
  Wait wait_ = Wait::kNone;
  SimTime wait_begin_;
  StepFetch fetch_;           // of the step that is not yet counted
  SimDuration fetch_layers_;  // that every step's look-ups in the hot buffers take

  // The side-band.
  std::vector<int32_t> due_;  // slots whose tick is due at this boundary
  Level1Job job_;
  int64_t cold_recalls_ = 0;          // admitted requests that wait for their first publish
  SimDuration recall_write_pending_;  // HBM time of recall writes that no step has felt yet
  SimDuration gather_pending_;        // time of gather kernels that no step has felt yet
  SimDuration publish_fixed_;
  SimDuration host_contention_;  // of every step
  std::array<SimTime, kFlowCount> flow_end_;
  std::array<int32_t, kFlowCount> flow_stamp_{};
  int64_t writeback_bytes_ = 0;  // sealed, not yet on the link
  SimTime writeback_begin_;      // of the one on the link
  int64_t writeback_flow_bytes_ = 0;
  bool recall_waits_ = false;      // for a swap-in that has the link
  ArrayQueue<int64_t> swap_outs_;  // bytes; the first may be on the path
  bool swapping_out_ = false;
  ArrayQueue<SlotRef> swap_ins_;  // and loads of reused prefixes
  bool swapping_in_ = false;
  SimTime swap_in_begin_;

  // Promised and used memory.
  int64_t tokens_reserved_ = 0;
  int64_t tokens_in_use_ = 0;
  int64_t host_pages_reserved_ = 0;
  int64_t host_pages_in_use_ = 0;
  int64_t swap_bytes_reserved_ = 0;
  int64_t swap_bytes_in_use_ = 0;
  int64_t blocks_promised_ = 0;
  int32_t admitted_ = 0;

  const Slo* slo_ = nullptr;
  int64_t warmup_steps_;
  std::optional<SimTime> warmup_end_;
  SimTime counting_from_;                     // start, or end of the warm-up
  SimTime half_of_requests_ = kSimTimeNever;  // half time, until requests are marked
  SimTime half_of_steps_ = kSimTimeNever;
  std::optional<HalfTime> half_;
  int64_t sequence_ = 0;  // requests admitted so far
  ReplicaOutcome outcome_;
  Counters counters_;

  // Invariants and watchdog.
  Conservation conservation_;
  int64_t tokens_before_ = 0;  // of the warm-up
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_REPLICA_H_
