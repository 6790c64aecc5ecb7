// The outcomes of all groups of a fleet as one.
#include <algorithm>

#include "absl/strings/str_cat.h"

#include "sim/engine/fleet.h"

namespace tierscope {
namespace {

void Add(const Counters& group, Counters* all) {
  all->steps += group.steps;
  all->output_tokens += group.output_tokens;
  all->decode_tokens += group.decode_tokens;
  all->request_steps += group.request_steps;
  all->fullest_group_steps += group.fullest_group_steps;
  all->decode += group.decode;
  all->prefill_only += group.prefill_only;
  all->request_ns += group.request_ns;
  all->step_ns.Merge(group.step_ns);
  all->step_longest = std::max(all->step_longest, group.step_longest);
  all->seconds.Merge(group.seconds);
  for (size_t i = 0; i < group.stall.size(); ++i) all->stall[i] += group.stall[i];
  for (size_t i = 0; i < group.admission_wait.size(); ++i) {
    all->admission_wait[i] += group.admission_wait[i];
  }
  all->active_page_steps += group.active_page_steps;
  all->context_token_steps += group.context_token_steps;
  all->selections += group.selections;
  all->inactive += group.inactive;
  all->evicted += group.evicted;
  all->pages_wanted += group.pages_wanted;
  all->pages_recalled += group.pages_recalled;
  all->pages_evicted += group.pages_evicted;
  all->pages_written_back += group.pages_written_back;
  all->entries_lost += group.entries_lost;
  all->recall_bytes += group.recall_bytes;
  all->entries_selected += group.entries_selected;
  all->entries_fetched += group.entries_fetched;
  all->fetch_bytes += group.fetch_bytes;
  all->sideband_busy += group.sideband_busy;
  all->link_busy += group.link_busy;
  all->preemptions += group.preemptions;
  all->tokens_recomputed += group.tokens_recomputed;
  all->swap_out_bytes += group.swap_out_bytes;
  all->swap_in_bytes += group.swap_in_bytes;
  all->prefix_prompt_tokens += group.prefix_prompt_tokens;
  all->prefix_tokens_reused += group.prefix_tokens_reused;
  all->prefix_blocks_matched += group.prefix_blocks_matched;
  all->prefix_load_bytes += group.prefix_load_bytes;
  all->prefix_nvme_bytes += group.prefix_nvme_bytes;
  all->prefix_remote_bytes += group.prefix_remote_bytes;
  all->prefix_fetch_ns.Merge(group.prefix_fetch_ns);
  all->flop += group.flop;
  all->flop_replicated += group.flop_replicated;
  all->completed += group.completed;
  all->slo_met += group.slo_met;
  all->ttft_ns.Merge(group.ttft_ns);
  all->tpot_ns.Merge(group.tpot_ns);
  all->queue_ns.Merge(group.queue_ns);
  all->latency_ns.Merge(group.latency_ns);
}

// Peaks of a node's host DRAM: of its groups together.
void AddHostPeaks(const Peaks& group, Peaks* node) {
  node->host_pages_reserved += group.host_pages_reserved;
  node->host_pages_in_use += group.host_pages_in_use;
  node->swap_bytes_reserved += group.swap_bytes_reserved;
  node->swap_bytes_in_use += group.swap_bytes_in_use;
  node->prefix_blocks += group.prefix_blocks;
  node->nvme_blocks += group.nvme_blocks;
  node->remote_blocks += group.remote_blocks;
}

void RaiseHostPeaks(const Peaks& node, Peaks* all) {
  const auto raise = [&](int64_t Peaks::*peak) { all->*peak = std::max(all->*peak, node.*peak); };
  raise(&Peaks::host_pages_reserved);
  raise(&Peaks::host_pages_in_use);
  raise(&Peaks::swap_bytes_reserved);
  raise(&Peaks::swap_bytes_in_use);
  raise(&Peaks::prefix_blocks);
  raise(&Peaks::nvme_blocks);
  raise(&Peaks::remote_blocks);
}

void RaiseRankPeaks(const Peaks& group, Peaks* all) {
  all->tokens_reserved = std::max(all->tokens_reserved, group.tokens_reserved);
  all->tokens_in_use = std::max(all->tokens_in_use, group.tokens_in_use);
  all->blocks_in_use = std::max(all->blocks_in_use, group.blocks_in_use);
  all->requests_admitted = std::max(all->requests_admitted, group.requests_admitted);
  all->requests_decoding = std::max(all->requests_decoding, group.requests_decoding);
}

// Of the groups whose warm-up has ended, each with halves of its own.
void AddHalves(const std::optional<ReplicaOutcome::Halves>& group,
               std::optional<ReplicaOutcome::Halves>* all) {
  if (!group) return;
  if (!*all) *all = ReplicaOutcome::Halves();
  (*all)->arrived += group->arrived;
  (*all)->piled_up += group->piled_up;
  (*all)->first.tokens += group->first.tokens;
  (*all)->first.decode += group->first.decode;
  (*all)->second.tokens += group->second.tokens;
  (*all)->second.decode += group->second.decode;
}

void AddProfiles(const std::vector<ReplicaOutcome::ProfileUse>& group,
                 std::vector<ReplicaOutcome::ProfileUse>* all) {
  all->resize(group.size());
  for (size_t i = 0; i < group.size(); ++i) {
    (*all)[i].requests += group[i].requests;
    (*all)[i].wraps += group[i].wraps;
    (*all)[i].context_off += group[i].context_off;
  }
}

}  // namespace

ReplicaOutcome MergeOutcomes(std::vector<ReplicaOutcome> groups, int64_t groups_of_node) {
  if (groups.size() == 1) return std::move(groups.front());
  ReplicaOutcome all;
  Digest digest;
  Peaks node;
  for (size_t i = 0; i < groups.size(); ++i) {
    const ReplicaOutcome& group = groups[i];
    Add(group.counters, &all.counters);
    if (static_cast<int64_t>(i) % groups_of_node == 0) node = Peaks();
    AddHostPeaks(group.peaks, &node);
    RaiseHostPeaks(node, &all.peaks);
    RaiseRankPeaks(group.peaks, &all.peaks);
    AddProfiles(group.profile_use, &all.profile_use);
    all.end = group.end;
    if (group.warmup_end)
      all.warmup_end = std::max(all.warmup_end.value_or(SimTime{}), *group.warmup_end);
    all.groups_in_warmup += group.groups_in_warmup;
    all.events += group.events;
    all.steps_leapt += group.steps_leapt;
    all.arrived += group.arrived;
    AddHalves(group.halves, &all.halves);
    all.finished += group.finished;
    all.rejected += group.rejected;
    for (const InvariantViolation& found : group.violations) {
      all.violations.push_back({absl::StrCat("group ", i, ": ", found.what), found.count});
    }
    all.shares.push_back(group.shares.front());
    digest.Add(absl::string_view(group.event_digest));
  }
  all.event_digest = digest.hex();
  return all;
}

}  // namespace tierscope
