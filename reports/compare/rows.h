// The cells of a comparison as people read them, for every writer; and the writers that are not
// pages. Pure functions; strings of runs go through reports/text.h.
#ifndef TIERSCOPE_REPORTS_COMPARE_ROWS_H_
#define TIERSCOPE_REPORTS_COMPARE_ROWS_H_

#include <string>

#include "reports/compare/compare.h"

namespace tierscope {

struct ComparisonCells {
  std::string base, next;  // shortest decimals that read back exactly, medians to six digits; "-"
  std::string change;      // "+1.00 %", "[+0.8, +1.2] %" behind it where measured; "-"
  std::string samples;     // "20 / 20", "" where simulated
  std::string why;         // with the waiver
};
ComparisonCells CellsOf(const MetricComparison& comparison);

struct VerdictCounts {
  int same = 0, improved = 0, regressed = 0, changed = 0, ambiguous = 0, missing = 0, fresh = 0;
  int waived = 0, failing = 0;
};
VerdictCounts CountVerdicts(const Comparison& comparison);

// "failed: 2 of 180 metrics in 2 scenarios, 1 other problem".
std::string Headline(const Comparison& comparison);
// "2 regressed, 1 improved, 177 same".
std::string CountsText(const Comparison& comparison);

// True for what a summary leaves out: the same on both sides, to the last bit where simulated.
bool IsDull(const MetricComparison& comparison);

// One object: base, new, passes, problems, notes, metrics in full.
std::string ComparisonJson(const Comparison& comparison);
// Header
// `scenario,metric,verdict,fails,base,new,unit,ratio_low,ratio_high,base_samples,new_samples,
// why,waiver`, a row a metric. Lines end in "\n".
std::string ComparisonCsv(const Comparison& comparison);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_COMPARE_ROWS_H_
