// Reuse of prefixes across requests: what a request finds in the store, loads, and leaves there.
#include <algorithm>

#include "sim/engine/replica.h"

namespace tierscope {
namespace {

constexpr int64_t kDigestReuse = 11;  // behind RequestEvent::Kind

}  // namespace

// Pins what the store has of the request's prompt, beyond what an earlier look pinned. Reused are
// whole pages, and never the last token, which gives the first one generated.
void Replica::MatchPrefix(Waiting& waiting) {
  if (!prefix_) return;
  const Arrival& arrival = waiting.arrival;
  const auto ids = prefix_->IdsOf(arrival.trace_index);
  PrefixHold& hold = waiting.prefix;
  hold.blocks = prefix_->Match(ids, hold.blocks);
  const int64_t tokens = std::min(prefix_->TokensIn(ids, hold.blocks, arrival.context_tokens),
                                  arrival.context_tokens - 1);
  hold.pages = tokens / plan_.page_tokens;
}

// Of a request that has just arrived, what lies in lower tiers comes up before it stands in line.
// False: nothing has to.
bool Replica::FetchPrefix(Waiting& waiting, SimTime now) {
  if (!prefix_ || !prefix_->has_lower_tiers()) return false;
  const PrefixStore::Fetch found = prefix_->StartFetch(prefix_->IdsOf(waiting.arrival.trace_index));
  waiting.prefix.blocks = found.end;
  if (!found.arriving) return false;
  const int64_t block_bytes = plan_.FullKvBytes(prefix_->block_tokens());
  Fetch fetch{waiting, {found.blocks[0] * block_bytes, found.blocks[1] * block_bytes}};
  counters_.prefix_nvme_bytes += fetch.bytes[0];
  counters_.prefix_remote_bytes += fetch.bytes[1];
  tier_links_[0].queue.push_back(fetch);
  StartFetch(0, now);
  return true;
}

void Replica::StartFetch(int32_t tier, SimTime now) {
  TierLink& link = tier_links_[static_cast<size_t>(tier)];
  while (!link.busy && !link.queue.empty()) {
    if (link.queue.front().bytes[static_cast<size_t>(tier)] == 0) {
      PassFetch(tier, now);
      continue;
    }
    link.busy = true;
    lockstep_.LongestActivity(link.latency);
    Push((now + link.latency).ns, kFetchReady, tier);
  }
}

// One copy is read and every rank's DRAM is written.
void Replica::OnFetchReady(int32_t tier, SimTime now) {
  const TierLink& link = tier_links_[static_cast<size_t>(tier)];
  const Flow flow = tier == 0 ? Flow::kNvme : Flow::kRemote;
  StartFlow(flow, now, link.queue.front().bytes[static_cast<size_t>(tier)], link.bytes_per_s);
}

void Replica::OnFetchDone(int32_t tier, SimTime now) {
  tier_links_[static_cast<size_t>(tier)].busy = false;
  PassFetch(tier, now);
  StartFetch(tier, now);
}

// The first request in line needs nothing more of this tier: on to the next, or into line.
void Replica::PassFetch(int32_t tier, SimTime now) {
  TierLink& link = tier_links_[static_cast<size_t>(tier)];
  const Fetch fetch = link.queue.front();
  link.queue.pop_front();
  if (tier + 1 < kLowerTierCount) {
    tier_links_[static_cast<size_t>(tier) + 1].queue.push_back(fetch);
    StartFetch(tier + 1, now);
  } else {
    Waiting waiting = fetch.waiting;
    prefix_->FinishFetch(prefix_->IdsOf(waiting.arrival.trace_index), waiting.prefix.blocks);
    counters_.prefix_fetch_ns.Add((now - waiting.ready).ns);
    waiting.ready = now;
    EnterLine(waiting, now);
  }
}

// The request's prefill starts, without what it reuses.
void Replica::CountPrefix(const Waiting& waiting, SimTime now) {
  if (!prefix_) return;
  counters_.prefix_prompt_tokens += waiting.arrival.context_tokens;
  counters_.prefix_tokens_reused += PrefixTokens(waiting.prefix);
  counters_.prefix_blocks_matched += waiting.prefix.blocks;
  // Before admission there is no request to tell of: digested by the order of arrival.
  for (const int64_t part : {kDigestReuse, now.ns, waiting.number, int64_t{waiting.prefix.pages}}) {
    digest_.Add(static_cast<uint64_t>(part));
  }
}

// Bytes of the reused prefix that one rank's HBM needs: all KV under FULL; else index keys and HCA
// entries, the pages stay in the host.
int64_t Replica::PrefixLoadBytes(const RequestState& request) const {
  const int64_t tokens = PrefixTokens(request.prefix);
  return tiered() ? plan_.IndexBytes(tokens) + plan_.HcaBytes(tokens) : plan_.FullKvBytes(tokens);
}

// The prompt's KV is there: its blocks go into the store, and its whole pages there are no longer
// the request's own.
void Replica::KeepPrompt(int32_t slot, SimTime now) {
  if (!prefix_) return;
  RequestState& request = At(slot);
  const auto ids = prefix_->IdsOf(request.arrival.trace_index);
  const int64_t blocks = CeilDiv(request.context_tokens(), prefix_->block_tokens());
  const auto end = static_cast<int32_t>(std::min<int64_t>(blocks, std::ssize(ids)));
  request.prefix_blocks =
      KeepBlocks(ids, request.prefix.blocks, std::max(end, request.prefix.blocks),
                 request.context_tokens(), engine_.prefill() == Engine::COLOCATED_CHUNKED, now);
  const int64_t tokens = prefix_->TokensIn(ids, request.prefix_blocks, request.context_tokens());
  const int64_t pages = tokens / plan_.page_tokens;
  if (!tiered() || pages <= request.store_pages) return;
  const int64_t moved = pages - request.store_pages;
  request.store_pages = pages;
  request.host_pages_reserved -= moved;
  host_pages_reserved_ -= moved;
  host_pages_in_use_ -= moved;
}

// Blocks that come from this replica are copied to the host, beyond the pages that are anyway;
// those of a prefill pool came through it.
int32_t Replica::KeepBlocks(absl::Span<const uint32_t> ids, int32_t begin, int32_t end,
                            int64_t tokens, bool copied, SimTime now) {
  const int64_t before = prefix_->tokens_inserted();
  const int32_t reached = prefix_->Keep(ids, begin, end, tokens);
  const int64_t inserted = prefix_->tokens_inserted() - before;
  if (copied && inserted > 0) {
    writeback_bytes_ += tiered() ? plan_.IndexBytes(inserted) + plan_.HcaBytes(inserted)
                                 : plan_.FullKvBytes(inserted);
    StartWriteback(now);
  }
  return reached;
}

// The request has ended: what it generated stays as far as the conversation's next request names
// it, and all its blocks may be evicted. The last token's KV was never made.
void Replica::LeavePrefix(int32_t slot, SimTime now) {
  if (!prefix_) return;
  const RequestState& request = At(slot);
  const int64_t index = request.arrival.trace_index;
  const TraceRequest& recorded = prefix_->Recorded(index);
  const auto ids = prefix_->IdsWithOutput(index);
  const int64_t output_tokens = std::min(request.output_tokens(), recorded.output_tokens);
  const int64_t tokens = request.context_tokens() + output_tokens - 1;
  const auto begin = static_cast<int32_t>(request.context_tokens() / prefix_->block_tokens());
  const auto end =
      static_cast<int32_t>(std::min<int64_t>(tokens / prefix_->block_tokens(), std::ssize(ids)));
  const bool in_host = plan_.decode_region_entries == 0;
  if (in_host && recorded.input_tokens == request.context_tokens() && begin < end &&
      request.prefix_blocks >= begin) {
    const int32_t reached = KeepBlocks(ids, begin, end, tokens, /*copied=*/true, now);
    prefix_->Release(ids, begin, reached);
  }
  prefix_->Release(prefix_->IdsOf(index), 0, request.prefix_blocks);
}

}  // namespace tierscope
