#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "reports/compare/documents.h"
#include "reports/compare/rows.h"
#include "reports/text.h"

namespace tierscope {
namespace {

// In an attribute, quotes left out. U+FFFE and U+FFFF are no characters of XML.
std::string Xml(absl::string_view text) {
  return absl::StrReplaceAll(HtmlEscaped(OneLine(text)),
                             {{"\xEF\xBF\xBE", "\xEF\xBF\xBD"}, {"\xEF\xBF\xBF", "\xEF\xBF\xBD"}});
}

struct Case {
  std::string name;
  enum { kPassed, kFailed, kSkipped } outcome = kPassed;
  std::string message;
};

struct Suite {
  std::string name;
  std::vector<Case> cases;
};

std::string MessageOf(const MetricComparison& comparison) {
  const ComparisonCells cells = CellsOf(comparison);
  return absl::StrCat(VerdictName(comparison.verdict), ": ", cells.base, " -> ", cells.next, " ",
                      comparison.unit, " (", cells.change, ")", cells.why.empty() ? "" : "; ",
                      cells.why);
}

Case CaseOf(const MetricComparison& comparison) {
  Case made{comparison.metric, Case::kPassed, MessageOf(comparison)};
  if (comparison.fails) {
    made.outcome = Case::kFailed;
  } else if (comparison.verdict == Verdict::kAmbiguous || !comparison.waiver.empty()) {
    made.outcome = Case::kSkipped;
  }
  return made;
}

Suite* SuiteOf(const std::string& name, std::vector<Suite>* suites) {
  for (Suite& suite : *suites) {
    if (suite.name == name) return &suite;
  }
  suites->push_back({name, {}});
  return &suites->back();
}

int CountOf(const Suite& suite, decltype(Case::outcome) outcome) {
  int count = 0;
  for (const Case& made : suite.cases) count += made.outcome == outcome ? 1 : 0;
  return count;
}

std::string Attributes(absl::string_view name, size_t tests, int failures, int skipped) {
  return absl::StrCat("name=\"", Xml(name), "\" tests=\"", tests, "\" failures=\"", failures,
                      "\" errors=\"0\" skipped=\"", skipped, "\" time=\"0\"");
}

std::string CaseXml(const Suite& suite, const Case& made) {
  std::string out = absl::StrCat("    <testcase name=\"", Xml(made.name), "\" classname=\"",
                                 Xml(absl::StrCat("tierscope.", suite.name)), "\" time=\"0\"");
  if (made.outcome == Case::kPassed) return absl::StrCat(out, "/>\n");
  const absl::string_view element = made.outcome == Case::kFailed ? "failure" : "skipped";
  const absl::string_view type = made.outcome == Case::kFailed ? "\" type=\"gate" : "";
  return absl::StrCat(out, ">\n      <", element, " message=\"", Xml(made.message), type,
                      "\"/>\n    </testcase>\n");
}

}  // namespace

std::string ComparisonJunit(const Comparison& comparison) {
  std::vector<Suite> suites;
  for (const MetricComparison& metric : comparison.metrics) {
    SuiteOf(metric.scenario, &suites)->cases.push_back(CaseOf(metric));
  }
  for (const Problem& problem : comparison.problems) {
    const std::string name = problem.scenario.empty() ? "gates" : problem.scenario;
    SuiteOf(name, &suites)->cases.push_back({problem.what, Case::kFailed, problem.what});
  }
  size_t tests = 0;
  int failures = 0, skipped = 0;
  std::string body;
  for (const Suite& suite : suites) {
    const int failed = CountOf(suite, Case::kFailed), left = CountOf(suite, Case::kSkipped);
    tests += suite.cases.size();
    failures += failed;
    skipped += left;
    absl::StrAppend(&body, "  <testsuite ",
                    Attributes(suite.name, suite.cases.size(), failed, left), ">\n");
    for (const Case& made : suite.cases) absl::StrAppend(&body, CaseXml(suite, made));
    absl::StrAppend(&body, "  </testsuite>\n");
  }
  return absl::StrCat("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites ",
                      Attributes("tierscope compare", tests, failures, skipped), ">\n", body,
                      "</testsuites>\n");
}

}  // namespace tierscope
