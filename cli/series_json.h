// series.json: how a run went over time, for the interactive report. Bounded (run_series.h), the
// same bytes on every machine. cli/README.md lists its members.
#ifndef TIERSCOPE_CLI_SERIES_JSON_H_
#define TIERSCOPE_CLI_SERIES_JSON_H_

#include <string>

#include "absl/status/statusor.h"

#include "scenarios/scenario.pb.h"
#include "sim/engine/coverage_tally.h"
#include "sim/engine/run_series.h"
#include "traces/request_trace.h"

namespace tierscope::cli {

// The scenario ran; `requests` is null where it names no request trace.
absl::StatusOr<std::string> SeriesJson(const Scenario& scenario, const RequestTrace* requests,
                                       const RunSeries& series, const CoverageTally& coverage);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_SERIES_JSON_H_
