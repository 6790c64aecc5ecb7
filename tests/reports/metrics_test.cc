#include "reports/schema/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/golden.h"

namespace tierscope::testing {
namespace {

// The rows "| `name` | unit | scope | definition |" of the README, as "name|unit|scope|definition".
std::vector<std::string> ReadmeRows() {
  std::istringstream lines(ReadFile(TIERSCOPE_SOURCE_DIR "/reports/schema/README.md"));
  std::vector<std::string> rows;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("| `", 0) != 0) continue;
    std::string row;
    for (size_t at = 2; at < line.size();) {
      const size_t end = line.find(" |", at);
      if (end == std::string::npos) break;
      row += (row.empty() ? "" : "|") + line.substr(at, end - at);
      at = end + 3;
    }
    row.erase(std::remove(row.begin(), row.end(), '`'), row.end());
    rows.push_back(row);
  }
  return rows;
}

std::vector<std::string> TableRows() {
  std::vector<std::string> rows;
  for (const MetricDef& definition : MetricDefinitions()) {
    rows.push_back(std::string(definition.name) + "|" + std::string(definition.unit) + "|" +
                   std::string(definition.scope) + "|" + std::string(definition.definition));
  }
  return rows;
}

// Equal lists: every metric is in the README and every row of the README is a metric, in one order.
TEST(MetricsTest, ReadmeAndTableAgreeBothWays) { EXPECT_EQ(ReadmeRows(), TableRows()); }

TEST(MetricsTest, DefinitionsAreComplete) {
  const std::set<std::string> scopes = {"rank", "node", "replica", "request", "link", "trace"};
  std::set<std::string> names;
  for (const MetricDef& definition : MetricDefinitions()) {
    const std::string name(definition.name);
    EXPECT_TRUE(names.insert(name).second) << name << " twice";
    EXPECT_FALSE(definition.unit.empty()) << name;
    EXPECT_TRUE(scopes.count(std::string(definition.scope))) << name;
    ASSERT_FALSE(definition.definition.empty()) << name;
    EXPECT_EQ(definition.definition.back(), '.') << name;
  }
}

// The list of the specification, braces expanded; a metric of it cannot get lost.
TEST(MetricsTest, SpecifiedMetricsExist) {
  for (const char* name : {
           "throughput_tok_per_s",
           "concurrency_mean",
           "goodput_req_per_s",
           "step_ms_mean",
           "step_ms_p50",
           "step_ms_p99",
           "tpot_ms_mean",
           "tpot_ms_p50",
           "tpot_ms_p90",
           "tpot_ms_p99",
           "ttft_ms_p50",
           "ttft_ms_p99",
           "hbm_total_gib_peak",
           "hbm_kv_gib_peak",
           "hbm_kv_gib_per_request",
           "hbm_kv_paper_gib_per_request",
           "hbm_total_gib_peak_in_use",
           "hbm_kv_gib_peak_in_use",
           "host_gib_peak",
           "host_gib_peak_in_use",
           "coverage",
           "coverage_prompt",
           "miss_inactive",
           "miss_evicted",
           "recall_miss_rate",
           "recall_gib",
           "recall_gib_node",
           "recall_gib_per_s",
           "recall_gib_per_s_node",
           "pages_recalled",
           "pages_recalled_node",
           "pages_evicted",
           "pages_evicted_node",
           "link_utilisation",
           "sideband_utilisation",
           "stall_ms_per_token",
           "stall_fraction",
           "stall_ms_by_cause.index",
           "stall_ms_by_cause.queue",
           "stall_ms_by_cause.transfer",
           "stall_ms_by_cause.join",
           "stall_ms_by_cause.eviction",
           "stall_ms_by_cause.admission",
           "stall_ms_by_cause.interference",
           "gflop_per_token",
           "requests_completed",
           "requests_unfinished",
           "queue_ms_p50",
           "queue_ms_p99",
           "output_tokens",
           "steps",
           "simulated_s",
           "warmup_s",
           "throughput_tok_per_s_per_gpu",
           "step_ms_max",
       }) {
    EXPECT_NE(FindMetricDefinition(name), nullptr) << name;
  }
  EXPECT_EQ(FindMetricDefinition("no_such_metric"), nullptr);
}

MetricSet Filled() {
  MetricSet metrics;
  for (const MetricDef& definition : MetricDefinitions()) {
    if (definition.name == "ttft_ms_p50") {
      metrics.SetAbsent(definition.name, "no prefill");
    } else if (definition.name != "steps") {
      metrics.Set(definition.name, 1.5);
    }
  }
  return metrics;
}

TEST(MetricSetTest, FinishWritesAllInOrderAndReplaces) {
  MetricSet metrics = Filled();
  EXPECT_FALSE(metrics.IsSet("steps"));
  metrics.Set("steps", 7);
  EXPECT_TRUE(metrics.IsSet("steps"));
  RunResult result;
  result.add_metrics()->set_name("stale");
  metrics.Finish(&result);
  ASSERT_EQ(static_cast<size_t>(result.metrics_size()), MetricDefinitions().size());
  for (int i = 0; i < result.metrics_size(); ++i) {
    EXPECT_EQ(result.metrics(i).name(),
              std::string(MetricDefinitions()[static_cast<size_t>(i)].name));
    EXPECT_EQ(result.metrics(i).unit(),
              std::string(MetricDefinitions()[static_cast<size_t>(i)].unit));
  }
  EXPECT_EQ(FindMetric(result, "steps")->value(), 7);
  EXPECT_EQ(FindMetric(result, "ttft_ms_p50")->absent(), "no prefill");
  EXPECT_FALSE(HasValue(*FindMetric(result, "ttft_ms_p50")));
  EXPECT_EQ(FindMetric(result, "stale"), nullptr);
}

TEST(MetricSetDeathTest, OurBugsEndTheProcessAndNameTheMetric) {
  const double infinity = std::numeric_limits<double>::infinity();
  MetricSet metrics;
  metrics.Set("coverage", 0.5);
  EXPECT_DEATH(metrics.Set("coverage", 0.5), "coverage.*set twice");
  EXPECT_DEATH(metrics.SetAbsent("coverage", "why"), "coverage.*set twice");
  EXPECT_DEATH(metrics.Set("coverge", 0.5), "coverge.*not in MetricDefinitions");
  EXPECT_DEATH(metrics.SetAbsent("coverge", "why"), "coverge.*not in MetricDefinitions");
  EXPECT_DEATH(metrics.SetAbsent("recall_gib", ""), "recall_gib.*without a reason");
  EXPECT_DEATH(metrics.Set("recall_gib", infinity), "recall_gib.*not finite");
  EXPECT_DEATH(metrics.Set("recall_gib", std::nan("")), "recall_gib.*not finite");
  RunResult result;
  EXPECT_DEATH(Filled().Finish(&result), "steps.*never set");
}

}  // namespace
}  // namespace tierscope::testing
