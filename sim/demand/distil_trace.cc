#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "sim/demand/distil.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

// Feeds the records of a trace to the distiller, profile by profile.
class DistillingVisitor : public AttentionVisitor {
 public:
  explicit DistillingVisitor(const DemandSpec& spec) : distiller_(spec) {}

  absl::Status OnProfile(const ProfileHeader& profile) override {
    NoteProvenance(profile);
    return distiller_.Begin(profile, static_cast<int32_t>(demand_.profiles.size()));
  }
  absl::Status OnTick(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                      std::span<const uint8_t> codes) override {
    distiller_.Tick(step, layer, entries, codes);
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t step, int32_t, std::span<const uint32_t> entries,
                           std::span<const uint8_t> votes) override {
    distiller_.Select(step, entries, votes);
    return absl::OkStatus();
  }
  absl::Status OnDecision(int32_t step, bool is_pages, std::span<const uint32_t> ids) override {
    return distiller_.Decide(step, is_pages, ids);
  }
  absl::Status OnProfileEnd() override {
    demand_.profiles.push_back(distiller_.Finish());
    return absl::OkStatus();
  }
  void OnTraceEnd(const std::string& digest) override { demand_.trace_digest = digest; }

  WindowDemand Take() { return std::move(demand_); }

 private:
  void NoteProvenance(const ProfileHeader& profile) {
    demand_.coverage_known =
        demand_.coverage_known && profile.selections() == SELECTIONS_FULL_HISTORY;
    if (!demand_.provenance.empty()) return;
    demand_.csa_layers = profile.csa_layer_count();
    demand_.top_k = profile.top_k();
    const Provenance& provenance = profile.provenance();
    demand_.provenance =
        provenance.has_synthetic()
            ? absl::StrCat("synthetic (preset ", provenance.synthetic().preset(), ", seed ",
                           provenance.synthetic().seed(), "), not validated on ", profile.model())
            : absl::StrCat("recorded with ", provenance.recorded_with());
  }

  ProfileDistiller distiller_;
  WindowDemand demand_;
};

}  // namespace

absl::StatusOr<WindowDemand> DistilTrace(const std::string& path, const DemandSpec& spec) {
  DistillingVisitor visitor(spec);
  TIERSCOPE_RETURN_IF_ERROR(ReadAttentionTrace(path, visitor));
  WindowDemand demand = visitor.Take();
  if (demand.profiles.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": holds no attention profile; give an attention trace, such as one made by "
                     "`tierscope trace generate`"));
  }
  demand.trace_name = std::filesystem::path(path).filename().string();
  return demand;
}

}  // namespace tierscope
