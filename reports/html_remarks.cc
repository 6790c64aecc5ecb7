#include "reports/html_remarks.h"

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"

#include "reports/format.h"
#include "reports/text.h"
#include "reports/view.h"

namespace tierscope {
namespace {

using Runs = std::span<const RunReport>;

std::string RunHeading(Runs runs, size_t position) {
  if (runs.size() == 1) return "";
  return absl::StrCat("<h3>", HtmlEscaped(NumberedName(position, runs[position])), "</h3>\n");
}

std::string Item(absl::string_view text) {
  return absl::StrCat("<li>", HtmlEscaped(OneLine(text)), "</li>\n");
}

std::string Fact(absl::string_view name, absl::string_view html) {
  return absl::StrCat("<tr><th scope=\"row\">", name, "</th><td>", html, "</td></tr>\n");
}

std::string CodeFact(absl::string_view name, absl::string_view text) {
  return Fact(name, absl::StrCat("<code>", HtmlEscaped(OneLine(text)), "</code>"));
}

std::string InputFact(const Input& input) {
  std::string html = absl::StrCat(HtmlEscaped(OneLine(input.name())), "<br><code>",
                                  HtmlEscaped(OneLine(input.digest())), "</code>");
  if (!input.provenance().empty()) {
    absl::StrAppend(&html, "<br>", HtmlEscaped(OneLine(input.provenance())));
  }
  return Fact(HtmlEscaped(OneLine(input.role())), html);
}

std::string ProfilesFact(const RunResult& result) {
  int64_t requests = 0, wraps = 0;
  for (const Profile& profile : result.profiles()) {
    requests += profile.requests();
    wraps += profile.wraps();
  }
  return Fact("Profiles",
              absl::StrCat(FormatCount(result.profiles_size()), " served ", FormatCount(requests),
                           " requests and were wrapped around ", FormatCount(wraps), " times"));
}

std::string HostFacts(const HostResult& host) {
  std::string out;
  if (!host.cpu.empty()) {
    absl::StrAppend(&out, Fact("Simulated on", HtmlEscaped(OneLine(host.cpu))));
  }
  if (!host.build_type.empty()) {
    absl::StrAppend(&out, Fact("Build", HtmlEscaped(OneLine(host.build_type))));
  }
  if (host.sim_wall_s > 0) {
    absl::StrAppend(&out, Fact("Wall time",
                               absl::StrCat(FormatNumber(host.sim_wall_s), " s, ",
                                            FormatCount(host.sim_events), " events, ",
                                            FormatGib(host.peak_rss_bytes), " of memory at most")));
  }
  return out;
}

std::string ProvenanceTable(const RunReport& run) {
  const RunResult& result = run.result;
  std::string out =
      "<table class=\"facts\"><caption>What to repeat to get this result</caption><tbody>\n";
  absl::StrAppend(&out, Fact("Scenario", HtmlEscaped(OneLine(result.scenario()))),
                  CodeFact("Scenario digest", result.scenario_digest()),
                  CodeFact("Seed", absl::StrCat(result.seed())),
                  CodeFact("Event digest", result.event_digest()),
                  Fact("tierscope", absl::StrCat(HtmlEscaped(OneLine(result.version())), ", ",
                                                 HtmlEscaped(OneLine(result.kind())),
                                                 ", result schema ", result.schema_version())));
  for (const Input& input : result.inputs()) absl::StrAppend(&out, InputFact(input));
  if (result.profiles_size() > 0) absl::StrAppend(&out, ProfilesFact(result));
  return absl::StrCat(out, HostFacts(run.host), "</tbody></table>\n");
}

}  // namespace

std::string HtmlViolations(Runs runs) {
  std::string items;
  for (size_t i = 0; i < runs.size(); ++i) {
    for (const Violation& violation : runs[i].result.violations()) {
      const std::string run = runs.size() == 1 ? "" : NumberedName(i, runs[i]) + ": ";
      absl::StrAppend(&items, Item(absl::StrCat(run, violation.what(), " (",
                                                FormatCount(violation.count()), " times)")));
    }
  }
  if (items.empty()) return "";
  return absl::StrCat(
      "<section class=\"violations\" aria-labelledby=\"violations\">\n<h2 id=\"violations\">"
      "Violations: do not trust this result</h2>\n<ul class=\"plain\">\n",
      items, "</ul>\n</section>\n");
}

std::string HtmlNotes(Runs runs) {
  std::string out;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].result.notes().empty()) continue;
    absl::StrAppend(&out, RunHeading(runs, i), "<ul class=\"plain\">\n");
    for (const std::string& note : runs[i].result.notes()) absl::StrAppend(&out, Item(note));
    absl::StrAppend(&out, "</ul>\n");
  }
  return out.empty() ? "" : absl::StrCat("<h2>Notes</h2>\n", out);
}

std::string HtmlProvenance(Runs runs) {
  std::string out = "<h2>Provenance</h2>\n";
  for (size_t i = 0; i < runs.size(); ++i) {
    absl::StrAppend(&out, RunHeading(runs, i), ProvenanceTable(runs[i]));
  }
  return out;
}

}  // namespace tierscope
