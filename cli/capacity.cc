// tierscope capacity: the largest load of a scenario under several limits, and what stops it.
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/capacity_report.h"
#include "cli/rows.h"
#include "cli/scenario_inputs.h"
#include "cli/verb.h"

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

absl::StatusOr<CapacityOptions> ParseOptions(const CapacityArguments& arguments) {
  CapacityOptions options;
  options.load_max = arguments.load_max;
  options.rate_step = arguments.rate_step;
  for (const std::string& text : arguments.limits) {
    TIERSCOPE_ASSIGN_OR_RETURN(Limit limit, ParseLimit(text));
    options.limits.push_back(std::move(limit));
  }
  if (arguments.price_given && !(arguments.price > 0.0 && std::isfinite(arguments.price))) {
    return absl::InvalidArgumentError(absl::StrCat("--price-per-gpu-hour ", arguments.price,
                                                   ": a price is above 0; leave it out for none"));
  }
  return options;
}

absl::Status Execute(const CapacityArguments& arguments) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(arguments.format));
  TIERSCOPE_ASSIGN_OR_RETURN(const CapacityOptions options, ParseOptions(arguments));
  TIERSCOPE_ASSIGN_OR_RETURN(
      std::vector<ScenarioInputs> prepared,
      PrepareInputs({arguments.scenario}, arguments.sets, /*unused_allowed=*/false));
  ScenarioInputs& inputs = prepared.front();
  TIERSCOPE_RETURN_IF_ERROR(FindAttention(inputs));
  TIERSCOPE_RETURN_IF_ERROR(LoadRequests(inputs));
  TIERSCOPE_RETURN_IF_ERROR(LoadDemand(inputs));
  TIERSCOPE_ASSIGN_OR_RETURN(const CapacityReport report,
                             PlanCapacity(inputs.scenario, inputs.ForSimulation(nullptr), options));
  const CapacityPrint print{inputs.scenario, report, arguments.price};
  switch (format) {
    case OutputFormat::kTable:
      std::printf("%s", CapacityTable(print).c_str());
      break;
    case OutputFormat::kCsv:
      std::printf("%s", CapacityCsv(print).c_str());
      break;
    case OutputFormat::kJson:
      std::printf("%s", CapacityJson(print).c_str());
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
