#include "reports/page.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "reports/json_writer.h"
#include "reports/schema/metrics.h"
#include "reports/view.h"
#include "sim/base/check.h"

namespace tierscope {
namespace {

constexpr JsonWriter::Layout kInline = JsonWriter::Layout::kInline;

absl::string_view KindName(ReportInputKind kind) {
  switch (kind) {
    case ReportInputKind::kRun:
      return "run";
    case ReportInputKind::kSweep:
      return "sweep";
    case ReportInputKind::kCapacity:
      return "capacity";
    case ReportInputKind::kValidation:
      return "validation";
    case ReportInputKind::kReconciliation:
      return "reconciliation";
  }
  TIERSCOPE_CHECK(false);
}

// A run is called by its folder, another input by its file.
std::string NameOf(const ReportInput& input) {
  std::string path = input.path;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path.substr(path.rfind('/') + 1);
}

std::string InputJson(const ReportInput& input) {
  std::string out = "{\"kind\":";
  AppendJsonString(KindName(input.kind), &out);
  out += ",\"name\":";
  AppendJsonString(NameOf(input), &out);
  const std::pair<const char*, const std::string&> documents[] = {
      {"document", input.document}, {"result", input.result},     {"host", input.host},
      {"series", input.series},     {"timeline", input.timeline}, {"reconcile", input.reconcile},
      {"phases", input.phases}};
  for (const auto& [key, json] : documents) {
    if (!json.empty()) absl::StrAppend(&out, ",\"", key, "\":", json);
  }
  if (!input.scenario.empty()) {
    out += ",\"scenario\":";
    AppendJsonString(input.scenario, &out);
  }
  return absl::StrCat(out, "}");
}

std::string DefinitionsJson() {
  std::string out;
  JsonWriter json(&out);
  json.BeginArray();
  for (const MetricDef& definition : MetricDefinitions()) {
    json.BeginObject(kInline);
    json.Key("name").String(definition.name);
    json.Key("unit").String(definition.unit);
    json.Key("scope").String(definition.scope);
    json.Key("definition").String(definition.definition);
    json.EndObject();
  }
  json.EndArray();
  return out;
}

std::string CausesJson() {
  std::string out;
  JsonWriter json(&out);
  json.BeginArray(kInline);
  for (const CauseRow& cause : CauseRows({})) {
    json.BeginObject(kInline);
    json.Key("name").String(cause.cause);
    json.Key("meaning").String(cause.meaning);
    json.EndObject();
  }
  json.EndArray();
  return out;
}

// JSON in which nothing ends or comments out the element that it stands in: '<' is in strings only.
std::string SafeInScript(absl::string_view json) {
  std::string out;
  out.reserve(json.size() + json.size() / 64);
  for (const char c : json) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

constexpr absl::string_view kPolicy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'";

}  // namespace

std::string PageData(std::span<const ReportInput> inputs, absl::string_view version) {
  std::string out = "{\"version\":";
  AppendJsonString(version, &out);
  absl::StrAppend(&out, ",\"causes\":", CausesJson(), ",\"definitions\":", DefinitionsJson(),
                  ",\"inputs\":[");
  for (size_t i = 0; i < inputs.size(); ++i) {
    absl::StrAppend(&out, i == 0 ? "" : ",", InputJson(inputs[i]));
  }
  return SafeInScript(absl::StrCat(out, "]}"));
}

absl::StatusOr<std::string> PageHtml(std::span<const ReportInput> inputs, absl::string_view version,
                                     const PageFiles& files) {
  TIERSCOPE_CHECK(!files.libraries.empty());
  std::string page = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"",
      kPolicy, "\">\n<title>tierscope report</title>\n<style>\n", files.style,
      "</style>\n</head>\n<body>\n"
      "<a class=\"skip\" href=\"#content\">Skip to the content</a>\n"
      "<header id=\"top\"></header>\n<nav id=\"contents\" aria-label=\"Sections\"></nav>\n"
      "<main id=\"content\" tabindex=\"-1\"></main>\n<footer id=\"end\"></footer>\n"
      "<noscript><p>This page draws its charts with a script. The run folder's report.html needs "
      "none, and <code>tierscope report --format=markdown</code> writes the same as text.</p>"
      "</noscript>\n<script type=\"application/json\" id=\"data\">");
  absl::StrAppend(&page, PageData(inputs, version), "</script>\n<script>\n", files.libraries,
                  "</script>\n<script>\n", files.script, "</script>\n</body>\n</html>\n");
  if (page.size() <= kPageBytesMax) return page;
  return absl::ResourceExhaustedError(absl::StrCat("the page would take ", page.size() >> 20,
                                                   " MiB, more than ", kPageBytesMax >> 20,
                                                   ": give fewer inputs at once"));
}

}  // namespace tierscope
