// What `tierscope capacity` prints. Pure functions of a report.
#ifndef TIERSCOPE_CLI_CAPACITY_REPORT_H_
#define TIERSCOPE_CLI_CAPACITY_REPORT_H_

#include <string>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/planner/plan_capacity.h"

namespace tierscope::cli {

struct CapacityPrint {
  const Scenario& scenario;
  const CapacityReport& report;
  double price_per_gpu_hour = 0.0;  // 0 = not given
};

std::string CapacityTable(const CapacityPrint& print);
// One object: the answer, what binds, what HBM is traded for, every limit, every load that was run.
std::string CapacityJson(const CapacityPrint& print);
// The loads that were run, one a line; `answer` marks the one that is.
std::string CapacityCsv(const CapacityPrint& print);

// What must be said beside the answer for it not to mislead; a sentence each.
std::vector<std::string> CapacityRemarks(const CapacityPrint& print);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_CAPACITY_REPORT_H_
