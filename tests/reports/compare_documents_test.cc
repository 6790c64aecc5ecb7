// Markdown, JUnit, HTML, JSON and CSV of a comparison: golden text, limits, hostile strings.
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "simdjson.h"

#include "reports/compare/documents.h"
#include "reports/compare/rows.h"
#include "tests/reports/compare_sides.h"
#include "tests/testing/golden.h"
#include "tests/testing/temp_folder.h"

namespace tierscope::testing {
namespace {

MetricComparison Of(const std::string& metric, Verdict verdict, double base, double next) {
  MetricComparison made;
  made.scenario = "h20_lsa";
  made.metric = metric;
  made.unit = "ms";
  made.verdict = verdict;
  made.fails = verdict == Verdict::kRegressed || verdict == Verdict::kMissing;
  made.base = base;
  made.next = next;
  made.base_samples = made.next_samples = 1;
  return made;
}

// One of each verdict, one waived.
Comparison Sample() {
  Comparison all;
  all.base_path = "base";
  all.next_path = "new";
  all.base_version = all.next_version = "0.1.0";
  all.metrics = {Of("steps", Verdict::kSame, 100, 100),
                 Of("step_ms_p99", Verdict::kRegressed, 29.5, 29.795),
                 Of("coverage", Verdict::kImproved, 0.78, 0.7800000000000001),
                 Of("tpot_ms_p50", Verdict::kMissing, 29, 0)};
  all.metrics[3].next.reset();
  all.metrics[3].why = "the new run does not have it";
  MetricComparison waived = Of("stall_ms_total", Verdict::kRegressed, 0, 3);
  waived.fails = false;
  waived.waiver = "known (until 2027-01-01)";
  all.metrics.push_back(waived);
  MetricComparison measured = Of("sim_wall_s", Verdict::kAmbiguous, 4.25, 4.5);
  measured.measured = true;
  measured.base_samples = 20;
  measured.ratio = RatioInterval{0.99, 1.13};
  measured.why = "too few";
  all.metrics.push_back(measured);
  all.problems.push_back({"h20_full", "missing: the new runs do not have it"});
  all.notes.push_back("h20_mix: new, the base does not have it");
  all.passes = false;
  return all;
}

// Every string hostile.
Comparison Hostile() {
  const std::string hostile =
      "\"'<script>alert(1)</script>&amp;|`@everyone` [x](http://y) ]]>\n\r\t\x1b[31m\xff\xc0\xaf"
      "\xe2\x80\xae\xef\xbf\xbf\xef\xbf\xbe\\ **b** #1";
  Comparison all = Sample();
  for (MetricComparison& metric : all.metrics) {
    metric.scenario = hostile;
    metric.metric += hostile;
    metric.unit = hostile;
    metric.why = hostile;
    if (!metric.waiver.empty()) metric.waiver = hostile;
  }
  all.base_path = all.next_path = all.base_version = all.next_version = hostile;
  all.problems.push_back({hostile, hostile});
  all.notes.push_back(hostile);
  return all;
}

int CountOf(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

TEST(CompareDocumentsTest, Golden) {
  ExpectGolden(ComparisonMarkdown(Sample()), "compare.md");
  ExpectGolden(ComparisonJunit(Sample()), "compare_junit.xml");
  ExpectGolden(ComparisonJson(Sample()), "compare.json");
  ExpectGolden(ComparisonCsv(Sample()), "compare.csv");
  ExpectGolden(ComparisonHtml(Sample()), "compare.html");
}

TEST(CompareDocumentsTest, MarkdownFitsACommentAndSaysWhatIsLeftOff) {
  Comparison large = Sample();
  for (int i = 0; i < 5000; ++i) {
    large.metrics.push_back(Of(absl::StrCat("metric_", i), Verdict::kRegressed, 1, 2));
  }
  const std::string text = ComparisonMarkdown(large);
  EXPECT_LE(text.size(), kMarkdownBytesMax);
  EXPECT_GT(text.size(), kMarkdownBytesMax * 9 / 10);
  EXPECT_NE(text.find(" more lines do not fit here"), std::string::npos);
  EXPECT_NE(text.find("failed: 5002 of 5006 metrics"), std::string::npos);
  // All rows are there or counted: two failing ones of the sample, 5000, two that differ, a note.
  const size_t at = text.rfind("\n", text.find(" more lines")) + 1;
  const int left_off = std::atoi(text.c_str() + at);
  EXPECT_EQ(CountOf(text, "| h20_lsa | ") + left_off, 5000 + 5 + 1 + 1);
  for (size_t bytes_max = 400; bytes_max < 3000; bytes_max += 97) {
    EXPECT_LE(ComparisonMarkdown(large, bytes_max).size(), bytes_max);
    EXPECT_LE(ComparisonMarkdown(Hostile(), bytes_max).size(), bytes_max);
  }
  EXPECT_EQ(ComparisonMarkdown(Sample()).find("do not fit"), std::string::npos);
}

TEST(CompareDocumentsTest, HostileStringsStayText) {
  const Comparison hostile = Hostile();
  const std::string markdown = ComparisonMarkdown(hostile), html = ComparisonHtml(hostile),
                    junit = ComparisonJunit(hostile);
  for (const std::string& text : {markdown, html, junit}) {
    EXPECT_EQ(text.find("<script"), std::string::npos);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(text.find("\xe2\x80\xae"), std::string::npos);
    EXPECT_TRUE(simdjson::validate_utf8(text));
  }
  EXPECT_EQ(markdown.find("@everyone"), std::string::npos);
  EXPECT_EQ(markdown.find("](http"), std::string::npos);
  for (size_t at = 0; (at = markdown.find("\n| ", at)) != std::string::npos; ++at) {
    const std::string row = markdown.substr(at + 1, markdown.find('\n', at + 1) - at - 1);
    EXPECT_EQ(CountOf(row, "|"), 8) << row;  // no cell ends early
  }
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("src="), std::string::npos);
  EXPECT_EQ(html.find("href="), std::string::npos);
  simdjson::dom::parser parser;
  EXPECT_EQ(parser.parse(ComparisonJson(hostile)).error(), simdjson::SUCCESS);
}

TEST(CompareDocumentsTest, JunitCountsItsCases) {
  const std::string junit = ComparisonJunit(Sample());
  EXPECT_NE(junit.find("<testsuites name=\"tierscope compare\" tests=\"7\" failures=\"3\" "
                       "errors=\"0\" skipped=\"2\""),
            std::string::npos)
      << junit;
  EXPECT_EQ(CountOf(junit, "<testcase "), 7);
  EXPECT_EQ(CountOf(junit, "<failure "), 3);
  EXPECT_EQ(CountOf(junit, "<skipped "), 2);
}

// xmllint, of Debian's libxml2-utils, against the schema that reports/schema has.
TEST(CompareDocumentsTest, JunitIsValid) {
  if (std::system("xmllint --version >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "xmllint is not there; it is in libxml2-utils";
  }
  const TempFolder folder;
  const std::string schema = absl::StrCat(TIERSCOPE_SOURCE_DIR, "/reports/schema/junit.xsd");
  const auto validate = [&](const std::string& text) {
    const std::string file = folder.Write("junit.xml", text);
    return std::system(
        absl::StrCat("xmllint --noout --schema '", schema, "' ", file, " >/dev/null 2>&1").c_str());
  };
  const std::string good = ComparisonJunit(Sample());
  EXPECT_EQ(validate(good), 0);
  EXPECT_EQ(validate(ComparisonJunit(Hostile())), 0);
  // The schema bites.
  EXPECT_NE(validate(absl::StrReplaceAll(good, {{" failures=\"3\"", ""}})), 0);
  EXPECT_NE(validate(absl::StrReplaceAll(good, {{"<failure ", "<failed "}})), 0);
  EXPECT_NE(validate(absl::StrReplaceAll(good, {{"classname=", "class="}})), 0);
  EXPECT_NE(validate(good.substr(0, good.size() / 2)), 0);
}

}  // namespace
}  // namespace tierscope::testing
