#include "reports/page.h"

#include <string>

#include "gtest/gtest.h"
#include "simdjson.h"

#include "reports/result_json.h"
#include "tests/reports/sample_run.h"
#include "tests/testing/temp_folder.h"

namespace tierscope::testing {
namespace {

constexpr PageFiles kFiles = {"body{}", "\"use strict\";", "/* libraries */", ""};

ReportInput Folder(const TempFolder& folder, const RunReport& run) {
  folder.Write("run/result.json", ResultJson(run.result));
  folder.Write("run/host.json", HostJson(run.host));
  folder.Write("run/scenario.txtpb", "name: \"</script><b>\\\"\"\n");
  const absl::StatusOr<ReportInput> input = ReadReportInput(folder.File("run"));
  EXPECT_TRUE(input.ok()) << input.status();
  return input.value_or(ReportInput());
}

TEST(PageTest, DataIsJsonWithEveryMetricAndCannotEndItsElement) {
  const TempFolder folder;
  const ReportInput inputs[] = {Folder(folder, HostileRun())};
  const std::string data = PageData(inputs, "0.0");
  EXPECT_EQ(data.find('<'), std::string::npos);
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  ASSERT_EQ(parser.parse(data).get(root), simdjson::SUCCESS);
  const simdjson::dom::element run = root["inputs"].at(0);
  EXPECT_EQ(std::string_view(run["kind"]), "run");
  EXPECT_EQ(std::string_view(run["scenario"]), "name: \"</script><b>\\\"\"\n");
  const RunResult result = HostileRun().result;
  for (const Metric& metric : result.metrics()) {
    double value = 0;
    if (metric.absent().empty()) {
      ASSERT_EQ(run["result"]["metrics"][metric.name()]["value"].get(value), simdjson::SUCCESS);
      EXPECT_EQ(value, metric.value()) << metric.name();
    }
  }
  EXPECT_EQ(root["definitions"].get_array().size(), static_cast<size_t>(result.metrics_size()));
}

TEST(PageTest, ForbidsAllThatIsNotInIt) {
  const TempFolder folder;
  const ReportInput inputs[] = {Folder(folder, HostileRun())};
  const absl::StatusOr<std::string> page = PageHtml(inputs, "0.0", kFiles);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_NE(page->find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(page->find("unsafe-eval"), std::string::npos);
  for (const char* attribute : {"src=", "src=\"", "href=", "href=\""}) {
    for (const char* address : {"//", "http://", "https://"}) {
      EXPECT_EQ(page->find(std::string(attribute) + address), std::string::npos) << address;
    }
  }
  size_t scripts = 0;
  for (size_t at = page->find("<script"); at != std::string::npos;
       at = page->find("<script", at + 1))
    ++scripts;
  EXPECT_EQ(scripts, 3u) << "the data, the libraries, the page's own";
}

TEST(PageTest, OfTooMuchIsRefused) {
  ReportInput input;
  input.kind = ReportInputKind::kCapacity;
  input.path = "c.json";
  input.document = "[" + std::string(kPageBytesMax, ' ') + "]";
  const absl::StatusOr<std::string> page = PageHtml({&input, 1}, "0.0", kFiles);
  EXPECT_EQ(page.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(PageTest, TheBuildHasItsFilesOrSaysWhatItLacked) {
  const PageFiles files = EmbeddedPageFiles();
  EXPECT_GT(files.style.size(), 1000u);
  EXPECT_GT(files.script.size(), 10'000u);
  EXPECT_EQ(files.script.find("</script"), absl::string_view::npos);
  EXPECT_EQ(files.libraries.find("</script"), absl::string_view::npos);
  EXPECT_NE(files.libraries.empty(), files.missing.empty());
  if (files.libraries.empty()) return;
  for (const char* notice : {"/*! vega 5.", "/*! vega-lite 5.", "/*! vega-interpreter 1.",
                             "University of Washington", "Mike Bostock"}) {
    EXPECT_NE(files.libraries.find(notice), absl::string_view::npos) << notice;
  }
}

}  // namespace
}  // namespace tierscope::testing
