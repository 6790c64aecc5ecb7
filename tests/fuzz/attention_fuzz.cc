#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/check.h"
#include "sim/demand/distil.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"
#include "traces/attention_statistics.h"
#include "traces/attention_trace.h"
#include "traces/container.h"

namespace tierscope::testing {
namespace {

// Holds every visit against the promises of AttentionVisitor, and writes the trace again.
class Rewriter : public AttentionVisitor {
 public:
  explicit Rewriter(ContainerWriter* writer) : writer_(writer) {}

  absl::Status OnProfile(const ProfileHeader& profile) override {
    TIERSCOPE_CHECK(!in_profile_ && ValidateProfileHeader(profile).ok());
    in_profile_ = true;
    profile_ = profile;
    step_ = 0;
    Flush();
    *record_.mutable_profile() = profile;
    has_record_ = true;
    return absl::OkStatus();
  }
  absl::Status OnTick(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                      std::span<const uint8_t> codes) override {
    CheckVisit(step, entries);
    TIERSCOPE_CHECK(codes.size() == entries.size());
    for (const uint8_t code : codes) TIERSCOPE_CHECK(code >= profile_.score_floor_code());
    Flush();
    FillTick(step, layer, entries, codes, &record_);
    has_record_ = true;
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                           std::span<const uint8_t> votes) override {
    CheckVisit(step, entries);
    TIERSCOPE_CHECK(layer >= kAllLayers && layer < profile_.csa_layer_count());
    TIERSCOPE_CHECK(votes.size() == (layer == kAllLayers ? entries.size() : 0));
    for (const uint8_t vote : votes) {
      TIERSCOPE_CHECK(vote >= 1 && vote <= profile_.csa_layer_count());
    }
    Flush();
    FillSelection(step, layer, entries, votes, {}, &record_);
    has_record_ = true;
    return absl::OkStatus();
  }
  absl::Status OnWeights(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                         std::span<const uint8_t> weights) override {
    TIERSCOPE_CHECK(record_.has_selection() && record_.selection().step() == step);
    TIERSCOPE_CHECK(record_.selection().layer() == layer && weights.size() == entries.size());
    record_.mutable_selection()->set_weights(weights.data(), weights.size());
    return absl::OkStatus();
  }
  absl::Status OnDecision(int32_t step, bool is_pages, std::span<const uint32_t> ids) override {
    CheckVisit(step, ids);
    Flush();
    record_.mutable_decision()->set_step(step);
    record_.mutable_decision()->set_is_pages(is_pages);
    uint32_t previous = 0;
    for (const uint32_t id : ids) {
      record_.mutable_decision()->add_id_delta(id - previous);
      previous = id;
    }
    has_record_ = true;
    return absl::OkStatus();
  }
  absl::Status OnGolden(int32_t step, std::span<const uint32_t> entries,
                        std::span<const uint8_t> votes) override {
    CheckVisit(step, entries);
    TIERSCOPE_CHECK(votes.size() == entries.size());
    Flush();
    FillGolden(step, entries, votes, &record_);
    has_record_ = true;
    return absl::OkStatus();
  }
  absl::Status OnProfileEnd() override {
    TIERSCOPE_CHECK(in_profile_);
    in_profile_ = false;
    return absl::OkStatus();
  }
  void OnTraceEnd(const std::string& digest) override {
    TIERSCOPE_CHECK(!in_profile_ && digest.size() == 16);
    Flush();
  }

  const ProfileHeader& profile() const { return profile_; }  // the last one

 private:
  void CheckVisit(int32_t step, std::span<const uint32_t> entries) {
    TIERSCOPE_CHECK(in_profile_ && step >= step_ && step <= profile_.step_count());
    step_ = step;
    for (size_t i = 0; i < entries.size(); ++i) {
      TIERSCOPE_CHECK(entries[i] < HistoryEntries(profile_, step));
      TIERSCOPE_CHECK(i == 0 || entries[i] > entries[i - 1]);
    }
  }
  // Weights arrive after their selection, so a record waits for the next visit.
  void Flush() {
    if (has_record_) TIERSCOPE_CHECK(writer_->Append(record_).ok());
    record_.Clear();
    has_record_ = false;
  }

  ContainerWriter* writer_;
  TraceRecord record_;
  bool has_record_ = false;
  bool in_profile_ = false;
  ProfileHeader profile_;
  int32_t step_ = 0;
};

std::unique_ptr<ContainerWriter> OpenScratch() {
  auto writer = ContainerWriter::Open(ScratchPath());
  TIERSCOPE_CHECK(writer.ok());
  return *std::move(writer);
}

// Written again, the trace reads to the same records: rewriting that gives the same digest.
void CheckRewrites(ContainerWriter* first) {
  TIERSCOPE_CHECK(first->Finish().ok());
  const std::unique_ptr<ContainerWriter> second = OpenScratch();
  Rewriter rewriter(second.get());
  TIERSCOPE_CHECK(ReadAttentionTrace(ScratchPath(), rewriter).ok());
  TIERSCOPE_CHECK(second->digest() == first->digest());
}

void CheckStatistics(const std::string& path) {
  const absl::StatusOr<AttentionStatistics> statistics = ComputeAttentionStatistics(path, {});
  if (!statistics.ok()) return CheckError(statistics.status(), path);  // scores by layer
  TIERSCOPE_CHECK(!statistics->profiles.empty());
  for (const ProfileStatistics& s : statistics->profiles) {
    for (const double value : {s.kept_fraction, s.recorded_fraction, s.distinct_entries,
                               s.golden_entries, s.step_overlap, s.layer_overlap,
                               s.kept_page_fraction, s.page_churn, s.selected_page_churn}) {
      TIERSCOPE_CHECK(std::isfinite(value) && (value >= 0 || value == -1));
    }
  }
}

void CheckDemand(const std::string& path, const ProfileHeader& profile) {
  for (const WantPolicy policy : {WantPolicy::kLsa, WantPolicy::kOracle, WantPolicy::kRecency}) {
    const DemandSpec spec = {.policy = policy, .tau_steps = profile.tick_stride_steps()};
    const absl::StatusOr<WindowDemand> demand = DistilTrace(path, spec);
    if (!demand.ok()) CheckError(demand.status(), path);
  }
}

}  // namespace

void FuzzAttention(absl::string_view input) {
  static MemoryFile file;
  const std::string& path = file.Fill(ContainerOf(SplitRecords(input)));
  const std::unique_ptr<ContainerWriter> writer = OpenScratch();
  Rewriter rewriter(writer.get());
  const absl::Status status = ReadAttentionTrace(path, rewriter);
  if (!status.ok()) {
    CheckError(status, path);
    TIERSCOPE_CHECK(!ComputeAttentionStatistics(path, {}).ok());
    return;
  }
  CheckRewrites(writer.get());
  CheckStatistics(path);
  CheckDemand(path, rewriter.profile());
}

}  // namespace tierscope::testing
