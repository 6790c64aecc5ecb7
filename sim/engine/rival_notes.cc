#include "sim/engine/rival_notes.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

#include "sim/demand/hot_buffers.h"

namespace tierscope {
namespace {

// What both policies that fetch entries leave out.
std::string FetchNote(const Policy& policy) {
  return absl::StrCat(
      "; the misses of all layers of a step are one transfer in front of its compute; ",
      policy.fetch_layer_us(),
      " us a layer for finding and replacing (fetch_layer_us) and overlap ", policy.fetch_overlap(),
      " (fetch_overlap) are assumptions: sweep them; the entry of a step goes to the host with its "
      "page");
}

std::string Slots(const HotBuffers& buffers) {
  const auto [least, most] = std::minmax_element(buffers.slots.begin(), buffers.slots.end());
  return *least == *most ? absl::StrCat(*least) : absl::StrCat(*least, " to ", *most);
}

std::string NoteOf(const Scenario& scenario, const WindowDemand& demand) {
  const Policy& policy = scenario.policy();
  switch (policy.kind()) {
    case Policy::STREAMING_LLM:
      return "streaming_llm (arXiv 2309.17453): whole pages, moved on at ticks; what leaves the "
             "window is dropped; HCA entries are kept as ever; level 2 chooses among what is kept";
    case Policy::H2O:
      return "h2o (arXiv 2306.14048): pages by selections so far, of all layers together, and not "
             "tokens by attention weights of each head; the recorded steps before a request's "
             "start stand for its prefill; keeping the sums costs no time";
    case Policy::QUEST:
      return absl::StrCat(
          "quest (arXiv 2406.10774): the trace holds no keys, so a page's bound is the greatest "
          "score code of its entries, as of its last tick (every ",
          policy.tau_steps(),
          " steps; the paper: every step); a step scores two bounds a page and the entries of the "
          "pages taken; all KV stays in HBM");
    case Policy::TOPK_SWAP:
      return absl::StrCat("topk_swap (HiSparse, LMSYS 2026-04-10): LRU buffers of ",
                          policy.hot_buffer_entries(), " entries, empty at a request's step 0",
                          FetchNote(policy));
    case Policy::ESS:
      return absl::StrCat("ess (arXiv 2512.10576): LRU pools of ", Slots(*demand.hot_buffers),
                          " entries, warmed with the ", policy.pool_warmup_steps(),
                          " recorded steps before a request's start, which stand for the last "
                          "windows of its prefill",
                          FetchNote(policy));
    case Policy::FULL:
    case Policy::LSA:
    case Policy::RECENCY:
    case Policy::RANDOM:
    case Policy::ORACLE:
    case Policy::FLASHMEMORY:
      return "";
  }
  return "";
}

}  // namespace

void NoteRival(const Scenario& scenario, const WindowDemand& demand, RunResult* result) {
  const std::string note = NoteOf(scenario, demand);
  if (!note.empty()) result->add_notes(note);
}

}  // namespace tierscope
