// What `tierscope compare --history` does: runs recorded, and what changed over time.
#ifndef TIERSCOPE_CLI_COMPARE_HISTORY_H_
#define TIERSCOPE_CLI_COMPARE_HISTORY_H_

#include <string>

#include "absl/status/status.h"
#include "cli/rows.h"

#include "reports/compare/run_set.h"

namespace tierscope::cli {

// Adds the runs under `label`, or under their version where it is empty, and says so on stderr.
absl::Status RecordRuns(const RunSet& runs, const std::string& label, const std::string& path);

// With `metric` its values run by run; without, a row a change, or with `all` a row a metric as
// well.
absl::Status PrintTrend(const std::string& path, const std::string& metric, bool all,
                        OutputFormat format);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_COMPARE_HISTORY_H_
