// What a policy holds, moves and leaves room for.
#include "absl/strings/str_cat.h"

#include "scenarios/memory.h"
#include "scenarios/policy_kind.h"
#include "scenarios/validate_parts.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

int64_t PagesForEntries(int64_t entries, const Model& model) {
  return CeilDiv(entries, model.page_entries());
}

// A want list larger than FlashMemory's pool evicts its own pages; a pool of none holds nothing.
absl::Status CheckFlashMemoryReserve(const Scenario& scenario, const Origins& origins) {
  const Model& model = scenario.model();
  const Policy& policy = scenario.policy();
  const bool protects = policy.eviction() == Policy::LRU_PROTECTED;
  const int64_t pages_min = protects ? policy.page_kmax() : 1;
  const int64_t recall_pages = FlashMemoryRecallPages(model, policy);
  if (recall_pages >= pages_min) return absl::OkStatus();
  const int64_t region_entries =
      kFlashMemorySlots * kFlashMemorySlotEntries + kFlashMemorySinkCells;
  return origins.Error(
      "policy.reserve_entries",
      absl::StrCat(policy.reserve_entries(), " entries, less FlashMemory's decode region of ",
                   region_entries, ", are ", recall_pages, " pages to recall into; give at least ",
                   region_entries + pages_min * model.page_entries()));
}

// One request's pages fit the reserve: those it takes, the forced ones and the one that is being
// filled.
absl::Status CheckReserve(const Scenario& scenario, const Origins& origins) {
  const Policy& policy = scenario.policy();
  if (!HasReserve(policy.kind())) return absl::OkStatus();
  if (policy.kind() == Policy::FLASHMEMORY) return CheckFlashMemoryReserve(scenario, origins);
  const Model& model = scenario.model();
  const int64_t reserve_pages = ReservePages(model, policy);
  const int64_t request_pages = policy.page_kmax() + 1 +
                                PagesForEntries(policy.recency_entries(), model) +
                                PagesForEntries(policy.sink_entries(), model);
  if (request_pages <= reserve_pages) return absl::OkStatus();
  return origins.Error(
      "policy.reserve_entries",
      absl::StrCat(policy.reserve_entries(), " entries are ", reserve_pages,
                   " pages, and one request may hold ", request_pages,
                   " (page_kmax, recency, sink and one open); raise it to ",
                   request_pages * model.page_entries(), " or lower policy.page_kmax"));
}

// The rates that the recall path needs.
absl::Status CheckRecallPath(const Scenario& scenario, const Origins& origins) {
  if (!HasColdPool(scenario.policy().kind())) return absl::OkStatus();
  const Link& link = scenario.hardware().host_link();
  const auto missing = [&](absl::string_view path) {
    return origins.Error(std::string(path),
                         absl::StrCat("is not given, and policy.recall_path ",
                                      Policy::RecallPath_Name(scenario.policy().recall_path()),
                                      " needs it; give it or policy.recall_path=COPY_ENGINE"));
  };
  switch (scenario.policy().recall_path()) {
    case Policy::COPY_ENGINE:
      return absl::OkStatus();
    case Policy::STAGED:
      if (!scenario.node().has_host_gather_bytes_per_s()) {
        return missing("node.host_gather_bytes_per_s");
      }
      if (!link.has_pageable_bytes_per_s())
        return missing("hardware.host_link.pageable_bytes_per_s");
      if (!link.has_copy_submit_us()) return missing("hardware.host_link.copy_submit_us");
      return absl::OkStatus();
    case Policy::GATHER_KERNEL:
      if (!link.has_gather_bytes_per_s()) return missing("hardware.host_link.gather_bytes_per_s");
      if (!link.has_gather_unaligned_factor()) {
        return missing("hardware.host_link.gather_unaligned_factor");
      }
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status CheckRanks(const Scenario& scenario, const Origins& origins) {
  const int32_t ranks = scenario.engine().tensor_parallel();
  const int32_t gpus = scenario.node().gpus();
  if (gpus % ranks == 0) return absl::OkStatus();
  return origins.Error("engine.tensor_parallel", absl::StrCat(ranks, " does not divide node.gpus (",
                                                              gpus, "); give a divisor of it"));
}

absl::Status CheckWeights(const Scenario& scenario, const Origins& origins) {
  const Hardware& hardware = scenario.hardware();
  const Engine& engine = scenario.engine();
  const int64_t weight_bytes = WeightBytesPerRank(scenario.model(), engine);
  const int64_t usable_bytes = HbmUsableBytes(hardware, engine);
  if (weight_bytes <= usable_bytes) return absl::OkStatus();
  return origins.Error("engine.tensor_parallel",
                       absl::StrCat("model ", scenario.model().name(), " needs ", Gb(weight_bytes),
                                    " of weights per rank at tensor_parallel=",
                                    engine.tensor_parallel(), ", hardware ", hardware.gpu(),
                                    " offers ", Gb(usable_bytes), " (", Gb(hardware.hbm_bytes()),
                                    " x hbm_usable_fraction ", engine.hbm_usable_fraction(),
                                    "): raise engine.tensor_parallel or choose other hardware"));
}

// What a tiered policy holds besides the weights leaves room for requests.
absl::Status CheckPools(const Scenario& scenario, const Origins& origins) {
  if (PlacementOf(scenario.policy().kind()) == KvPlacement::kAllInHbm) return absl::OkStatus();
  const Model& model = scenario.model();
  const int64_t weight_bytes = WeightBytesPerRank(model, scenario.engine());
  const int64_t reserve_bytes = ReserveBytes(model, scenario.policy());
  const int64_t pool_bytes = model.fixed_hbm_bytes() + IndexKeyPoolBytes(model, scenario.policy());
  const int64_t usable_bytes = HbmUsableBytes(scenario.hardware(), scenario.engine());
  if (weight_bytes + pool_bytes + reserve_bytes < usable_bytes) return absl::OkStatus();
  return origins.Error(
      "policy.reserve_entries",
      absl::StrCat(scenario.policy().reserve_entries(), " entries are ", Gb(reserve_bytes),
                   "; with ", Gb(weight_bytes), " of weights and ", Gb(pool_bytes),
                   " of fixed pools no request fits the ", Gb(usable_bytes),
                   " that the engine may use per rank: lower it, raise engine.tensor_parallel or "
                   "choose other hardware"));
}

}  // namespace

absl::Status CheckMemoryFields(const Scenario& scenario, const Origins& origins) {
  TIERSCOPE_RETURN_IF_ERROR(CheckReserve(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckRecallPath(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckRanks(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckParallel(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckWeights(scenario, origins));
  return CheckPools(scenario, origins);
}

}  // namespace tierscope
