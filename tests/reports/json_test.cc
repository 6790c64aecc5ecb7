#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "simdjson.h"

#include "reports/csv.h"
#include "reports/json_writer.h"
#include "reports/result_json.h"
#include "reports/schema/metrics.h"
#include "reports/text.h"
#include "sim/base/rng.h"
#include "tests/reports/sample_run.h"
#include "tests/testing/golden.h"

namespace tierscope::testing {
namespace {

std::string Number(double value) {
  std::string out;
  AppendJsonNumber(value, &out);
  return out;
}

// The text as a strict parser reads it back.
std::string ReadBack(const std::string& text) {
  std::string json;
  JsonWriter(&json).String(text);
  simdjson::dom::parser parser;
  const std::string_view value = parser.parse(json).get_string();
  return std::string(value);
}

TEST(JsonWriterTest, LayoutOfObjectsAndArrays) {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject();
  json.Key("empty").BeginArray().EndArray();
  json.Key("inline").BeginObject(JsonWriter::Layout::kInline);
  json.Key("a").Int(-1).Key("b").BeginArray().Bool(true).Null().EndArray();
  json.EndObject();
  json.Key("block").BeginArray().Uint(18446744073709551615u).String("x").EndArray();
  EXPECT_FALSE(json.complete());
  json.EndObject();
  EXPECT_TRUE(json.complete());
  EXPECT_EQ(out,
            "{\n  \"empty\": [],\n  \"inline\": {\"a\": -1, \"b\": [true, null]},\n"
            "  \"block\": [\n    18446744073709551615,\n    \"x\"\n  ]\n}");
}

TEST(JsonWriterTest, EveryCodePointAndEveryByteReadsBack) {
  std::string ascii;
  for (int c = 0; c < 0x80; ++c) ascii += static_cast<char>(c);
  EXPECT_EQ(ReadBack(ascii), ascii);
  const std::string wide = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
  EXPECT_EQ(ReadBack(wide), wide);
  for (int c = 0x80; c < 0x100; ++c) {
    EXPECT_EQ(ReadBack(std::string("a") + static_cast<char>(c) + "b"),
              "a\xEF\xBF\xBD"
              "b");
  }
}

TEST(TextTest, WhatIsNotUtf8IsReplacedAndNothingElse) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(ValidUtf8("\xc0\xaf"), replacement + replacement);  // overlong '/'
  EXPECT_EQ(ValidUtf8("\xe0\x80\xaf"), replacement + replacement + replacement);
  EXPECT_EQ(ValidUtf8("\xed\xa0\x80"), replacement + replacement + replacement);  // surrogate
  EXPECT_EQ(ValidUtf8("\xf4\x90\x80\x80").size(), 4 * replacement.size());        // above U+10FFFF
  EXPECT_EQ(ValidUtf8("\xe2\x82"), replacement + replacement);                    // cut
  EXPECT_EQ(ValidUtf8("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf");                   // U+10FFFF
  EXPECT_EQ(OneLine("a\nb\x1b[1m\xc2\x85"
                    "c"),
            "a b [1m c");
  EXPECT_EQ(Shortened("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 2), "\xe2\x82\xac\xe2\x80\xa6");
  EXPECT_EQ(HtmlEscaped("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
}

TEST(JsonWriterTest, NumbersAreShortestAndReadBackExactly) {
  EXPECT_EQ(Number(0.1), "0.1");
  EXPECT_EQ(Number(3600), "3600");
  EXPECT_EQ(Number(1e300), "1e+300");
  EXPECT_EQ(Number(77'414'400'000.0), "77414400000");
  EXPECT_EQ(Number(123456789012345680000.0), "1.2345678901234568e+20") << "not a 67-bit integer";
  Rng rng(7);
  simdjson::dom::parser parser;
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t bits = rng.NextUint64();
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    const std::string text = Number(value);
    EXPECT_EQ(std::strtod(text.c_str(), nullptr), value) << text;
    const double parsed = parser.parse(text).get_double();
    EXPECT_EQ(parsed, value) << text;
  }
}

TEST(JsonWriterDeathTest, MisuseEndsTheProcess) {
  std::string out;
  EXPECT_DEATH(JsonWriter(&out).Double(std::numeric_limits<double>::infinity()), "CHECK");
  EXPECT_DEATH(JsonWriter(&out).Double(std::nan("")), "CHECK");
  EXPECT_DEATH(JsonWriter(&out).BeginObject().Int(1), "CHECK");
  EXPECT_DEATH(JsonWriter(&out).BeginObject().Key("a").EndObject(), "CHECK");
  EXPECT_DEATH(JsonWriter(&out).BeginObject().EndArray(), "CHECK");
  EXPECT_DEATH(JsonWriter(&out).Int(1).Int(2), "CHECK");
  EXPECT_DEATH(JsonWriter(&out).BeginArray().Key("a"), "CHECK");
}

TEST(ResultJsonTest, Golden) {
  ExpectGolden(ResultJson(SampleLsaRun().result), "reports_result.json");
}

TEST(ResultJsonTest, HostGolden) {
  ExpectGolden(HostJson(SampleLsaRun().host), "reports_host.json");
}

// Read by a strict parser, value by value against the message.
TEST(ResultJsonTest, HoldsEveryMetricOfTheResult) {
  const RunResult result = SampleLsaRun().result;
  const std::string text = ResultJson(result);
  simdjson::dom::parser parser;
  const simdjson::dom::element root = parser.parse(text);
  const simdjson::dom::object metrics = root["metrics"];
  ASSERT_EQ(metrics.size(), static_cast<size_t>(result.metrics_size()));
  for (const Metric& metric : result.metrics()) {
    const simdjson::dom::object entry = metrics[metric.name()];
    EXPECT_EQ(entry.size(), 2u) << metric.name();
    EXPECT_EQ(entry["unit"].get_string().value(), metric.unit());
    if (HasValue(metric)) {
      EXPECT_EQ(entry["value"].get_double().value(), metric.value()) << metric.name();
    } else {
      EXPECT_EQ(entry["absent"].get_string().value(), metric.absent());
    }
  }
  EXPECT_EQ(root["seed"].get_uint64().value(), result.seed());
  EXPECT_EQ(root["footprint"].get_array().size(), static_cast<size_t>(result.footprint_size()));
}

TEST(ResultJsonTest, ValueNotMeasuredIsNull) {
  const std::string text = HostJson(SampleFullRun().host);
  EXPECT_NE(text.find("\"sim_speedup\": null"), std::string::npos) << text;
}

TEST(ResultJsonTest, StdoutIsTheObjectWithHostOrAnArrayOfThem) {
  const std::vector<RunReport> runs = {SampleLsaRun(), SampleFullRun()};
  simdjson::dom::parser one_parser, two_parser;
  const std::string one_text = StdoutJson(std::span(runs).first(1)), two_text = StdoutJson(runs);
  const simdjson::dom::element one = one_parser.parse(one_text);
  const simdjson::dom::element two = two_parser.parse(two_text);
  EXPECT_EQ(one["host"]["sim_events"].get_int64().value(), 12'345'678);
  EXPECT_EQ(one["metrics"]["coverage"]["value"].get_double().value(), 0.98);
  ASSERT_EQ(two.get_array().size(), 2u);
  EXPECT_EQ(two.at(0)["scenario"].get_string().value(), "h20_lsa");
  EXPECT_EQ(two.at(1)["scenario"].get_string().value(), "h20_full");
  // One more key than result.json, and otherwise the same.
  simdjson::dom::parser file_parser;
  const std::string file_text = ResultJson(runs[0].result);
  const simdjson::dom::object file = file_parser.parse(file_text);
  EXPECT_EQ(one.get_object().size(), file.size() + 1);
  for (const simdjson::dom::key_value_pair member : file) {
    EXPECT_EQ(simdjson::minify(one[member.key]), simdjson::minify(member.value)) << member.key;
  }
}

TEST(ResultJsonTest, HostileTextIsValidJson) {
  const std::vector<RunReport> runs = {HostileRun()};
  const std::string text = StdoutJson(runs);
  simdjson::dom::parser parser;
  const simdjson::dom::element root = parser.parse(text);
  const std::string scenario(root["scenario"].get_string().value());
  EXPECT_EQ(scenario, ValidUtf8(runs[0].result.scenario()));
}

// A reader of RFC 4180: the rows of `text`, quotes taken off.
std::vector<std::vector<std::string>> ReadCsv(const std::string& text) {
  std::vector<std::vector<std::string>> rows(1, {""});
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' && quoted && i + 1 < text.size() && text[i + 1] == '"') {
      rows.back().back() += text[i++];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      rows.back().emplace_back();
    } else if (c == '\n' && !quoted) {
      rows.push_back({""});
    } else {
      rows.back().back() += c;
    }
  }
  rows.pop_back();
  return rows;
}

TEST(CsvTest, Golden) {
  const std::vector<RunReport> runs = {SampleLsaRun(), SampleFullRun()};
  ExpectGolden(MetricsCsv(runs), "reports_metrics.csv");
}

TEST(CsvTest, HostileTextReadsBack) {
  const std::vector<RunReport> runs = {HostileRun()};
  const auto rows = ReadCsv(MetricsCsv(runs));
  const RunResult& result = runs[0].result;
  ASSERT_EQ(rows.size(), static_cast<size_t>(result.metrics_size()) + 1);
  for (size_t i = 1; i < rows.size(); ++i) {
    const Metric& metric = result.metrics(static_cast<int>(i) - 1);
    ASSERT_EQ(rows[i].size(), 5u);
    EXPECT_EQ(rows[i][0], ValidUtf8(result.scenario()));
    EXPECT_EQ(rows[i][1], metric.name());
    EXPECT_EQ(rows[i][2], ValidUtf8(metric.unit()));
    EXPECT_NE(rows[i][3].empty(), rows[i][4].empty()) << metric.name();
    if (HasValue(metric)) {
      EXPECT_EQ(std::strtod(rows[i][3].c_str(), nullptr), metric.value());
    } else {
      EXPECT_EQ(rows[i][4], ValidUtf8(metric.absent()));
    }
  }
}

}  // namespace
}  // namespace tierscope::testing
