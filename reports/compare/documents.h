// A comparison as documents that other programs show: a pull-request comment, a CI's list of tests,
// a page. Pure functions; equal comparisons give equal bytes. Every string of a run is escaped.
#ifndef TIERSCOPE_REPORTS_COMPARE_DOCUMENTS_H_
#define TIERSCOPE_REPORTS_COMPARE_DOCUMENTS_H_

#include <string>

#include "reports/compare/compare.h"

namespace tierscope {

// GitHub's limit on a comment, in characters. Bytes are counted here, which are no fewer.
inline constexpr size_t kMarkdownBytesMax = 65'536;

// GitHub-flavoured Markdown of at most `bytes_max`: what fails first, then what changed, what is
// the same as a number. What does not fit is left off from the end, and a line says how much.
std::string ComparisonMarkdown(const Comparison& comparison, size_t bytes_max = kMarkdownBytesMax);

// JUnit XML as GitLab, Jenkins and GitHub's actions read it (reports/schema/junit.xsd): a suite a
// scenario, a case a metric; failures fail, ambiguous and waived ones are skipped with their
// reason.
std::string ComparisonJunit(const Comparison& comparison);

// One static page that loads nothing and runs no script.
std::string ComparisonHtml(const Comparison& comparison);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_COMPARE_DOCUMENTS_H_
