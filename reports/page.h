// The interactive report: one HTML file that holds its data, its charts' libraries and its script,
// and asks for nothing else. What is shown is decided in reports/page/*.js from the inputs' own
// JSON, so a number in the page is the number in the file it came from. Pure; linear in the inputs.
#ifndef TIERSCOPE_REPORTS_PAGE_H_
#define TIERSCOPE_REPORTS_PAGE_H_

#include <cstddef>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "reports/page_files.h"
#include "reports/report_input.h"

namespace tierscope {

inline constexpr size_t kPageBytesMax = size_t{15} << 20;

// `version`: of tierscope. `files.libraries` is not empty. Error: a page of more than
// kPageBytesMax.
absl::StatusOr<std::string> PageHtml(std::span<const ReportInput> inputs, absl::string_view version,
                                     const PageFiles& files);

// The data that the page holds: {"version", "causes", "definitions", "inputs": [{"kind", "name",
// ...}]}, safe inside a script element.
std::string PageData(std::span<const ReportInput> inputs, absl::string_view version);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_PAGE_H_
