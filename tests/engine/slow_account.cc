// The account of the slow model: what each selection of each step hits.
#include "absl/strings/str_cat.h"

#include "tests/engine/slow_world.h"

namespace tierscope::testing {

// One step of one request, selection by selection.
void SlowWorld::CountStep(State& r, SlowCounts& into) {
  const RawProfile& p = *r.profile;
  if (flashmemory() && (r.context_tokens + r.done + 1) % p.tokens_per_entry == 0) {
    if (++r.formed > 512) ++into.entries_lost;
  }
  if (r.done == 0) return;  // runs before any decision
  const int64_t step = (r.position * p.stride + r.done - 1) % p.steps();
  const int64_t tick_entries = r.active ? p.EntriesAfter(PositionOf(r, *r.active) * p.stride) : 0;
  const std::set<int64_t> none;
  const std::set<int64_t>& list = r.active ? ListOfProfile(r, *r.active) : none;
  const int64_t first_page = FirstPage(r);
  for (const auto& [entry, votes] : p.selected[static_cast<size_t>(step)]) {
    const int64_t page = entry / 64;
    if (page < first_page) continue;
    const bool prompt = page * 64 < p.prompt_tokens / p.tokens_per_entry;
    const SelectionCount add{votes, prompt ? votes : 0};
    into.selections += add;
    const bool listed = list.count(page) > 0;
    bool active = listed || (r.active && page * 64 >= tick_entries);
    if (flashmemory()) {
      active = listed && entry < tick_entries && page * 64 < RegionEntry(r) + 512;
    }
    if (!active) {
      into.inactive += add;
    } else if (r.lost.count(page) > 0) {
      into.evicted += add;
    }
  }
}

void SlowWorld::Step(SimTime begin, SimDuration length, SimDuration, int64_t requests) {
  if (!error_.empty()) return;
  EndStep();
  int64_t in_batch = 0;
  for (auto& [id, r] : requests_) {
    if (!r.in_batch) continue;
    ++in_batch;
    if (r.done >= r.output_tokens) Fail(absl::StrCat("request ", id, " decodes past its end"));
    if (r.next_tick && r.done > *r.next_tick) Fail(absl::StrCat("request ", id, " missed a tick"));
    if (r.must_open || (r.open && r.done >= r.full_at)) {
      Fail(absl::StrCat("request ", id, " opened no page"));
    }
    if (r.cold && r.done > 0 && !r.ticking) Fail(absl::StrCat("request ", id, " has no tick"));
    if (r.cold && r.done > 0 && !flashmemory()) {
      Fail(absl::StrCat("request ", id, " decodes without pages"));
    }
    r.stepping = true;
    CountStep(r, of_step_);
  }
  Expect(in_batch, requests, "requests in the batch");
  ++steps_begun_;
  step_runs_ = true;
  step_end_ = begin + length;
}

void SlowWorld::EndStep() {
  if (!step_runs_) return;
  step_runs_ = false;
  counts_.selections += of_step_.selections;
  counts_.inactive += of_step_.inactive;
  counts_.evicted += of_step_.evicted;
  counts_.entries_lost += of_step_.entries_lost;
  of_step_ = SlowCounts();
  for (auto& [id, r] : requests_) {
    r.done += r.stepping ? 1 : 0;
    r.stepping = false;
  }
}

void SlowWorld::WarmupEnded(SimTime) {
  EndStep();
  counts_ = SlowCounts();
}

void SlowWorld::Compare(const ReplicaOutcome& outcome) {
  if (!error_.empty()) return;
  if (step_end_ <= outcome.end) EndStep();
  const Counters& c = outcome.counters;
  const int64_t stride = profiles_.front().stride;
  const auto expect = [&](const SelectionCount& mine, const SelectionCount& its, const char* what) {
    Expect(mine.all * stride, its.all, what);
    Expect(mine.prompt * stride, its.prompt, what);
  };
  expect(counts_.selections, c.selections, "selections");
  expect(counts_.inactive, c.inactive, "inactive");
  expect(counts_.evicted, c.evicted, "evicted");
  Expect(counts_.wanted, c.pages_wanted, "pages wanted");
  Expect(counts_.recalled, c.pages_recalled, "pages recalled");
  Expect(counts_.taken, c.pages_evicted, "pages evicted");
  Expect(counts_.written_back, c.pages_written_back, "pages written back");
  Expect(counts_.entries_lost, c.entries_lost, "entries lost");
  Expect(counts_.preemptions, c.preemptions, "preemptions");
}

}  // namespace tierscope::testing
