#include "cli/indexer_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/rows.h"

namespace tierscope::cli {
namespace {

IndexerQualityCounts Together(const std::vector<IndexerQualityCounts>& profiles) {
  IndexerQualityCounts all;
  for (const IndexerQualityCounts& profile : profiles) {
    all.golden.Merge(profile.golden);
    all.selected.Merge(profile.selected);
    all.golden_windows += profile.golden_windows;
    all.golden_entries += profile.golden_entries;
  }
  return all;
}

Cell NumberCell(double value) { return value < 0.0 ? Cell::Absent() : Cell::Number(value, 3); }

std::string EvidenceTable(const char* truth, const IndexerEvidence& evidence) {
  std::string text = absl::StrFormat(
      "  against %s: %d windows, %d of %d entries needed (%d under the score floor), AUC %s, "
      "calibration error %s\n",
      truth, evidence.windows, evidence.needed, evidence.needed + evidence.other,
      evidence.needed_under_floor, NumberCell(evidence.auc).text(),
      NumberCell(evidence.calibration_error).text());
  Rows rows;
  rows.columns = {"threshold", "kept", "precision", "recall", "F1"};
  for (const ThresholdEvidence& at : evidence.thresholds) {
    rows.cells.push_back({Cell::Number(at.threshold, 2), NumberCell(at.kept_fraction),
                          NumberCell(at.precision), NumberCell(at.recall), NumberCell(at.f1)});
  }
  absl::StrAppend(&text, TableText(rows));
  Rows bins;
  bins.columns = {"score", "mean score", "needed", "entries"};
  for (size_t bin = 0; bin < evidence.calibration.size(); ++bin) {
    const CalibrationBin& b = evidence.calibration[bin];
    if (b.entries == 0) continue;
    bins.cells.push_back(
        {Cell::String(absl::StrFormat("%.1f to %.1f", static_cast<double>(bin) / 10,
                                      static_cast<double>(bin + 1) / 10)),
         NumberCell(b.score_mean), NumberCell(b.needed_fraction), Cell::Count(b.entries)});
  }
  if (!bins.cells.empty()) absl::StrAppend(&text, TableText(bins));
  return text;
}

std::string JsonNumber(double value) {
  return value < 0.0 ? "null" : absl::StrFormat("%.6g", value);
}

std::string EvidenceJson(const IndexerEvidence& evidence) {
  if (evidence.windows == 0) return "null";
  std::vector<std::string> thresholds, bins;
  for (const ThresholdEvidence& at : evidence.thresholds) {
    thresholds.push_back(absl::StrCat("{\"threshold\":", JsonNumber(at.threshold),
                                      ",\"kept_fraction\":", JsonNumber(at.kept_fraction),
                                      ",\"precision\":", JsonNumber(at.precision), ",\"recall\":",
                                      JsonNumber(at.recall), ",\"f1\":", JsonNumber(at.f1), "}"));
  }
  for (const CalibrationBin& bin : evidence.calibration) {
    bins.push_back(absl::StrCat("{\"score_mean\":", JsonNumber(bin.score_mean),
                                ",\"needed_fraction\":", JsonNumber(bin.needed_fraction),
                                ",\"entries\":", bin.entries, "}"));
  }
  return absl::StrCat("{\"windows\":", evidence.windows, ",\"needed_entries\":", evidence.needed,
                      ",\"other_entries\":", evidence.other,
                      ",\"needed_under_floor\":", evidence.needed_under_floor,
                      ",\"auc\":", JsonNumber(evidence.auc),
                      ",\"calibration_error\":", JsonNumber(evidence.calibration_error),
                      ",\"thresholds\":[", absl::StrJoin(thresholds, ","), "],\"calibration\":[",
                      absl::StrJoin(bins, ","), "]}");
}

}  // namespace

std::string IndexerTable(const std::vector<IndexerQualityCounts>& profiles,
                         const std::vector<double>& thresholds) {
  const IndexerQualityCounts all = Together(profiles);
  std::string text =
      "\nmemory indexer, all profiles together; needed entries of a window behind each tick\n";
  if (all.golden.windows > 0) {
    absl::StrAppend(&text, EvidenceTable("golden entries", EvidenceOf(all.golden, thresholds)));
  } else if (all.golden_windows > 0) {
    absl::StrAppend(&text, "  against golden entries: no scores; ", all.golden_entries,
                    " golden entries in ", all.golden_windows, " windows\n");
  } else {
    absl::StrAppend(&text,
                    "  against golden entries: the trace holds no attention weights or labels\n");
  }
  if (all.selected.windows > 0) {
    absl::StrAppend(&text,
                    EvidenceTable("native selections", EvidenceOf(all.selected, thresholds)));
  } else {
    absl::StrAppend(&text,
                    "  against native selections: the trace holds no scores with selections of the "
                    "full history\n");
  }
  return text;
}

std::string IndexerJson(const std::vector<IndexerQualityCounts>& profiles,
                        const std::vector<double>& thresholds) {
  const IndexerQualityCounts all = Together(profiles);
  return absl::StrCat("{\"golden\":", EvidenceJson(EvidenceOf(all.golden, thresholds)),
                      ",\"selected\":", EvidenceJson(EvidenceOf(all.selected, thresholds)),
                      ",\"golden_windows\":", all.golden_windows,
                      ",\"golden_entries\":", all.golden_entries, "}");
}

}  // namespace tierscope::cli
