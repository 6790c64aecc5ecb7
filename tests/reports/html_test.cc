#include "reports/html.h"

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "reports/html_style.h"
#include "reports/schema/metrics.h"
#include "reports/text.h"
#include "tests/reports/sample_run.h"

namespace tierscope::testing {
namespace {

size_t CountOf(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

bool IsVoid(const std::string& name) {
  static const std::set<std::string> kVoid = {"meta", "br", "!DOCTYPE"};
  return kVoid.count(name) > 0;
}

// Every tag's name in order ("/p" closes), after checking that tags nest and attributes are quoted
// and that no text outside tags holds a bare '<', '>' or '"'-broken attribute.
std::vector<std::string> CheckedTags(const std::string& html) {
  std::vector<std::string> tags, open;
  for (size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at)) {
    bool quoted = false;
    size_t end = at + 1;
    for (; end < html.size() && (quoted || html[end] != '>'); ++end) {
      if (html[end] == '"') quoted = !quoted;
      EXPECT_NE(html[end], '<') << "'<' inside a tag: " << html.substr(at, 60);
    }
    const std::string tag = html.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" /\n", 1));
    tags.push_back(name);
    if (name[0] == '/') {
      if (open.empty() || open.back() != name.substr(1)) {
        ADD_FAILURE() << "<" << name << "> closes " << (open.empty() ? "nothing" : open.back());
        return tags;
      }
      open.pop_back();
    } else if (!IsVoid(name) && tag.back() != '/') {
      open.push_back(name);
    }
    at = end + 1;
  }
  EXPECT_TRUE(open.empty()) << open.back() << " is not closed";
  return tags;
}

void ExpectSelfContained(const std::string& html) {
  for (const std::string& tag : CheckedTags(html)) {
    EXPECT_TRUE(tag != "script" && tag != "link" && tag != "img" && tag != "iframe") << tag;
  }
  for (const char* loader : {"http:", "https:", "src=", "href=", "url(", "@import", "onload="}) {
    EXPECT_EQ(html.find(loader), std::string::npos) << loader;
  }
}

std::string WithoutStyle(std::string html) {
  const size_t at = html.find(kHtmlStyle);
  return at == std::string::npos ? html : html.erase(at, sizeof(kHtmlStyle) - 1);
}

TEST(HtmlTest, OneRunHasEverySection) {
  const std::vector<RunReport> runs = {SampleLsaRun()};
  const std::string html = ReportHtml(runs);
  ExpectSelfContained(html);
  for (const char* text :
       {"<h1>h20_lsa</h1>", "<h2>Memory</h2>", "<h2>Stall by cause</h2>", "<h2>Metrics</h2>",
        "<h2>Notes</h2>", "<h2>Provenance</h2>", "96.00 GiB", "131.25 GiB", "850.00 GiB", "98.0 %",
        "0.800 ms", "2,002 tok/s", "0123456789abcdef", "fedcba9876543210", "00112233445566aa",
        "v4_flash-512k.tst", "18446744073709551615", "engine.prefill is NONE"}) {
    EXPECT_NE(html.find(text), std::string::npos) << text;
  }
  EXPECT_EQ(html.find("class=\"violations\""), std::string::npos);
}

TEST(HtmlTest, EveryMetricStandsWithItsDefinition) {
  const std::vector<RunReport> runs = {SampleLsaRun()};
  const std::string html = ReportHtml(runs);
  for (const MetricDef& definition : MetricDefinitions()) {
    const std::string text = HtmlEscaped(definition.definition);
    EXPECT_NE(html.find("<th scope=\"row\">" + std::string(definition.name) + "</th>"),
              std::string::npos);
    EXPECT_EQ(CountOf(html, text + "</td>"), CountOf(html, text + "\">")) << definition.name;
    EXPECT_GE(CountOf(html, text + "</td>"), 1u) << definition.name;
  }
}

// Widths of the bars are the numbers: each pool's share of the capacity.
TEST(HtmlTest, BarsHaveTheWidthOfTheirNumbers) {
  const std::vector<RunReport> runs = {SampleLsaRun()};
  const std::string html = ReportHtml(runs);
  EXPECT_NE(html.find("<svg x=\"0.000%\" width=\"15.429%\""), std::string::npos);   // weights
  EXPECT_NE(html.find("<svg x=\"15.429%\" width=\"27.429%\""), std::string::npos);  // page reserve
  EXPECT_NE(html.find("<svg x=\"0.000%\" width=\"47.420%\""), std::string::npos);   // cold pool
  EXPECT_NE(html.find("width=\"66.667%\" height=\"100%\"/>"), std::string::npos);  // reserve in use
  EXPECT_NE(html.find("class=\"value\" x=\"0.000%\" width=\"25.000%\""), std::string::npos)
      << "transfer is a quarter of interference";
}

TEST(HtmlTest, TablesAreAccessible) {
  const std::vector<RunReport> runs = {SampleLsaRun(), SampleFullRun()};
  for (const std::string& html : {ReportHtml(std::span(runs).first(1)), ReportHtml(runs)}) {
    EXPECT_EQ(CountOf(html, "<table"), CountOf(html, "<caption>"));
    EXPECT_EQ(CountOf(html, "<th "), CountOf(html, "<th scope="));
    EXPECT_EQ(CountOf(html, "<th>"), 0u);
    EXPECT_EQ(CountOf(html, "<h1>"), 1u);
    EXPECT_EQ(CountOf(html, "role=\"img\""), CountOf(html, "role=\"img\" aria-label="));
    EXPECT_NE(html.find("<html lang=\"en\">"), std::string::npos);
    EXPECT_NE(html.find("prefers-color-scheme: dark"), std::string::npos);
    EXPECT_NE(html.find("@media print"), std::string::npos);
  }
}

TEST(HtmlTest, RunsSideBySide) {
  const std::vector<RunReport> runs = {SampleLsaRun(), SampleFullRun()};
  const std::string html = ReportHtml(runs);
  ExpectSelfContained(html);
  EXPECT_NE(html.find("116.25 GiB of 131.25 GiB"), std::string::npos);
  EXPECT_NE(html.find("policy.kind is FULL: nothing is recalled"), std::string::npos);
  EXPECT_GE(CountOf(html, "[2] h20_full"), 5u);
}

TEST(HtmlTest, HostileTextIsEscaped) {
  const std::vector<RunReport> runs = {HostileRun(), HostileRun()};
  for (const std::string& html : {ReportHtml(runs), ReportHtml(std::span(runs).first(1))}) {
    ExpectSelfContained(html);
    EXPECT_EQ(html, ValidUtf8(html));
    EXPECT_EQ(html.find("<script"), std::string::npos);
    EXPECT_EQ(html.find('\x1b'), std::string::npos);
    EXPECT_EQ(html.find("\xe2\x80\xae"), std::string::npos) << "right-to-left override";
    EXPECT_NE(html.find("&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;"), std::string::npos);
    EXPECT_EQ(CountOf(WithoutStyle(html), "'"), 4u) << "more than those of our own policy";
    EXPECT_NE(html.find("class=\"violations\""), std::string::npos);
  }
}

TEST(HtmlTest, MemoryPastItsCapacityStaysInTheBarAndMarksTheLimit) {
  std::vector<RunReport> runs = {SampleLsaRun()};
  for (Pool& pool : *runs[0].result.mutable_footprint()) {
    if (pool.tier() == "hbm") pool.set_capacity_bytes(int64_t{48} << 30);
  }
  const std::string html = ReportHtml(runs);
  ExpectSelfContained(html);
  EXPECT_NE(html.find("class=\"limit\" x1=\"50.000%\""), std::string::npos);
  EXPECT_NE(html.find("200.0 %"), std::string::npos);
}

TEST(HtmlTest, EmptyResult) {
  const std::vector<RunReport> runs(1);
  ExpectSelfContained(ReportHtml(runs));
}

}  // namespace
}  // namespace tierscope::testing
