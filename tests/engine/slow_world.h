// A slow, obvious model of who holds which page and what each selection hits, beside a run. It is
// an observer: times and the order of events are the engine's, all else it decides again from the
// raw records, with sets, maps and sorting, one selection of one step at a time: want lists,
// missing pages, victims in their order, pages that open, ticks, and every counter of the account.
// The first thing that it sees otherwise than the engine stands in error().
//
// Rules it knows, in words: a set changes for the steps that begin later. A page whose block is
// lost is missed until a set is activated; then the pages of its list that are not held are lost,
// and those that formed since its tick and were taken since. Page ids are those of the profile.
#ifndef TIERSCOPE_TESTS_ENGINE_SLOW_WORLD_H_
#define TIERSCOPE_TESTS_ENGINE_SLOW_WORLD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/base/rng.h"
#include "sim/demand/demand.h"
#include "sim/engine/fleet.h"
#include "sim/engine/observer.h"
#include "tests/engine/slow_reserve.h"

namespace tierscope::testing {

// One profile as it was recorded.
struct RawProfile {
  struct Scores {
    int32_t layer;                    // -1: all layers as one
    std::map<uint32_t, int> code_of;  // entry -> code
  };
  int64_t prompt_tokens = 0;
  int32_t tokens_per_entry = 1;
  int32_t stride = 1;
  int32_t positions = 0;
  std::vector<std::vector<Scores>> ticks;         // [position], the records of its tick
  std::vector<std::map<uint32_t, int>> selected;  // [step - 1], entry -> votes
  std::map<uint32_t, int> selected_first;         // of step 0, which only H2O looks at

  int64_t steps() const { return int64_t{positions} * stride; }
  int64_t EntriesAfter(int64_t step) const { return (prompt_tokens + step + 1) / tokens_per_entry; }
  int64_t page_tokens() const { return int64_t{tokens_per_entry} * 64; }
};

// What the engine distils of them.
WindowDemand Distil(const Scenario& scenario, const std::vector<RawProfile>& profiles);

// The want list of a tick, by sorting; rising. `profile_index` seeds policy RANDOM.
std::set<int64_t> SlowWantList(const Policy& policy, uint64_t seed, const RawProfile& profile,
                               int32_t profile_index, int32_t position);

struct SlowCounts {
  SelectionCount selections, inactive, evicted;
  int64_t wanted = 0, recalled = 0, taken = 0, written_back = 0, entries_lost = 0, preemptions = 0;
};

class SlowWorld : public Observer {
 public:
  struct Request {
    int64_t context_tokens;
    int64_t output_tokens;
  };
  // `requests` in order of admission. All outlive it.
  SlowWorld(const Scenario& scenario, const std::vector<RawProfile>& profiles, int64_t blocks,
            const std::vector<Request>& requests);

  // Holds the run's counters against its own. Call once, after the run.
  void Compare(const ReplicaOutcome& outcome);
  const std::string& error() const { return error_; }  // empty: all agreed
  const SlowCounts& counts() const { return counts_; }

  void Progress(SimTime) override {}
  void WarmupEnded(SimTime now) override;
  void Step(SimTime begin, SimDuration length, SimDuration interference, int64_t requests) override;
  void Wait(SimTime, SimTime, const char*) override {}
  void Level1(int64_t, SimTime, SimTime, int64_t) override {}
  void Recall(int64_t, SimTime, SimTime, int64_t) override {}
  void Publish(int64_t, SimTime) override {}
  void Resident(SimTime, int64_t held) override;
  void OnRequest(const RequestEvent& event) override;

 private:
  struct State {
    int64_t id = 0;
    int32_t profile_index = 0;
    const RawProfile* profile = nullptr;
    int64_t position = 0;  // of own step 0
    int64_t context_tokens = 0, output_tokens = 0;
    bool alive = false, in_batch = false, stepping = false;
    int64_t done = 0;    // own steps
    int64_t joined = 0;  // batch steps before its step 0, had it always been in the batch
    int64_t formed = 0;  // entries since admission
    bool cold = true, prefilled = false;
    std::optional<int64_t> next_tick;  // own step
    std::optional<int64_t> told_tick;  // BELADY: the next one, as known at the last recall
    int64_t told_offset = 0;           // from own to batch steps
    int64_t first_window = 0;
    std::optional<int64_t> ticking, pending, active;  // windows
    std::set<int64_t> list, list_before;              // of the last ticks that were applied
    std::optional<int64_t> open;                      // the page that fills
    std::vector<int64_t> grown;                       // sealed since the last tick, in order
    std::optional<int64_t> must_open;                 // at once
    int64_t full_at = 0;                              // own steps after which `open` is full
    int64_t tick_done = 0;                            // own steps at the last tick
    std::set<int64_t> lost, lost_since_tick;          // the latter: a step after the tick had begun
  };
  using Victims = std::vector<std::pair<int64_t, int64_t>>;  // request, page

  void NoteEvent(const RequestEvent& e);
  void Fail(const std::string& what);
  void Expect(int64_t mine, int64_t engine, const char* what);
  void EndStep();
  void CountStep(State& r, SlowCounts& into);
  bool flashmemory() const { return policy_.kind() == Policy::FLASHMEMORY; }
  bool drops() const {
    return policy_.kind() == Policy::STREAMING_LLM || policy_.kind() == Policy::H2O;
  }
  bool has_blocks() const { return policy_.kind() != Policy::QUEST; }
  bool next_tick_publishes() const { return policy_.publish() == Policy::NEXT_TICK; }
  int64_t StepsDone() const { return steps_begun_ - (step_runs_ ? 1 : 0); }
  int64_t PositionOf(const State& r, int64_t window) const;
  const std::set<int64_t>& ListOfProfile(const State& r, int64_t window);
  std::set<int64_t> OwnList(const State& r, int64_t window);    // pages the request has
  std::set<int64_t> BlockList(const State& r, int64_t window);  // of those, that take a block
  int64_t FirstPage(const State& r) const;
  int64_t RegionEntry(const State& r) const;
  int64_t TokensInProfile(const State& r) const;
  int64_t PageToFill(const State& r) const;

  void OnAdmit(const RequestEvent& e);
  void OnJoin(State& r);
  void OnTick(State& r, const RequestEvent& e);
  void OnRecall(State& r, const RequestEvent& e);
  void OnPublish(State& r, const RequestEvent& e);
  void OnGrow(State& r, const RequestEvent& e);
  void OnGone(State& r);
  void Assign(State& r);
  void Schedule(State& r);
  int64_t FirstWindow(const State& r) const;
  void Activate(State& r, int64_t window);
  void Take(State& r, int64_t page, bool pinned, Victims& victims);
  NextUseOfPage NextUse(State& r, int64_t page);
  void LoseAll(const Victims& victims);
  void Tell(State& r, int64_t window, bool first);

  const Scenario& scenario_;
  const Policy& policy_;
  const std::vector<RawProfile>& profiles_;
  const std::vector<Request>& shapes_;
  SlowReserve reserve_;
  Rng assign_rng_;
  std::map<int64_t, State> requests_;
  std::map<std::pair<int32_t, int64_t>, std::set<int64_t>> lists_;  // profile, position
  std::map<uint64_t, NextUseOfPage> next_use_;  // as of the page's last use, or when it was full
  Victims told_victims_;                        // since the last recall or growth
  SlowCounts counts_, of_step_;
  int64_t steps_begun_ = 0;
  bool step_runs_ = false;
  SimTime step_end_{-1};
  SimTime job_begin_{-1};
  std::set<int64_t> job_;  // requests whose tick was launched and not published
  int64_t job_last_ = -1;
  int64_t events_ = 0;
  std::vector<std::string> last_events_;
  std::string error_;
};

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_ENGINE_SLOW_WORLD_H_
