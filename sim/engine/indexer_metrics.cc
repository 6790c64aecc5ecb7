#include "sim/engine/indexer_metrics.h"

#include "absl/strings/str_cat.h"

namespace tierscope {
namespace {

void SetOrAbsent(absl::string_view name, double value, absl::string_view reason,
                 MetricSet* metrics) {
  if (value >= 0.0) {
    metrics->Set(name, value);
  } else {
    metrics->SetAbsent(name, reason);
  }
}

void FillEvidence(absl::string_view truth, const ScoreCounts& counts, double threshold,
                  absl::string_view reason, MetricSet* metrics) {
  IndexerEvidence evidence;
  ThresholdEvidence at;
  if (counts.windows > 0) {
    evidence = EvidenceOf(counts, {threshold});
    at = evidence.thresholds.front();
  }
  const auto set = [&](absl::string_view stem, double value) {
    SetOrAbsent(absl::StrCat(stem, ".", truth), value, reason, metrics);
  };
  set("indexer_precision", at.precision);
  set("indexer_recall", at.recall);
  set("indexer_f1", at.f1);
  set("indexer_auc", evidence.auc);
  set("indexer_calibration_error", evidence.calibration_error);
  if (truth != "native") return;
  SetOrAbsent("indexer_kept_fraction", at.kept_fraction, reason, metrics);
}

void SetGoldenRecall(const Scenario& scenario, const WindowDemand* demand,
                     const std::vector<IndexerQualityCounts>* profiles, MetricSet* metrics) {
  if (demand == nullptr || demand->hot_buffers != nullptr)
    return metrics->Set("golden_recall", 1.0);
  const GoldenCover cover = profiles == nullptr ? GoldenCover() : CoverGolden(*profiles, *demand);
  if (cover.golden > 0) {
    return metrics->Set("golden_recall",
                        static_cast<double>(cover.active) / static_cast<double>(cover.golden));
  }
  metrics->SetAbsent(
      "golden_recall",
      profiles == nullptr
          ? "the attention trace was not looked at for golden entries"
          : absl::StrCat("the attention trace has no golden entries in windows of ",
                         scenario.policy().tau_steps(), " steps: no attention weights, no labels"));
}

}  // namespace

void FillIndexerMetrics(const Scenario& scenario, const WindowDemand* demand,
                        const std::vector<IndexerQualityCounts>* profiles, MetricSet* metrics) {
  ScoreCounts golden, native;
  if (profiles != nullptr) {
    for (const IndexerQualityCounts& profile : *profiles) {
      golden.Merge(profile.golden);
      native.Merge(profile.selected);
    }
  }
  const absl::string_view unseen = demand == nullptr
                                       ? "policy FULL reads no attention trace"
                                       : "the attention trace was not looked at for its indexer";
  const double threshold = scenario.policy().threshold();
  FillEvidence("golden", golden, threshold,
               profiles == nullptr
                   ? unseen
                   : "the attention trace has no golden entries with scores, or none "
                     "at this threshold",
               metrics);
  FillEvidence("native", native, threshold,
               profiles == nullptr
                   ? unseen
                   : "the attention trace has no scores with selections of the full "
                     "history, or none at this threshold",
               metrics);
  SetGoldenRecall(scenario, demand, profiles, metrics);
}

}  // namespace tierscope
