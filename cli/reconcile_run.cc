#include "cli/reconcile_run.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/real.h"
#include "cli/run.h"

#include "reports/atomic_file.h"
#include "reports/timeline_reader.h"
#include "scenarios/loader.h"
#include "scenarios/text_file.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {

absl::StatusOr<std::vector<SuiteLine>> ReadSuite(const std::string& path) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  std::vector<SuiteLine> lines;
  std::set<std::string> names;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    const auto wrong = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", what,
                                                     "; give a name of letters, digits, _ - and ., "
                                                     "and overrides a.b=1,c=2"));
    };
    if (words.size() < 2) return wrong("a line is a name and overrides of the scenario");
    if (!names.insert(words[0]).second)
      return wrong("the name " + Quoted(words[0]) + " is there twice");
    lines.push_back({words[0], {words.begin() + 1, words.end()}});
  }
  if (lines.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no scenario; give a line for each"));
  }
  return lines;
}

absl::StatusOr<std::vector<SuiteLine>> ParseGrid(const std::string& grid) {
  std::vector<SuiteLine> lines = {{"", {}}};
  for (const absl::string_view axis : absl::StrSplit(grid, ';')) {
    const std::vector<absl::string_view> sides = absl::StrSplit(axis, absl::MaxSplits('=', 1));
    if (sides.size() != 2 || sides[0].empty() || sides[1].empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--grid: ", Quoted(axis), " is no axis; give field=value,value;field=value,value"));
    }
    std::vector<SuiteLine> longer;
    const absl::string_view field = sides[0].substr(sides[0].rfind('.') + 1);
    for (const SuiteLine& line : lines) {
      for (const absl::string_view value : absl::StrSplit(sides[1], ',')) {
        SuiteLine next = line;
        absl::StrAppend(&next.name, next.name.empty() ? "" : "_", field, "-", value);
        next.sets.push_back(absl::StrCat(sides[0], "=", value));
        longer.push_back(std::move(next));
      }
    }
    lines = std::move(longer);
  }
  return lines;
}

namespace {

absl::Status Predict(const ReconcileRun& run, std::vector<std::string> sets,
                     const std::string& recorded) {
  if (!recorded.empty()) sets.push_back("workload.attention.trace=" + recorded);
  RunOptions simulate;
  simulate.scenarios = {run.scenario};
  simulate.sets = std::move(sets);
  simulate.out = run.out + "/simulated";
  simulate.overwrite = simulate.phases = simulate.quiet = true;
  return RunScenarios(simulate, std::chrono::steady_clock::now());
}

absl::Status Execute(const ReconcileRun& run, const std::vector<std::string>& sets,
                     const std::string& recorded) {
  RealOptions execute;
  execute.scenario = run.scenario;
  execute.sets = sets;
  execute.backend.name = run.backend;
  execute.mode = run.live ? "live" : "replay";
  execute.record = recorded;
  execute.repeats = run.repeats;
  execute.trace = false;  // what is compared are marks
  execute.out = run.out + "/measured";
  execute.overwrite = execute.quiet = true;
  return RunReal(execute, std::chrono::steady_clock::now());
}

}  // namespace

absl::StatusOr<FolderReconciliation> RunAndReconcile(const ReconcileRun& run) {
  std::vector<std::string> sets = run.sets;
  sets.push_back(absl::StrCat("hardware.preset=", run.profile, ",engine.executed_ranks=1"));
  TIERSCOPE_RETURN_IF_ERROR(CheckPredictable(run.scenario, sets));
  const std::string recorded = run.live ? run.out + "/recorded.trace" : "";
  if (run.live) {
    TIERSCOPE_ASSIGN_OR_RETURN(const Scenario scenario, LoadScenario(run.scenario, sets));
    if (scenario.workload().attention().has_trace()) {
      return absl::InvalidArgumentError(
          "--live: workload.attention.trace is given, and the kernels decide; leave out one of "
          "them");
    }
    std::error_code ignored;  // the writers say what is wrong
    for (const char* earlier : {"/recorded.trace", "/reconcile.json", "/reconcile.md"}) {
      std::filesystem::remove(run.out + earlier, ignored);
    }
    std::filesystem::create_directories(run.out, ignored);
    TIERSCOPE_RETURN_IF_ERROR(Execute(run, sets, recorded));
    TIERSCOPE_RETURN_IF_ERROR(Predict(run, sets, recorded));
  } else {
    TIERSCOPE_RETURN_IF_ERROR(Predict(run, sets, recorded));
    TIERSCOPE_RETURN_IF_ERROR(Execute(run, sets, recorded));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(FolderReconciliation folders,
                             ReconcileFolders(run.out + "/simulated", run.out + "/measured"));
  const TimelinePart sides[] = {{"simulated", "", run.out + "/simulated/phases.csv"},
                                {"measured", "", run.out + "/measured/phases.csv"}};
  TIERSCOPE_RETURN_IF_ERROR(JoinTimelines(sides, {}, run.out + "/timeline.json"));
  TIERSCOPE_RETURN_IF_ERROR(WriteFileAtomically(run.out + "/reconcile.json",
                                                ReconcileJson(folders.result, folders.provenance)));
  TIERSCOPE_RETURN_IF_ERROR(WriteFileAtomically(
      run.out + "/reconcile.md", ReconcileMarkdown(folders.result, folders.provenance)));
  return folders;
}

}  // namespace tierscope::cli
