#include "sim/engine/run_series.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace tierscope {
namespace {

void RaiseTo(int64_t value, int64_t& largest) { largest = std::max(largest, value); }

void RaiseMemory(const MemoryUse& memory, MemoryUse& largest) {
  RaiseTo(memory.requests_admitted, largest.requests_admitted);
  RaiseTo(memory.tokens_reserved, largest.tokens_reserved);
  RaiseTo(memory.tokens_in_use, largest.tokens_in_use);
  RaiseTo(memory.host_pages_reserved, largest.host_pages_reserved);
  RaiseTo(memory.host_pages_in_use, largest.host_pages_in_use);
  RaiseTo(memory.swap_bytes_reserved, largest.swap_bytes_reserved);
  RaiseTo(memory.swap_bytes_in_use, largest.swap_bytes_in_use);
  RaiseTo(memory.blocks_held, largest.blocks_held);
  RaiseTo(memory.prefix_blocks, largest.prefix_blocks);
}

void AddAll(const SampleSet& samples, CoarseHistogram& histogram) {
  for (const int64_t value : samples.values()) histogram.Add(value);
}

}  // namespace

size_t CoarseHistogram::BinOf(int64_t value) {
  const auto v = static_cast<uint64_t>(std::max<int64_t>(0, value));
  if (v < (1 << kBitsOfBin)) return v;
  // v >> octave is in [64, 128).
  const size_t octave = static_cast<size_t>(std::bit_width(v)) - 1 - kBitsOfBin;
  return (octave << kBitsOfBin) + (v >> octave);
}

int64_t CoarseHistogram::LowerEdge(size_t bin) {
  if (bin < (2 << kBitsOfBin)) return static_cast<int64_t>(bin);
  const size_t octave = (bin >> kBitsOfBin) - 1;
  return static_cast<int64_t>(((bin & ((1 << kBitsOfBin) - 1)) + (1 << kBitsOfBin)) << octave);
}

void RunSeries::Raise(SimDuration length, const MemoryUse& memory) {
  RaiseTo(length.ns, open_.step_ns_max);
  RaiseMemory(memory, open_.memory_max);
}

void RunSeries::WarmupEnded(SimTime now) {
  for (const SeriesSample& sample : samples_) RaiseMemory(sample.memory_max, open_.memory_max);
  samples_.clear();
  steps_ = CoarseHistogram();
  bucket_ = SimDuration{int64_t{1} << 20};
  Take(now, Counters());
}

void RunSeries::Finished(SimTime end, const Counters& counters) {
  active_page_steps_ = counters.active_page_steps;
  context_token_steps_ = counters.context_token_steps;
  request_steps_ = counters.request_steps;
  Take(end, counters);
  if (samples_.size() > kBucketsMax) HalveSamples();
  AddAll(counters.tpot_ns, tpot_);
  AddAll(counters.ttft_ns, ttft_);
  AddAll(counters.queue_ns, queue_);
  AddAll(counters.latency_ns, latency_);
}

void RunSeries::Sample(SimTime now, const Counters& counters) {
  Take(now, counters);
  if (samples_.size() >= kBucketsMax) HalveSamples();
}

void RunSeries::Take(SimTime now, const Counters& counters) {
  open_.time = now;
  open_.steps = counters.steps;
  open_.output_tokens = counters.output_tokens;
  open_.completed = counters.completed;
  open_.decode_ns = counters.decode.ns;
  open_.request_ns = static_cast<int64_t>(
      std::min<__int128>(counters.request_ns, std::numeric_limits<int64_t>::max()));
  for (size_t cause = 0; cause < open_.stall_ns.size(); ++cause) {
    open_.stall_ns[cause] = counters.stall[cause].ns;
  }
  open_.selections = counters.selections.all;
  open_.missed = counters.inactive.all + counters.evicted.all;
  open_.recall_bytes = counters.recall_bytes + counters.fetch_bytes;
  open_.link_busy_ns = counters.link_busy.ns;
  open_.sideband_busy_ns = counters.sideband_busy.ns;
  samples_.push_back(open_);
  open_ = SeriesSample();
  next_ = now + bucket_;
}

// Every second sample goes into the one after it; the first, the warm-up's end, stays, and so does
// the last.
void RunSeries::HalveSamples() {
  bucket_ = bucket_ * 2;
  size_t kept = 1;
  for (size_t i = 2; i < samples_.size() + 1; i += 2) {
    const size_t last = std::min(i, samples_.size() - 1);
    SeriesSample merged = samples_[last];
    if (last == i) {
      RaiseMemory(samples_[i - 1].memory_max, merged.memory_max);
      RaiseTo(samples_[i - 1].step_ns_max, merged.step_ns_max);
    }
    samples_[kept++] = merged;
  }
  samples_.resize(kept);
  next_ = samples_.back().time + bucket_;
}

}  // namespace tierscope
