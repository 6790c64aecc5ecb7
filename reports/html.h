// report.html: one static file that loads nothing and runs nothing, for one run or several side by
// side. A pure function; equal runs give equal bytes. Every string of the runs is escaped (text.h).
#ifndef TIERSCOPE_REPORTS_HTML_H_
#define TIERSCOPE_REPORTS_HTML_H_

#include <span>
#include <string>

#include "reports/host_result.h"

namespace tierscope {

// Precondition: at least one run.
std::string ReportHtml(std::span<const RunReport> runs);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_HTML_H_
