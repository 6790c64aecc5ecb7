#include "sim/engine/conservation.h"

#include <algorithm>
#include <limits>

namespace tierscope {
namespace {

// |a - b| as a count.
int64_t Distance(__int128 a, __int128 b) {
  const __int128 difference = a < b ? b - a : a - b;
  return static_cast<int64_t>(std::min<__int128>(difference, std::numeric_limits<int64_t>::max()));
}

}  // namespace

std::vector<InvariantViolation> Conservation::Check(const RunEnd& run) const {
  std::vector<InvariantViolation> found;
  const auto add = [&](const char* what, int64_t count) {
    if (count != 0) found.push_back({what, count});
  };
  add("blocks of the reserve held by nobody", run.blocks_leaked);
  add("bytes recalled differ from blocks given to wanted pages x page bytes",
      Distance(landed_bytes_, static_cast<__int128>(run.blocks_recalled) * run.page_bytes));
  add("bytes fetched differ from entries x entry bytes",
      run.fetch_bytes - run.entries_fetched * run.entry_bytes);
  add("more blocks in use than the reserve has",
      std::max<int64_t>(0, run.blocks_in_use_peak - run.blocks));
  add("blocks of the prefix store pinned by nobody, or unpinned too often",
      run.prefix_pins - run.prefix_pins_known);
  if (!enabled_) return found;
  add("requests arrived differ from finished + rejected + those in a stage",
      Distance(run.arrived, run.finished + run.rejected + run.unfinished));
  add("requests in the system over time (ns) differ from the sum of their times in it",
      Distance(system_.AreaUntil(run.end), system_ns_ + run.unfinished_ns));
  add("requests in the batch differ from those that joined and did not leave",
      Distance(batch_.count, run.in_batch));
  add("requests in the batch over time (ns) differ from the sum of their times in it",
      Distance(batch_.AreaUntil(run.end), batch_ns_ + run.in_batch_ns));
  add("output tokens counted by steps differ from the sum of the requests' tokens",
      Distance(run.tokens_counted, tokens_ + run.unfinished_tokens));
  add("decode and idle time (ns) differ from the run's",
      Distance(run.end.ns, run.decode.ns + run.idle.ns + run.tail.ns));
  add("changes that left HBM in use above what is promised, or that above the card", hbm_over_);
  add("changes that left host DRAM in use above what is promised, or that above the node",
      host_over_);
  add("events before the one they follow", backward_);
  return found;
}

}  // namespace tierscope
