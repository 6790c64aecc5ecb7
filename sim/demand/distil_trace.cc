#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "sim/demand/distil.h"
#include "sim/demand/hot_buffers.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

// Feeds the records of a trace to the distiller, profile by profile.
class DistillingVisitor : public AttentionVisitor {
 public:
  explicit DistillingVisitor(const DemandSpec& spec) : distiller_(spec) {}

  absl::Status OnProfile(const ProfileHeader& profile) override {
    TIERSCOPE_RETURN_IF_ERROR(AddProfileHeader(profile, &demand_));
    is_empty_ = true;
    decides_ = profile.no_scores() && profile.has_decisions();
    return distiller_.Begin(profile, static_cast<int32_t>(demand_.profiles.size()));
  }
  absl::Status OnTick(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                      std::span<const uint8_t> codes) override {
    is_empty_ = false;
    distiller_.Tick(step, layer, entries, codes);
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t step, int32_t, std::span<const uint32_t> entries,
                           std::span<const uint8_t> votes) override {
    is_empty_ = false;
    distiller_.Select(step, entries, votes);
    return absl::OkStatus();
  }
  absl::Status OnDecision(int32_t step, bool is_pages, std::span<const uint32_t> ids) override {
    is_empty_ = is_empty_ && !decides_;
    return distiller_.Decide(step, is_pages, ids);
  }
  // What a demand costs follows from the header's steps. They are believed where a record per tick
  // or step stands for them.
  absl::Status OnProfileEnd() override {
    if (is_empty_) {
      return absl::InvalidArgumentError(
          "the profile holds neither scores nor selections, so it cannot be replayed; record one "
          "of them");
    }
    demand_.profiles.push_back(distiller_.Finish());
    return absl::OkStatus();
  }
  void OnTraceEnd(const std::string& digest) override { demand_.trace_digest = digest; }

  WindowDemand Take() { return std::move(demand_); }

 private:
  ProfileDistiller distiller_;
  bool is_empty_ = true;  // the open profile
  bool decides_ = false;  // its decisions stand for scores
  WindowDemand demand_;
};

}  // namespace

absl::Status AddProfileHeader(const ProfileHeader& header, WindowDemand* demand) {
  // Selections of all profiles are added up in units of 1 / stride.
  if (demand->stride_steps != 0 && header.tick_stride_steps() != demand->stride_steps) {
    return absl::InvalidArgumentError(
        absl::StrCat("a profile has a tick stride of ", header.tick_stride_steps(),
                     " steps and those before it ", demand->stride_steps,
                     "; record all profiles of a trace with one stride"));
  }
  demand->stride_steps = header.tick_stride_steps();
  demand->coverage_known = demand->coverage_known && header.selections() == SELECTIONS_FULL_HISTORY;
  if (!demand->provenance.empty()) return absl::OkStatus();
  demand->csa_layers = header.csa_layer_count();
  demand->top_k = header.top_k();
  const Provenance& provenance = header.provenance();
  demand->provenance =
      provenance.has_synthetic()
          ? absl::StrCat("synthetic (preset ", provenance.synthetic().preset(), ", seed ",
                         provenance.synthetic().seed(), "), not validated on ", header.model())
          : absl::StrCat("recorded with ", provenance.recorded_with());
  return absl::OkStatus();
}

absl::Status NoProfile(const std::string& path) {
  return absl::InvalidArgumentError(
      absl::StrCat(path,
                   ": holds no attention profile; give an attention trace, such as one made by "
                   "`tierscope trace generate`"));
}

absl::StatusOr<WindowDemand> DistilTrace(const std::string& path, const DemandSpec& spec) {
  if (NeedsLayers(spec.policy)) return DistilHotBuffers(path, spec);
  DistillingVisitor visitor(spec);
  TIERSCOPE_RETURN_IF_ERROR(ReadAttentionTrace(path, visitor));
  WindowDemand demand = visitor.Take();
  if (demand.profiles.empty()) return NoProfile(path);
  demand.trace_name = std::filesystem::path(path).filename().string();
  return demand;
}

}  // namespace tierscope
