// What engine.prefix_store demands of the fields around it.
#include "absl/strings/str_cat.h"

#include "scenarios/memory.h"
#include "scenarios/validate_parts.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

// Without a store nothing about it is given.
absl::Status CheckNoPrefixStore(const PrefixTiers& store, const Origins& origins) {
  const auto refuse = [&](absl::string_view field) {
    return origins.Error(absl::StrCat("engine.prefix_store.", field),
                         "has no effect without engine.prefix_store.host_bytes; give that or "
                         "remove it");
  };
  if (store.eviction() != PrefixTiers::LRU) return refuse("eviction");
  if (store.nvme_bytes() > 0) return refuse("nvme_bytes");
  if (store.remote_bytes() > 0) return refuse("remote_bytes");
  return absl::OkStatus();
}

// A tier below the host has a link.
absl::Status CheckLowerTiers(const Scenario& scenario, const Origins& origins) {
  const PrefixTiers& store = scenario.engine().prefix_store();
  const Node& node = scenario.node();
  const auto missing = [&](absl::string_view field, absl::string_view tier) {
    return origins.Error(absl::StrCat("node.", field),
                         absl::StrCat("is not given, and engine.prefix_store.", tier,
                                      " needs it; give it or ", tier, "=0"));
  };
  if (store.nvme_bytes() > 0 && !node.has_nvme_read_bytes_per_s()) {
    return missing("nvme_read_bytes_per_s", "nvme_bytes");
  }
  if (store.nvme_bytes() > 0 && !node.has_nvme_latency_us()) {
    return missing("nvme_latency_us", "nvme_bytes");
  }
  if (store.remote_bytes() > 0 && !node.has_remote_read_bytes_per_s()) {
    return missing("remote_read_bytes_per_s", "remote_bytes");
  }
  if (store.remote_bytes() > 0 && !node.has_remote_latency_us()) {
    return missing("remote_latency_us", "remote_bytes");
  }
  return absl::OkStatus();
}

}  // namespace

// A prefix store has something to match, something to spare, and room.
absl::Status CheckPrefixStore(const Scenario& scenario, const Origins& origins) {
  const Engine& engine = scenario.engine();
  const PrefixTiers& store = engine.prefix_store();
  const std::string path = "engine.prefix_store.host_bytes";
  if (store.host_bytes() == 0) return CheckNoPrefixStore(store, origins);
  TIERSCOPE_RETURN_IF_ERROR(CheckLowerTiers(scenario, origins));
  if (engine.prefill() == Engine::NONE) {
    return origins.Error(path,
                         "has no effect with prefill NONE, where a request's KV is there when it "
                         "arrives; remove it or choose DISAGGREGATED or COLOCATED_CHUNKED");
  }
  if (engine.admit() != Engine::FULL) {
    return origins.Error(path,
                         "is not modelled with admit OPTIMISTIC, whose preempted requests would "
                         "hold blocks; remove it or choose engine.admit=FULL");
  }
  if (!scenario.workload().has_trace()) {
    return origins.Error(path,
                         "has no effect without a request trace with block ids; remove it or give "
                         "workload.trace");
  }
  const int64_t usable_bytes = HostUsableBytes(scenario.node());
  if (store.host_bytes() < usable_bytes) return absl::OkStatus();
  return origins.Error(
      path, absl::StrCat(Gb(store.host_bytes()), " leave nothing of the ", Gb(usable_bytes),
                         " of host DRAM (node.host_bytes x host_usable_fraction); lower it"));
}

}  // namespace tierscope
