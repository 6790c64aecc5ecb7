// tierscope sweep: one scenario at many points, resumable.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/rows.h"
#include "cli/run.h"
#include "cli/sweep_local.h"
#include "cli/sweep_points.h"
#include "cli/sweep_shards.h"
#include "cli/sweep_slurm.h"
#include "cli/sweep_table.h"
#include "cli/verb.h"

#include "reports/format.h"
#include "reports/results_store.h"
#include "scenarios/loader.h"
#include "sim/base/status_macros.h"
#include "sim/planner/refine.h"
#include "sim/planner/sweep_plan.h"

namespace tierscope::cli {
namespace {

constexpr int64_t kPointsSaid = 10'000;  // resolving so many takes seconds

struct SweepArguments {
  std::string sweep;
  SweepOptions options;
  std::string results;
  std::string format = "table";
  int jobs = 1;
  bool jobs_given = false;
  int64_t explain = -1;
  int64_t scenario_of = -1;
  std::string out;
  bool overwrite = false;
  int64_t refine = 0;
  std::string shard;
  std::string points;
  std::string engine = "local";
  int shards = 8;
  int retries = 2;
  std::vector<std::string> sbatch;
  std::vector<std::string> merged;  // shard files
};

std::string DefaultResults(const SweepPlan& plan) {
  return absl::StrCat("tierscope-runs/", plan.name, ".sweep");
}

// The points without a row in the store.
absl::StatusOr<std::vector<int64_t>> Pending(const SweepWork& work, const ResultsStore& store) {
  std::vector<int64_t> pending;
  for (size_t i = 0; i < work.keys.size(); ++i) {
    TIERSCOPE_ASSIGN_OR_RETURN(const bool there, store.Has(work.keys[i]));
    if (!there) pending.push_back(static_cast<int64_t>(i));
  }
  return InDemandOrder(work, std::move(pending));
}

std::string ResultsFile(const SweepArguments& arguments, const SweepPlan& plan) {
  return arguments.results.empty() ? DefaultResults(plan) : arguments.results;
}

absl::Status RunHere(const SweepPoints& points, const SweepWork& work,
                     const std::vector<int64_t>& order, int jobs, ResultsStore& store) {
  TIERSCOPE_ASSIGN_OR_RETURN(const LocalRun run, RunPoints(points, work, order, jobs, store));
  std::fprintf(stderr,
               "  %s points in %.2f s, %.1f points/s; distilling %.2f s of all threads' time",
               FormatCount(static_cast<int64_t>(order.size())).c_str(), run.wall_s,
               static_cast<double>(order.size()) / run.wall_s, run.distil_wall_s);
  if (run.spilled_bytes > 0) {
    std::fprintf(stderr, ", %s of demand spilled", FormatGib(run.spilled_bytes).c_str());
  }
  if (run.generate_wall_s > 0) {
    std::fprintf(stderr, "; generating traces %.2f s before that", run.generate_wall_s);
  }
  std::fprintf(stderr, "\n");
  return absl::OkStatus();
}

absl::StatusOr<SlurmOptions> SlurmOptionsOf(const SweepArguments& arguments,
                                            const SweepPlan& plan) {
  SlurmOptions options;
  options.folder = std::filesystem::absolute(ResultsFile(arguments, plan)).string() + ".shards";
  options.sweep = arguments.sweep;
  options.name = plan.name;
  for (const std::string& set : arguments.options.sets) {
    options.arguments.push_back("--set");
    options.arguments.push_back(set);
  }
  if (arguments.options.yes) options.arguments.push_back("--yes");
  options.sbatch = arguments.sbatch;
  options.shards = arguments.shards;
  options.retries = arguments.retries;
  options.cpus = arguments.jobs_given ? arguments.jobs : 1;
  return options;
}

absl::Status RunPending(const SweepArguments& arguments, const SweepPoints& points,
                        const SweepWork& work, ResultsStore& store) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<int64_t> pending, Pending(work, store));
  std::fprintf(stderr, "%s: %s points, %s to run\n", points.plan().name.c_str(),
               FormatCount(points.count()).c_str(),
               FormatCount(static_cast<int64_t>(pending.size())).c_str());
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t others, store.RowCountOfOthers(BuildName()));
  if (others > 0) {
    std::fprintf(stderr, "  %s results of other builds of tierscope are kept and not used\n",
                 FormatCount(others).c_str());
  }
  if (pending.empty()) return absl::OkStatus();
  if (arguments.engine == "local") return RunHere(points, work, pending, arguments.jobs, store);
  TIERSCOPE_ASSIGN_OR_RETURN(const SlurmOptions options, SlurmOptionsOf(arguments, points.plan()));
  return RunOnSlurm(options, pending, store);
}

// Rounds of points around the front, until the budget is spent or there is nothing between.
absl::Status Refine(const SweepArguments& arguments, SweepPoints& points, SweepWork& work,
                    ResultsStore& store) {
  if (points.plan().repeats > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(points.plan().file, ": --refine follows single runs; set repeats to 1"));
  }
  for (int64_t left = arguments.refine; left > 0;) {
    TIERSCOPE_ASSIGN_OR_RETURN(const SweepValues values, ReadValues(points, work, store));
    std::vector<std::vector<AxisValue>> tried;
    for (int64_t point = 0; point < points.count(); ++point) tried.push_back(points.Values(point));
    const std::vector<std::vector<AxisValue>> proposed =
        ProposeRefinement(points.plan().axes, tried, values.Front(), static_cast<size_t>(left));
    const int64_t before = points.count();
    for (const std::vector<AxisValue>& next : proposed) {
      const uint64_t seed = points.plan().first_seed;
      // What lies between two valid points need not be valid.
      if (!ResolvePoint(points.plan(), SetsOf(points.plan(), next, seed)).ok()) continue;
      points.Add(next, seed);
    }
    if (points.count() == before) break;
    left -= points.count() - before;
    std::fprintf(stderr, "refine: %s points around the front, %s of the budget of %s left\n",
                 FormatCount(points.count() - before).c_str(), FormatCount(left).c_str(),
                 FormatCount(arguments.refine).c_str());
    TIERSCOPE_ASSIGN_OR_RETURN(work, PlanWork(points, AllPoints(points), arguments.jobs));
    TIERSCOPE_RETURN_IF_ERROR(RunPending(arguments, points, work, store));
  }
  return absl::OkStatus();
}

// One shard: its rows are held in memory and written as one whole file at the end.
absl::Status RunShard(const SweepArguments& arguments, const SweepPoints& points) {
  TIERSCOPE_ASSIGN_OR_RETURN(const Shard shard, ParseShard(arguments.shard));
  const std::string file =
      arguments.results.empty()
          ? absl::StrCat(DefaultResults(points.plan()), ".shard-", shard.index, "-of-", shard.count)
          : arguments.results;
  std::vector<int64_t> part;
  SweepWork work;
  if (arguments.points.empty()) {
    TIERSCOPE_ASSIGN_OR_RETURN(work, PlanWork(points, AllPoints(points), arguments.jobs));
    part = PartOf(InDemandOrder(work, AllPoints(points)), shard);
  } else {
    TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<int64_t> order,
                               ReadPointList(arguments.points, points.count()));
    part = PartOf(order, shard);
    TIERSCOPE_ASSIGN_OR_RETURN(work, PlanWork(points, part, arguments.jobs));
  }
  std::fprintf(stderr, "%s: shard %lld of %lld, %s points\n", points.plan().name.c_str(),
               static_cast<long long>(shard.index), static_cast<long long>(shard.count),
               FormatCount(static_cast<int64_t>(part.size())).c_str());
  TIERSCOPE_ASSIGN_OR_RETURN(ResultsStore store, ResultsStore::OpenInMemory());
  if (!part.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(RunHere(points, work, part, arguments.jobs, store));
  }
  TIERSCOPE_RETURN_IF_ERROR(store.WriteWhole(file));
  std::fprintf(stderr, "results: %s\n", file.c_str());
  return absl::OkStatus();
}

absl::Status Print(const SweepPoints& points, const SweepWork& work, const ResultsStore& store,
                   OutputFormat format) {
  switch (format) {
    case OutputFormat::kCsv:
      return PrintCsv(points, work, store);
    case OutputFormat::kTable:
    case OutputFormat::kJson:
      break;
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const SweepValues values, ReadValues(points, work, store));
  if (format == OutputFormat::kJson) return PrintJson(points, work, values, store);
  std::printf("%s", SummaryText(points, values).c_str());
  return absl::OkStatus();
}

absl::Status CheckPoint(const SweepPoints& points, int64_t point) {
  if (point >= 0 && point < points.count()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(points.plan().file, ": there is no point ", point,
                                                 "; its points are 0 to ", points.count() - 1,
                                                 ", and those that the same --refine adds"));
}

// One point as `tierscope run` runs it, with its timeline.
absl::Status Explain(const SweepArguments& arguments, const SweepPoints& points,
                     std::chrono::steady_clock::time_point begin) {
  TIERSCOPE_RETURN_IF_ERROR(CheckPoint(points, arguments.explain));
  RunOptions options;
  options.scenarios = {points.plan().scenario_path};
  options.sets = points.Sets(arguments.explain);
  options.unused_sets = true;
  options.out = arguments.out.empty() ? absl::StrCat("tierscope-runs/", points.plan().name,
                                                     "-point-", arguments.explain)
                                      : arguments.out;
  options.overwrite = arguments.overwrite;
  options.format = arguments.format;
  return RunScenarios(options, begin);
}

absl::Status PrintScenario(const SweepPoints& points, int64_t point) {
  TIERSCOPE_RETURN_IF_ERROR(CheckPoint(points, point));
  TIERSCOPE_ASSIGN_OR_RETURN(const Scenario scenario, points.Resolve(point));
  std::printf("%s", ScenarioText(scenario).c_str());
  return absl::OkStatus();
}

absl::Status AboutOne(const SweepArguments& arguments, const SweepPoints& points,
                      std::chrono::steady_clock::time_point begin) {
  if (arguments.scenario_of >= 0) return PrintScenario(points, arguments.scenario_of);
  return Explain(arguments, points, begin);
}

absl::Status Execute(const SweepArguments& arguments, std::chrono::steady_clock::time_point begin) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(arguments.format));
  TIERSCOPE_ASSIGN_OR_RETURN(const SweepPlan plan, LoadSweep(arguments.sweep, arguments.options));
  SweepPoints points(plan);
  const bool about_one = arguments.scenario_of >= 0 || arguments.explain >= 0;
  if (about_one && arguments.refine == 0) return AboutOne(arguments, points, begin);
  if (!arguments.shard.empty()) return RunShard(arguments, points);
  // A results file that cannot be taken up is said at once, and a refused sweep leaves none behind.
  const std::string file = ResultsFile(arguments, plan);
  std::optional<ResultsStore> opened;
  const auto open = [&]() -> absl::Status {
    TIERSCOPE_ASSIGN_OR_RETURN(opened, ResultsStore::Open(file));
    return absl::OkStatus();
  };
  if (std::filesystem::exists(file)) TIERSCOPE_RETURN_IF_ERROR(open());
  if (points.count() >= kPointsSaid) {
    std::fprintf(stderr, "%s: resolving %s points\n", plan.name.c_str(),
                 FormatCount(points.count()).c_str());
  }
  TIERSCOPE_ASSIGN_OR_RETURN(SweepWork work, PlanWork(points, AllPoints(points), arguments.jobs));
  if (!opened) TIERSCOPE_RETURN_IF_ERROR(open());
  ResultsStore& store = *opened;
  if (arguments.engine == "slurm") {
    TIERSCOPE_ASSIGN_OR_RETURN(const SlurmOptions options, SlurmOptionsOf(arguments, plan));
    TIERSCOPE_RETURN_IF_ERROR(TakeUpSlurm(options, store));
  }
  TIERSCOPE_RETURN_IF_ERROR(RunPending(arguments, points, work, store));
  if (arguments.refine > 0) TIERSCOPE_RETURN_IF_ERROR(Refine(arguments, points, work, store));
  if (about_one) return AboutOne(arguments, points, begin);
  return Print(points, work, store, format);
}

absl::Status Merge(const SweepArguments& arguments) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(arguments.format));
  TIERSCOPE_ASSIGN_OR_RETURN(const SweepPlan plan, LoadSweep(arguments.sweep, arguments.options));
  const SweepPoints points(plan);
  TIERSCOPE_ASSIGN_OR_RETURN(ResultsStore store, ResultsStore::Open(ResultsFile(arguments, plan)));
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t rows, MergeShards(arguments.merged, store));
  TIERSCOPE_ASSIGN_OR_RETURN(const SweepWork work,
                             PlanWork(points, AllPoints(points), arguments.jobs));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<int64_t> pending, Pending(work, store));
  std::fprintf(stderr, "%s: %s results added\n", plan.name.c_str(), FormatCount(rows).c_str());
  if (!pending.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(plan.file, ": ", FormatCount(static_cast<int64_t>(pending.size())), " of ",
                     FormatCount(points.count()), " points have no result, the first is point ",
                     *std::min_element(pending.begin(), pending.end()),
                     "; merge the shards that are missing, or `tierscope sweep` with the same "
                     "--results runs what is "
                     "left (a shard made by another build of tierscope counts for nothing)"));
  }
  return Print(points, work, store, format);
}

void AddCommonOptions(CLI::App& verb, SweepArguments& arguments) {
  verb.add_option("--set", arguments.options.sets,
                  "override fields of every point: a.b=1,c=2; repeatable")
      ->allow_extra_args(false);
  verb.add_option("--results", arguments.results,
                  "results file, taken up where it is [tierscope-runs/NAME.sweep]");
  verb.add_option("--format", arguments.format, "table (a summary), csv or json, to stdout")
      ->capture_default_str();
  verb.add_option("--jobs", arguments.jobs, "points to run at once [processors]")
      ->check(CLI::Range(1, 1024))
      ->each([&arguments](const std::string&) { arguments.jobs_given = true; });
  verb.add_flag("--yes", arguments.options.yes, "run more than ten million points");
}

void AddMergeVerb(CLI::App& verb, SweepArguments& arguments) {
  verb.add_option("SWEEP", arguments.sweep, "sweep file (.txtpb)")->required();
  verb.add_option("SHARD", arguments.merged, "files of --shard runs")->required();
  AddCommonOptions(verb, arguments);
}

void AddPointOptions(CLI::App& verb, SweepArguments& arguments) {
  verb.add_option("--refine", arguments.refine, "run up to so many more points around the front")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000}));
  verb.add_option("--explain", arguments.explain,
                  "re-run this point alone, with its timeline, into a run folder")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--scenario-of", arguments.scenario_of,
                  "print the resolved scenario of this point")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--out", arguments.out,
                  "of --explain: the run folder [tierscope-runs/NAME-point-N]");
  verb.add_flag("--overwrite", arguments.overwrite, "of --explain: replace an existing run folder");
}

void AddClusterOptions(CLI::App& verb, SweepArguments& arguments) {
  verb.add_option("--shard", arguments.shard,
                  "run part i of n (counted from 0) and write its results as one file, for merge");
  verb.add_option("--points", arguments.points,
                  "of --shard: the points to divide, a number a line [all]");
  verb.add_option("--engine", arguments.engine, "local or slurm")
      ->check(CLI::IsMember({"local", "slurm"}))
      ->capture_default_str();
  verb.add_option("--shards", arguments.shards, "of --engine=slurm: tasks of the job array")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  verb.add_option("--retries", arguments.retries, "of --engine=slurm: for each shard that fails")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  verb.add_option("--sbatch", arguments.sbatch,
                  "of --engine=slurm: an argument of sbatch, such as --partition=cpu; repeatable")
      ->allow_extra_args(false);
}

}  // namespace

void AddSweepVerb(CLI::App& app, int* exit_code) {
  const auto begin = std::chrono::steady_clock::now();
  auto arguments = std::make_shared<SweepArguments>();
  arguments->jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  CLI::App* verb = app.add_subcommand(
      "sweep",
      "One scenario at many points: axes over any fields, resumable, here or on a cluster");
  CLI::Option* sweep = verb->add_option("SWEEP", arguments->sweep, "sweep file (.txtpb)");
  AddCommonOptions(*verb, *arguments);
  AddPointOptions(*verb, *arguments);
  AddClusterOptions(*verb, *arguments);
  CLI::App* merge = verb->add_subcommand("merge", "Put the files of --shard runs together");
  AddMergeVerb(*merge, *arguments);
  merge->callback([arguments, exit_code] { *exit_code = ExitCode(Merge(*arguments)); });
  verb->callback([arguments, begin, exit_code, merge, sweep] {
    if (merge->parsed()) return;
    if (sweep->count() == 0) throw CLI::RequiredError("SWEEP");
    *exit_code = ExitCode(Execute(*arguments, begin));
  });
}

}  // namespace tierscope::cli
