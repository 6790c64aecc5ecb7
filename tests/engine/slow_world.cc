#include "tests/engine/slow_world.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "sim/base/check.h"
#include "sim/engine/simulate.h"

namespace tierscope::testing {
namespace {

uint64_t KeyOf(int64_t request, int64_t page) {
  return static_cast<uint64_t>(request) << 16 | static_cast<uint64_t>(page);
}

std::string Names(const std::vector<std::pair<int64_t, int64_t>>& victims) {
  return absl::StrCat("[", absl::StrJoin(victims, " ", absl::PairFormatter("/")), "]");
}

}  // namespace

SlowWorld::SlowWorld(const Scenario& scenario, const std::vector<RawProfile>& profiles,
                     int64_t blocks, const std::vector<Request>& requests)
    : scenario_(scenario),
      policy_(scenario.policy()),
      profiles_(profiles),
      shapes_(requests),
      reserve_(blocks, scenario.policy().eviction()),
      assign_rng_(scenario.seed(), 0x61737369) {}

void SlowWorld::Fail(const std::string& what) {
  if (!error_.empty()) return;
  error_ = absl::StrCat("event ", events_, ": ", what, "\n", absl::StrJoin(last_events_, "\n"));
}

void SlowWorld::Expect(int64_t mine, int64_t engine, const char* what) {
  if (mine != engine) Fail(absl::StrCat(what, ": expected ", mine, ", engine ", engine));
}

int64_t SlowWorld::PositionOf(const State& r, int64_t window) const {
  return (r.position + window) % r.profile->positions;
}

int64_t SlowWorld::TokensInProfile(const State& r) const {
  return r.profile->prompt_tokens + (r.position * r.profile->stride + r.done) % r.profile->steps();
}

// The page of the next token; the recording's last one, where its end leaves the next one empty.
int64_t SlowWorld::PageToFill(const State& r) const {
  const RawProfile& p = *r.profile;
  return std::min(TokensInProfile(r) / p.page_tokens(), (p.EntriesAfter(p.steps()) + 63) / 64 - 1);
}

const std::set<int64_t>& SlowWorld::ListOfProfile(const State& r, int64_t window) {
  const int64_t position = PositionOf(r, window);
  const auto key = std::make_pair(r.profile_index, position);
  const auto found = lists_.find(key);
  if (found != lists_.end()) return found->second;
  return lists_[key] = SlowWantList(policy_, scenario_.seed(), *r.profile, r.profile_index,
                                    static_cast<int32_t>(position));
}

// A request that is shorter than its profile has the profile's newest prompt pages.
int64_t SlowWorld::FirstPage(const State& r) const {
  const RawProfile& p = *r.profile;
  const int64_t prompt_pages = (p.prompt_tokens / p.tokens_per_entry + 63) / 64;
  const int64_t own = (r.context_tokens + p.page_tokens() - 1) / p.page_tokens();
  return std::max<int64_t>(0, prompt_pages - own);
}

// The first entry of the decode region.
int64_t SlowWorld::RegionEntry(const State& r) const {
  const RawProfile& p = *r.profile;
  return (p.prompt_tokens + r.position * p.stride) / p.tokens_per_entry;
}

std::set<int64_t> SlowWorld::OwnList(const State& r, int64_t window) {
  std::set<int64_t> own;
  for (int64_t page : ListOfProfile(r, window)) {
    if (page >= FirstPage(r)) own.insert(page);
  }
  return own;
}

std::set<int64_t> SlowWorld::BlockList(const State& r, int64_t window) {
  std::set<int64_t> own = OwnList(r, window);
  if (flashmemory()) {
    std::erase_if(own, [&](int64_t page) { return page * 64 >= RegionEntry(r); });
  }
  return own;
}

void SlowWorld::Resident(SimTime, int64_t held) {
  if (error_.empty()) Expect(reserve_.held(), held, "blocks held");
}

// Keeps the last few events, in words, for the message of a failure.
void SlowWorld::NoteEvent(const RequestEvent& e) {
  static constexpr const char* kNames[] = {"",        "admit", "tick",   "recall",
                                           "publish", "evict", "finish", "preempt",
                                           "join",    "leave", "grow"};
  last_events_.push_back(absl::StrCat("  ", ToMilliseconds(e.time), " ms: ", kNames[e.kind],
                                      " request ", e.request, " after ", e.steps, " steps, ",
                                      e.value));
  if (last_events_.size() > 40) last_events_.erase(last_events_.begin());
}

void SlowWorld::OnRequest(const RequestEvent& e) {
  if (!error_.empty()) return;
  ++events_;
  NoteEvent(e);
  if (e.kind == RequestEvent::kAdmit) return OnAdmit(e);
  State& r = requests_[e.request];
  // A recall or publish at the very end of a step comes before that end.
  const bool side_band = e.kind == RequestEvent::kRecall || e.kind == RequestEvent::kPublish ||
                         e.kind == RequestEvent::kEvict;
  if (!side_band || e.time > step_end_) EndStep();
  const bool chunked = scenario_.engine().prefill() == Engine::COLOCATED_CHUNKED;
  if (chunked && !r.in_batch && !r.prefilled && e.steps == r.done + 1) {
    CountStep(r, counts_);  // the token that the last chunk gave: under what the request had
    ++r.done;
    r.prefilled = true;
  }
  const bool step_ends = e.kind == RequestEvent::kEvict && e.time == step_end_ && r.stepping;
  if (!step_ends) Expect(r.done, e.steps, "own steps");
  if (!r.alive) Fail("an event of a request that is not admitted");
  const bool gets_pages = e.kind == RequestEvent::kRecall || e.kind == RequestEvent::kGrow;
  if (!gets_pages && e.kind != RequestEvent::kEvict && !told_victims_.empty()) {
    Fail("victims of nobody");
  }
  switch (e.kind) {
    case RequestEvent::kAdmit:
      break;
    case RequestEvent::kTick:
      OnTick(r, e);
      break;
    case RequestEvent::kRecall:
      OnRecall(r, e);
      break;
    case RequestEvent::kPublish:
      OnPublish(r, e);
      break;
    case RequestEvent::kEvict:
      told_victims_.push_back({e.request, e.value});
      break;
    case RequestEvent::kFinish:
      Expect(r.output_tokens, r.done, "tokens at its end");
      OnGone(r);
      break;
    case RequestEvent::kPreempt:
      ++counts_.preemptions;
      OnGone(r);
      break;
    case RequestEvent::kJoin:
      OnJoin(r);
      break;
    case RequestEvent::kLeave:
      r.in_batch = false;
      break;
    case RequestEvent::kGrow:
      OnGrow(r, e);
      break;
  }
}

void SlowWorld::OnAdmit(const RequestEvent& e) {
  const bool again = requests_.count(e.request) > 0;
  State& r = requests_[e.request];
  if (!again) {
    Expect(std::ssize(requests_) - 1, e.request, "order of admission");
    if (std::ssize(requests_) > std::ssize(shapes_)) return Fail("a request too many");
    r.id = e.request;
    r.context_tokens = shapes_[static_cast<size_t>(e.request)].context_tokens;
    r.output_tokens = shapes_[static_cast<size_t>(e.request)].output_tokens;
    Assign(r);
  }
  if (r.alive) Fail("admitted twice");
  Expect(r.profile_index, e.value, "profile");
  r.alive = r.cold = true;
  r.prefilled = false;
}

// The nearest prompt length, the shorter of two; a profile of it at random; a start at random from
// which the recording suffices, or any.
void SlowWorld::Assign(State& r) {
  const auto distance = [&](const RawProfile& p) {
    return std::make_pair(std::abs(p.prompt_tokens - r.context_tokens), p.prompt_tokens);
  };
  std::vector<int32_t> nearest;
  for (int32_t i = 0; i < std::ssize(profiles_); ++i) {
    const RawProfile& p = profiles_[static_cast<size_t>(i)];
    if (!nearest.empty()) {
      const RawProfile& best = profiles_[static_cast<size_t>(nearest.front())];
      if (distance(p) > distance(best)) continue;
      if (distance(p) < distance(best)) nearest.clear();
    }
    nearest.push_back(i);
  }
  r.profile_index = nearest[assign_rng_.NextBelow(nearest.size())];
  r.profile = &profiles_[static_cast<size_t>(r.profile_index)];
  if (!scenario_.workload().attention().random_offset()) return;
  int64_t starts = 0;
  for (int64_t at = 0; at < r.profile->positions; ++at) {
    starts += at * r.profile->stride + r.output_tokens - 1 <= r.profile->steps() ? 1 : 0;
  }
  if (starts == 0) starts = r.profile->positions;
  r.position = static_cast<int64_t>(assign_rng_.NextBelow(static_cast<uint64_t>(starts)));
}

void SlowWorld::OnJoin(State& r) {
  if (r.in_batch) Fail("joins twice");
  r.in_batch = true;
  r.joined = StepsDone() - r.done;
  if (r.done == 0 && r.output_tokens > 1) r.next_tick = 0;
  if (r.done > 0 && !r.cold) Schedule(r);
}

// The distance to the second tick: the first multiple of the stride, at most tau, that lies at or
// behind the step where the phase wants it.
int64_t SlowWorld::FirstWindow(const State& r) const {
  const int64_t tau = policy_.tau_steps();
  const int64_t stride = r.profile->stride;
  if (policy_.phase() == Policy::OWN_STEPS) return tau;
  const int64_t slot = policy_.phase() == Policy::STAGGERED ? r.id % (tau / stride) : 0;
  int64_t wanted = 0;
  while ((StepsDone() + wanted) % tau != slot * stride) ++wanted;
  int64_t window = 0;
  while (window < wanted) window += stride;
  return window == 0 ? tau : window;
}

// Its first set is there (or, under flashmemory, its first tick): ticks recur and pages open.
void SlowWorld::Schedule(State& r) {
  const int64_t tick = r.done - 1;
  r.first_window = FirstWindow(r);
  r.next_tick = tick + r.first_window - tick % r.profile->stride;
  if (*r.next_tick + 1 >= r.output_tokens) r.next_tick.reset();
  if (!flashmemory()) r.must_open = PageToFill(r);
}

void SlowWorld::OnTick(State& r, const RequestEvent& e) {
  const bool first = r.cold;
  Expect(r.done - 1, e.value, "tick behind the last step");
  if (!first && (!r.next_tick || *r.next_tick != e.value)) Fail("a tick that is not due");
  if (r.ticking) Fail("two ticks of a request at once");
  if (!job_.empty() && job_begin_ != e.time) Fail("two jobs at once");
  if (!job_.empty() && job_last_ > r.id) Fail("ticks of a job out of the order of admission");
  job_begin_ = e.time;
  job_last_ = r.id;
  job_.insert(r.id);
  if (r.pending) Activate(r, *r.pending);
  r.pending.reset();
  r.lost_since_tick.clear();
  r.tick_done = r.done;
  r.ticking = e.value / r.profile->stride;
  r.next_tick.reset();
  if (first && flashmemory()) return Schedule(r);
  if (first) return;
  r.next_tick = e.value + policy_.tau_steps();
  if (*r.next_tick + 1 >= r.output_tokens) r.next_tick.reset();
}

// What BELADY is told at a recall: at which batch step the next tick stands, if the request does
// not wait for it.
void SlowWorld::Tell(State& r, int64_t window, bool first) {
  const int64_t step = window * r.profile->stride;
  const int64_t window_steps = flashmemory() ? r.first_window : FirstWindow(r);
  r.told_tick = step + (first ? window_steps : policy_.tau_steps());
  r.told_offset = r.in_batch ? r.joined + 1 : StepsDone() - step;
}

// The first of the request's coming ticks that wants the page, by going through them.
NextUseOfPage SlowWorld::NextUse(State& r, int64_t page) {
  const NextUseOfPage never = {std::numeric_limits<int64_t>::max(), KeyOf(r.id, page)};
  if (!r.told_tick) return never;
  for (int64_t tick = *r.told_tick; tick + 1 < r.output_tokens; tick += policy_.tau_steps()) {
    const bool wanted = OwnList(r, tick / r.profile->stride).count(page) > 0;
    if (wanted) return {r.told_offset + tick, KeyOf(r.id, page)};
  }
  return never;
}

void SlowWorld::Take(State& r, int64_t page, bool pinned, Victims& victims) {
  const auto victim =
      reserve_.Take(KeyOf(r.id, page), pinned, [&](uint64_t key) { return next_use_.at(key); });
  if (victim) victims.push_back({static_cast<int64_t>(*victim >> 16), *victim & 0xffff});
}

void SlowWorld::OnRecall(State& r, const RequestEvent& e) {
  if (!r.ticking) return Fail("a recall without a tick");
  if (!has_blocks()) {
    counts_.wanted += std::ssize(OwnList(r, *r.ticking));
    return Expect(0, e.value, "missing pages of a policy that has all in HBM");
  }
  const bool protects = policy_.eviction() == Policy::LRU_PROTECTED;
  const std::set<int64_t> list = BlockList(r, *r.ticking);
  Tell(r, *r.ticking, r.cold);
  for (int64_t page : list) {
    const uint64_t key = KeyOf(r.id, page);
    if (!reserve_.Has(key) || reserve_.Pinned(key)) continue;
    protects ? reserve_.Pin(key) : reserve_.Hit(key);
    next_use_[key] = {-1, key};  // the rest of this list comes next, in its order
  }
  if (protects) {  // what the last two lists and the open page do not need any more may go
    const auto stays = [&](int64_t page) {
      return list.count(page) > 0 || (next_tick_publishes() && r.list.count(page) > 0) ||
             r.open == page;
    };
    const std::set<int64_t>& leaving = next_tick_publishes() ? r.list_before : r.list;
    std::vector<int64_t> released(leaving.begin(), leaving.end());
    released.insert(released.end(), r.grown.begin(), r.grown.end());
    for (int64_t page : released) {
      if (!stays(page) && reserve_.Pinned(KeyOf(r.id, page))) reserve_.Unpin(KeyOf(r.id, page));
    }
    r.grown.clear();
  }
  r.list_before = r.list;
  r.list = list;
  Victims victims;
  int64_t missing = 0;
  for (int64_t page : list) {
    if (!reserve_.Has(KeyOf(r.id, page))) {
      ++missing;
      Take(r, page, protects, victims);
    }
    next_use_[KeyOf(r.id, page)] = NextUse(r, page);
  }
  LoseAll(victims);
  if (drops()) {  // the first list is of what the prefill left; what has gone since never returns
    const bool wraps = PositionOf(r, *r.ticking) < r.position;
    if (!r.cold && !wraps && missing > 0) Fail("a page that was dropped is back");
    missing = 0;
  }
  Expect(missing, e.value, "missing pages");
  counts_.recalled += missing;
  counts_.wanted += std::ssize(OwnList(r, *r.ticking));
}

void SlowWorld::LoseAll(const Victims& victims) {
  if (victims != told_victims_) {
    Fail(absl::StrCat("victims: expected ", Names(victims), ", engine ", Names(told_victims_)));
  }
  told_victims_.clear();
  counts_.taken += std::ssize(victims);
  for (const auto& [request, page] : victims) {
    State& owner = requests_[request];
    owner.lost.insert(page);
    const bool step_since = owner.done > owner.tick_done || owner.stepping;
    if (step_since) owner.lost_since_tick.insert(page);
  }
}

void SlowWorld::Activate(State& r, int64_t window) {
  r.active = window;
  r.lost.clear();
  for (int64_t page : BlockList(r, window)) {
    if (has_blocks() && !reserve_.Has(KeyOf(r.id, page))) r.lost.insert(page);
  }
  const int64_t entries = r.profile->EntriesAfter(PositionOf(r, window) * r.profile->stride);
  for (int64_t page : r.lost_since_tick) {
    if (page * 64 >= entries) r.lost.insert(page);
  }
}

void SlowWorld::OnPublish(State& r, const RequestEvent& e) {
  if (!r.ticking) return Fail("a publish without a tick");
  Expect(*r.ticking, e.value, "window published");
  job_.erase(r.id);
  const int64_t window = *r.ticking;
  r.ticking.reset();
  if (!r.cold && next_tick_publishes()) {
    r.pending = window;
    return;
  }
  Activate(r, window);
  if (!r.cold) return;
  r.cold = false;
  if (!flashmemory() && r.in_batch) Schedule(r);
}

// Either the first page since it was admitted, or the one before is full.
void SlowWorld::OnGrow(State& r, const RequestEvent& e) {
  const bool protects = policy_.eviction() == Policy::LRU_PROTECTED;
  const int64_t page_tokens = r.profile->page_tokens();
  const int64_t page = PageToFill(r);
  const bool full = r.open && r.done == r.full_at;
  if (!r.must_open && !full) return Fail("a page opens before the last one is full");
  Expect(page, e.value, "page that opens");
  counts_.written_back += full && has_blocks() && !drops() ? 1 : 0;
  r.must_open.reset();
  r.full_at = r.done + page_tokens - TokensInProfile(r) % page_tokens;
  if (!has_blocks()) {
    r.open = page;
    return;
  }
  Victims victims;
  if (r.open && *r.open != page) {
    if (protects) r.grown.push_back(*r.open);
    const uint64_t sealed = KeyOf(r.id, *r.open);
    if (!protects && reserve_.Pinned(sealed)) reserve_.Unpin(sealed);
    next_use_[sealed] = NextUse(r, *r.open);
  }
  r.open = page;
  const uint64_t key = KeyOf(r.id, page);
  if (!reserve_.Has(key)) {
    Take(r, page, /*pinned=*/true, victims);
  } else if (!reserve_.Pinned(key)) {
    reserve_.Pin(key);
  }
  LoseAll(victims);
}

// Finished or preempted: all its pages are given back.
void SlowWorld::OnGone(State& r) {
  for (uint64_t key : reserve_.HeldBy(r.id)) reserve_.Drop(key);
  job_.erase(r.id);
  r.alive = r.in_batch = false;
  r.cold = true;
  r.next_tick.reset();
  r.ticking.reset();
  r.pending.reset();
  r.open.reset();
  r.must_open.reset();
  r.told_tick.reset();
  r.grown.clear();
  r.list.clear();
  r.list_before.clear();
}

}  // namespace tierscope::testing
