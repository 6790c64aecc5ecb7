// tierscope reconcile: predicted beside measured, of two run folders or of a scenario that it
// predicts and executes.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/calibrate_device.h"
#include "cli/reconcile_folders.h"
#include "cli/reconcile_run.h"
#include "cli/verb.h"

#include "calibration/engine_fit.h"
#include "reports/atomic_file.h"
#include "reports/reconcile_text.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

struct ReconcileOptions {
  std::vector<std::string> what;  // two folders, or a scenario
  std::vector<std::string> sets;
  std::string backend;
  std::string profile;
  std::string suite;
  std::string grid;
  bool live = false;
  std::string out = "tierscope-runs/reconcile";
  std::string format = "table";
  int repeats = 3;
  int rounds = 11;
};

absl::Status CheckFormat(const std::string& format) {
  if (format == "table" || format == "json" || format == "markdown") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--format: '", OneLine(format), "' is none; give table, json or markdown"));
}

int ExitOf(bool passed) { return passed ? kExitDone : kExitBoundFailed; }

std::string OneText(const FolderReconciliation& folders, const std::string& format) {
  if (format == "json") return ReconcileJson(folders.result, folders.provenance);
  if (format == "markdown") return ReconcileMarkdown(folders.result, folders.provenance);
  return ReconcileTable(folders.result, folders.provenance);
}

std::string SuiteText(const ReconcileSuite& suite, const ReconcileProvenance& provenance,
                      const std::string& format) {
  if (format == "json") return SuiteJson(suite, provenance);
  if (format == "markdown") return SuiteMarkdown(suite, provenance);
  return SuiteTable(suite, provenance);
}

// The profile that was given, or one that is measured now, before anything runs that it predicts.
absl::StatusOr<std::string> Profile(const ReconcileOptions& options) {
  if (!options.profile.empty()) {
    return std::filesystem::absolute(options.profile).lexically_normal().string();
  }
  const std::string path = std::filesystem::absolute(options.out + "/profile.txtpb").string();
  std::error_code ignored;
  std::filesystem::create_directories(options.out, ignored);  // the writer says what is wrong
  TIERSCOPE_RETURN_IF_ERROR(
      CalibrateDevice({options.backend, options.what[0], path, options.rounds}).status());
  return path;
}

ReconcileRun RunOf(const ReconcileOptions& options, const std::string& profile) {
  return {options.what[0], options.sets, options.backend, profile,
          options.repeats, options.live, options.out};
}

// Costs of the grid's configurations: mean time of a step, waits for level 1 included.
RankAgreement RanksOf(const ReconcileSuite& suite) {
  RankAgreement ranks;
  ranks.cost = "mean step";
  std::vector<double> predicted, measured;
  for (const Reconciliation& result : suite.scenarios) {
    const PairedStats& step = result.Find("step")->stats;
    const double n = static_cast<double>(step.pairs);
    ranks.configurations.push_back(result.name);
    ranks.costs.push_back({step.predicted_sum / n, step.measured_sum / n});
    predicted.push_back(ranks.costs.back().predicted);
    measured.push_back(ranks.costs.back().measured);
  }
  ranks.kendall_tau = KendallTau(predicted, measured);
  ranks.regret = RegretOfChoice(ranks.costs);
  return ranks;
}

// Every line of a suite or point of a grid, one after the other; the summary beside them.
absl::StatusOr<int> RunSuite(const ReconcileOptions& options, const std::vector<SuiteLine>& lines) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string profile, Profile(options));
  ReconcileSuite suite;
  ReconcileProvenance provenance;
  for (const SuiteLine& line : lines) {
    std::fprintf(stderr, "reconcile: %s\n", line.name.c_str());
    ReconcileRun run = RunOf(options, profile);
    run.sets.insert(run.sets.end(), line.sets.begin(), line.sets.end());
    run.sets.push_back("name=" + line.name);
    run.out = options.out + "/" + line.name;
    TIERSCOPE_ASSIGN_OR_RETURN(FolderReconciliation folders, RunAndReconcile(run));
    provenance = folders.provenance;
    suite.scenarios.push_back(std::move(folders.result));
  }
  if (!options.grid.empty()) suite.ranks = RanksOf(suite);
  TIERSCOPE_RETURN_IF_ERROR(
      WriteFileAtomically(options.out + "/summary.json", SuiteJson(suite, provenance)));
  TIERSCOPE_RETURN_IF_ERROR(
      WriteFileAtomically(options.out + "/summary.md", SuiteMarkdown(suite, provenance)));
  std::fputs(SuiteText(suite, provenance, options.format).c_str(), stdout);
  return ExitOf(suite.passed());
}

absl::StatusOr<int> RunReconcile(const ReconcileOptions& options) {
  TIERSCOPE_RETURN_IF_ERROR(CheckFormat(options.format));
  if (options.live && (options.what.size() != 1 || options.backend.empty())) {
    return absl::InvalidArgumentError(
        "--live: executes a scenario; give one scenario and --backend");
  }
  if (options.what.size() == 2 && options.backend.empty()) {
    TIERSCOPE_ASSIGN_OR_RETURN(const FolderReconciliation folders,
                               ReconcileFolders(options.what[0], options.what[1]));
    std::fputs(OneText(folders, options.format).c_str(), stdout);
    return ExitOf(folders.result.passed());
  }
  if (options.what.size() != 1 || options.backend.empty()) {
    return absl::InvalidArgumentError(
        "reconcile: give a simulated and a measured run folder, or one scenario and --backend");
  }
  if (!options.suite.empty() && !options.grid.empty()) {
    return absl::InvalidArgumentError("--suite and --grid: give one of them");
  }
  if (!options.suite.empty()) {
    TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<SuiteLine> lines, ReadSuite(options.suite));
    return RunSuite(options, lines);
  }
  if (!options.grid.empty()) {
    TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<SuiteLine> lines, ParseGrid(options.grid));
    return RunSuite(options, lines);
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string profile, Profile(options));
  TIERSCOPE_ASSIGN_OR_RETURN(const FolderReconciliation folders,
                             RunAndReconcile(RunOf(options, profile)));
  std::fputs(OneText(folders, options.format).c_str(), stdout);
  return ExitOf(folders.result.passed());
}

}  // namespace

void AddReconcileVerb(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ReconcileOptions>();
  CLI::App* verb = app.add_subcommand(
      "reconcile",
      "Predicted beside measured, phase by phase, against the noise of repeats; exit 1 if a bound "
      "is broken");
  verb->add_option("WHAT", options->what,
                   "a simulated and a measured run folder, or a scenario with --backend")
      ->required()
      ->expected(1, 2);
  verb->add_option("--backend", options->backend, "execute the scenario: cpu or cuda");
  verb->add_option("--set", options->sets, "override fields: a.b=1,c=2; repeatable")
      ->allow_extra_args(false);
  verb->add_option("--profile", options->profile,
                   "profile of calibrate --backend [measured before the runs]");
  verb->add_option("--rounds", options->rounds, "without --profile: samples of each of its points")
      ->check(CLI::Range(3, 1001))
      ->capture_default_str();
  verb->add_option("--repeats", options->repeats, "timed passes of the real run")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--suite", options->suite, "file of scenarios, a name and overrides a line");
  verb->add_option("--grid", options->grid,
                   "field=v,v;field=v,v: every combination, and whether predictions rank them");
  verb->add_flag("--live", options->live,
                 "the kernels decide, and the prediction replays what they recorded [both follow "
                 "the scenario's attention trace]");
  verb->add_option("--out", options->out, "folder of the runs and of what they come to")
      ->capture_default_str();
  verb->add_option("--format", options->format, "table, json or markdown, to stdout")
      ->capture_default_str();
  verb->callback([options, exit_code] {
    const absl::StatusOr<int> result = RunReconcile(*options);
    *exit_code = result.ok() ? *result : ExitCode(result.status());
  });
}

}  // namespace tierscope::cli
