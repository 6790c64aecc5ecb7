// The report as Markdown: the tables of the page, without its charts. Pure; linear in the inputs.
#ifndef TIERSCOPE_REPORTS_MARKDOWN_H_
#define TIERSCOPE_REPORTS_MARKDOWN_H_

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "reports/report_input.h"
#include "reports/schema/result.pb.h"

namespace tierscope {

// Error: an input whose members are not those of its kind.
absl::StatusOr<std::string> ReportMarkdown(std::span<const ReportInput> inputs,
                                           absl::string_view version);

// What waits longest for room, of a run: "page reserve, 41 % of the time"; "" where nothing waits.
std::string BindingText(const RunResult& result);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_MARKDOWN_H_
