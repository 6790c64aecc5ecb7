// A reconciliation as a terminal's table, Markdown and JSON (reconcile.json, which the page of a
// run can show as a section), and several of them as one summary. Pure functions.
#ifndef TIERSCOPE_REPORTS_RECONCILE_TEXT_H_
#define TIERSCOPE_REPORTS_RECONCILE_TEXT_H_

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reports/reconcile.h"

namespace tierscope {

// Where the numbers come from, as name and value: profile digest, device, date, versions.
using Provenance = std::vector<std::pair<std::string, std::string>>;

std::string ReconcileTable(const Reconciliation& result, const Provenance& provenance);
std::string ReconcileMarkdown(const Reconciliation& result, const Provenance& provenance);
std::string ReconcileJson(const Reconciliation& result, const Provenance& provenance);

// How well predictions order configurations, over a grid of them.
struct RankAgreement {
  std::string cost;  // what is least in the best configuration
  std::vector<std::string> configurations;
  std::vector<PredictedMeasured> costs;
  double kendall_tau = 0.0;
  double regret = 0.0;
};

// One line a scenario: median step, errors, noise floor, verdict; then rank agreement where given.
struct ReconcileSuite {
  std::vector<Reconciliation> scenarios;
  std::optional<RankAgreement> ranks;
  bool passed() const;
};
std::string SuiteTable(const ReconcileSuite& suite, const Provenance& provenance);
std::string SuiteMarkdown(const ReconcileSuite& suite, const Provenance& provenance);
std::string SuiteJson(const ReconcileSuite& suite, const Provenance& provenance);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_RECONCILE_TEXT_H_
