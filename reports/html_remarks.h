// The parts of report.html that say where a run comes from and what to think of it. Every string is
// escaped here. Pure functions.
#ifndef TIERSCOPE_REPORTS_HTML_REMARKS_H_
#define TIERSCOPE_REPORTS_HTML_REMARKS_H_

#include <span>
#include <string>

#include "reports/host_result.h"

namespace tierscope {

// The violations of all runs, "" when there is none.
std::string HtmlViolations(std::span<const RunReport> runs);

// What is assumed, fitted, rounded or not validated, "" when nothing is.
std::string HtmlNotes(std::span<const RunReport> runs);

// Version, scenario, seed, digests, inputs, profiles, and the machine that simulated.
std::string HtmlProvenance(std::span<const RunReport> runs);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_HTML_REMARKS_H_
