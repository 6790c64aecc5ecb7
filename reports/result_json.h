// result.json, host.json and what --format=json prints. Pure functions of their arguments: equal
// runs give equal bytes. Cost: linear in the output, some 10 KB a run.
#ifndef TIERSCOPE_REPORTS_RESULT_JSON_H_
#define TIERSCOPE_REPORTS_RESULT_JSON_H_

#include <span>
#include <string>

#include "reports/host_result.h"
#include "reports/schema/result.pb.h"

namespace tierscope {

// One object, newline at the end: schema_version, version, kind, scenario, scenario_digest, seed,
// inputs, event_digest, metrics {name: {"value" or "absent", "unit"}}, footprint, notes,
// violations, profiles, and of a measured run execution. Precondition: every metric's value is finite (MetricSet sees to it).
std::string ResultJson(const RunResult& result);

// One flat object, newline at the end; null where a value was not measured.
std::string HostJson(const HostResult& host);

// For standard output: result.json's object with one more key `host`; of several runs an array of
// them.
std::string StdoutJson(std::span<const RunReport> runs);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_RESULT_JSON_H_
