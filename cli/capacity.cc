// tierscope capacity: the largest load of a scenario under several limits, and what stops it.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/rows.h"
#include "cli/scenario_inputs.h"
#include "cli/verb.h"

#include "reports/json_writer.h"
#include "reports/schema/metrics.h"
#include "scenarios/loader.h"
#include "sim/base/status_macros.h"
#include "sim/planner/plan_capacity.h"

namespace tierscope::cli {
namespace {

struct CapacityArguments {
  std::string scenario;
  std::vector<std::string> sets;
  std::vector<std::string> limits;
  int64_t load_max = 4096;
  double rate_step = 0.0;
  double price = 0.0;  // per GPU hour; 0 = not given
  bool price_given = false;
  std::string format = "table";
};

// Metrics of the curve over load.
constexpr const char* kCurveMetrics[] = {
    "throughput_tok_per_s", "tpot_ms_p50",        "tpot_ms_p99",
    "ttft_ms_p99",          "stall_fraction",     "coverage",
    "link_utilisation",     "hbm_total_gib_peak", "host_gib_peak"};

// A curve without a value in any point is left out.
bool AnyValue(const Capacity& capacity, const char* name) {
  for (const LoadPoint& point : capacity.points) {
    const Metric* metric = FindMetric(point.result, name);
    if (metric != nullptr && HasValue(*metric)) return true;
  }
  return false;
}

Cell LoadCell(const CapacityReport& report, int64_t load) {
  if (report.closed_loop) return Cell::Count(load);
  return Cell::Number(static_cast<double>(load) * report.unit, 4);
}

const char* LoadName(const CapacityReport& report) {
  return report.closed_loop ? "requests" : "req_per_s";
}

Rows CurveRows(const CapacityReport& report) {
  Rows rows{.columns = {LoadName(report)}, .cells = {}};
  std::vector<const char*> names;
  for (const char* name : kCurveMetrics) {
    if (AnyValue(report.capacity, name)) names.push_back(name);
  }
  for (const char* name : names) rows.columns.emplace_back(name);
  rows.columns.emplace_back("holds");
  for (const LoadPoint& point : report.capacity.points) {
    std::vector<Cell> cells = {LoadCell(report, point.load)};
    for (const char* name : names) {
      const Metric* metric = FindMetric(point.result, name);
      cells.push_back(HasValue(*metric) ? Cell::Number(metric->value(), 3) : Cell::Absent());
    }
    cells.push_back(Cell::String(point.holds ? "yes" : "no"));
    rows.cells.push_back(std::move(cells));
  }
  return rows;
}

std::string LimitName(const Limit& limit) {
  return limit.label.empty() ? limit.text() : absl::StrCat(limit.label, ": ", limit.text());
}

// Each limit's value at the answer and its room there; each ceiling's load.
Rows LimitRows(const CapacityReport& report) {
  Rows rows{.columns = {"limit", "at the answer", "slack", "part"}, .cells = {}};
  const Capacity& capacity = report.capacity;
  const LoadPoint* point = capacity.PointAt(capacity.load);
  const auto part = [](bool binding, bool next) {
    return Cell::String(binding ? "binding" : next ? "next" : "");
  };
  for (size_t i = 0; i < report.search.limits.size(); ++i) {
    const int index = static_cast<int>(i);
    rows.cells.push_back(
        {Cell::String(LimitName(report.search.limits[i])),
         point == nullptr ? Cell::Absent() : Cell::Number(point->readings[i].value, 4),
         point == nullptr ? Cell::Absent() : Cell::Number(point->readings[i].slack, 3),
         part(capacity.binding_limit == index, capacity.next_limit == index)});
  }
  for (size_t i = 0; i < report.search.ceilings.size(); ++i) {
    const int index = static_cast<int>(i);
    const Ceiling& ceiling = report.search.ceilings[i];
    const double slack = static_cast<double>(ceiling.load - capacity.load) /
                         static_cast<double>(std::max<int64_t>(1, ceiling.load));
    rows.cells.push_back(
        {Cell::String(absl::StrCat(ceiling.label, ": ", ceiling.load, " requests")),
         Cell::Count(capacity.load), Cell::Number(slack, 3),
         part(capacity.binding_ceiling == index, capacity.next_ceiling == index)});
  }
  return rows;
}

std::string NameOf(const CapacityReport& report, int limit, int ceiling) {
  if (limit >= 0) return LimitName(report.search.limits[static_cast<size_t>(limit)]);
  if (ceiling >= 0) return report.search.ceilings[static_cast<size_t>(ceiling)].label;
  return "";
}

std::string Binding(const CapacityReport& report) {
  return NameOf(report, report.capacity.binding_limit, report.capacity.binding_ceiling);
}

std::string Next(const CapacityReport& report) {
  return NameOf(report, report.capacity.next_limit, report.capacity.next_ceiling);
}

std::string LoadText(const CapacityReport& report, int64_t load) {
  if (report.closed_loop) return absl::StrCat(load, " concurrent requests");
  return absl::StrFormat("%.4g requests per second", static_cast<double>(load) * report.unit);
}

double MetricAtAnswer(const CapacityReport& report, const char* name) {
  const LoadPoint* point = report.capacity.PointAt(report.capacity.load);
  const Metric* metric = point == nullptr ? nullptr : FindMetric(point->result, name);
  return metric != nullptr && HasValue(*metric) ? metric->value() : 0.0;
}

// What must be said beside the answer for it not to mislead.
std::vector<std::string> Remarks(const CapacityReport& report, const Scenario& scenario) {
  std::vector<std::string> remarks;
  const Capacity& capacity = report.capacity;
  if (!capacity.monotone) {
    remarks.push_back(
        "a limit does not get worse steadily with load: found by scanning, and a lower load can "
        "fail (see the curve)");
  }
  if (!report.steady) {
    remarks.push_back(absl::StrFormat(
        "not steady: a run twice as long differs by %.0f %%; raise engine.simulated_s and do not "
        "trust this answer",
        100.0 * report.steady_change));
  }
  if (Binding(report).empty()) {
    remarks.push_back("nothing bound the search: the largest load tried holds; raise --load-max");
  }
  if (report.whole_host_load > 0 && scenario.node().host_usable_fraction() < 1.0) {
    remarks.push_back(absl::StrFormat(
        "host DRAM: at node.host_usable_fraction 1 instead of %g it would admit %d requests",
        scenario.node().host_usable_fraction(), report.whole_host_load));
  }
  return remarks;
}

void PrintTraded(const CapacityReport& report) {
  const TradedMemory& t = report.traded;
  if (t.host_gib_per_request == 0.0) return;
  std::printf(
      "traded        %.2f GiB of HBM a request for %.2f with all KV in HBM; against it %.1f GiB of "
      "host DRAM (all ranks) and %.3f GFLOP of level 1 a token\n",
      t.hbm_gib_per_request, t.full_hbm_gib_per_request, t.host_gib_per_request,
      t.level1_gflop_per_token);
}

void PrintTable(const CapacityArguments& arguments, const Scenario& scenario,
                const CapacityReport& report) {
  const Capacity& capacity = report.capacity;
  std::printf("capacity      %s\n", LoadText(report, capacity.load).c_str());
  if (!Binding(report).empty()) std::printf("binding       %s\n", Binding(report).c_str());
  if (!Next(report).empty()) {
    std::printf("behind it     %s, at %s\n", Next(report).c_str(),
                LoadText(report, capacity.next_load).c_str());
  }
  const double rate = MetricAtAnswer(report, "throughput_tok_per_s");
  const int gpus = scenario.engine().tensor_parallel();
  std::printf("throughput    %.1f tok/s, %.1f per GPU", rate, rate / gpus);
  if (arguments.price_given) {
    std::printf(", %.0f tokens per unit of money", rate * 3600.0 / (arguments.price * gpus));
  }
  std::printf("\n");
  PrintTraded(report);
  std::printf("\n%s\n%s", TableText(LimitRows(report)).c_str(),
              TableText(CurveRows(report)).c_str());
  for (const std::string& remark : Remarks(report, scenario)) {
    std::printf("\n! %s\n", remark.c_str());
  }
}

void WriteRows(const Rows& rows, JsonWriter& json) {
  json.BeginArray();
  for (const std::vector<Cell>& row : rows.cells) {
    json.BeginObject(JsonWriter::Layout::kInline);
    for (size_t i = 0; i < row.size(); ++i) {
      json.Key(rows.columns[i]);
      if (!row[i].is_number() && row[i].text() == "-") {
        json.Null();
      } else if (row[i].is_number()) {
        json.Double(std::stod(row[i].text()));
      } else {
        json.String(row[i].text());
      }
    }
    json.EndObject();
  }
  json.EndArray();
}

std::string Json(const CapacityArguments& arguments, const Scenario& scenario,
                 const CapacityReport& report) {
  const Capacity& capacity = report.capacity;
  const double rate = MetricAtAnswer(report, "throughput_tok_per_s");
  std::string out;
  JsonWriter json(&out);
  json.BeginObject();
  json.Key("scenario").String(scenario.name());
  json.Key("scenario_digest").String(ScenarioDigest(scenario));
  json.Key(LoadName(report)).Double(static_cast<double>(capacity.load) * report.unit);
  json.Key("binding").String(Binding(report));
  json.Key("next").String(Next(report));
  json.Key("next_load").Double(static_cast<double>(capacity.next_load) * report.unit);
  json.Key("monotone").Bool(capacity.monotone);
  json.Key("steady").Bool(report.steady);
  json.Key("steady_change").Double(report.steady_change);
  json.Key("throughput_tok_per_s").Double(rate);
  json.Key("throughput_tok_per_s_per_gpu").Double(rate / scenario.engine().tensor_parallel());
  if (arguments.price_given) {
    json.Key("tokens_per_money")
        .Double(rate * 3600.0 / (arguments.price * scenario.engine().tensor_parallel()));
  }
  json.Key("hbm_gib_per_request").Double(report.traded.hbm_gib_per_request);
  json.Key("full_hbm_gib_per_request").Double(report.traded.full_hbm_gib_per_request);
  json.Key("host_gib_per_request").Double(report.traded.host_gib_per_request);
  json.Key("level1_gflop_per_token").Double(report.traded.level1_gflop_per_token);
  json.Key("limits");
  WriteRows(LimitRows(report), json);
  json.Key("curve");
  WriteRows(CurveRows(report), json);
  json.Key("remarks").BeginArray();
  for (const std::string& remark : Remarks(report, scenario)) json.String(remark);
  json.EndArray();
  json.EndObject();
  return absl::StrCat(out, "\n");
}

absl::StatusOr<CapacityOptions> ParseOptions(const CapacityArguments& arguments) {
  CapacityOptions options;
  options.load_max = arguments.load_max;
  options.rate_step = arguments.rate_step;
  for (const std::string& text : arguments.limits) {
    TIERSCOPE_ASSIGN_OR_RETURN(Limit limit, ParseLimit(text));
    options.limits.push_back(std::move(limit));
  }
  if (arguments.price_given && !(arguments.price > 0.0)) {
    return absl::InvalidArgumentError(absl::StrCat("--price-per-gpu-hour ", arguments.price,
                                                   ": a price is above 0; leave it out for none"));
  }
  return options;
}

absl::Status Execute(const CapacityArguments& arguments) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(arguments.format));
  TIERSCOPE_ASSIGN_OR_RETURN(const CapacityOptions options, ParseOptions(arguments));
  ScenarioInputs inputs;
  TIERSCOPE_RETURN_IF_ERROR(PrepareInputs(arguments.scenario, arguments.sets, inputs));
  TIERSCOPE_RETURN_IF_ERROR(LoadRequests(inputs));
  TIERSCOPE_RETURN_IF_ERROR(LoadDemand(inputs));
  TIERSCOPE_ASSIGN_OR_RETURN(const CapacityReport report,
                             PlanCapacity(inputs.scenario, inputs.ForSimulation(nullptr), options));
  switch (format) {
    case OutputFormat::kTable:
      PrintTable(arguments, inputs.scenario, report);
      break;
    case OutputFormat::kCsv:
      std::printf("%s", CsvText(CurveRows(report)).c_str());
      break;
    case OutputFormat::kJson:
      std::printf("%s", Json(arguments, inputs.scenario, report).c_str());
      break;
  }
  return absl::OkStatus();
}

}  // namespace

void AddCapacityVerb(CLI::App& app, int* exit_code) {
  auto arguments = std::make_shared<CapacityArguments>();
  CLI::App* verb =
      app.add_subcommand("capacity", "Largest load of a scenario under limits, and what binds it");
  verb->add_option("SCENARIO", arguments->scenario, "scenario file (.txtpb)")->required();
  verb->add_option("--set", arguments->sets, "override fields: a.b=1,c=2; repeatable")
      ->allow_extra_args(false);
  verb->add_option("--limit", arguments->limits,
                   "METRIC<=BOUND or METRIC>=BOUND, besides engine.slo and memory; repeatable")
      ->allow_extra_args(false);
  verb->add_option("--load-max", arguments->load_max, "largest load to try, in units")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  verb->add_option("--rate-step", arguments->rate_step,
                   "open loop: requests per second of a unit [a hundredth of "
                   "workload.requests_per_s]")
      ->check(CLI::PositiveNumber);
  CLI::Option* price = verb->add_option("--price-per-gpu-hour", arguments->price,
                                        "money for an hour of one GPU; prints tokens for it");
  verb->add_option("--format", arguments->format, "table, csv (the curve) or json")
      ->capture_default_str();
  verb->callback([arguments, price, exit_code] {
    arguments->price_given = price->count() > 0;
    *exit_code = ExitCode(Execute(*arguments));
  });
}

}  // namespace tierscope::cli
