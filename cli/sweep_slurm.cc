#include "cli/sweep_slurm.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/sweep_shards.h"

#include "reports/atomic_file.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

namespace fs = std::filesystem;

using TaskStates = std::map<int, std::string>;  // shard -> what squeue says of it

constexpr int kUnknownPollsMax = 30;  // of squeue in a row
// Polls after a task's end before its missing file counts as a failure: a shared folder can lag.
constexpr int kGracePolls = 3;

std::string Quoted(const std::string& word) {
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string Command(const std::vector<std::string>& words) {
  return absl::StrJoin(
      words, " ", [](std::string* out, const std::string& word) { out->append(Quoted(word)); });
}

struct CommandResult {
  int exit_code = -1;
  std::string output;  // standard output and error together
};

CommandResult RunCommand(const std::vector<std::string>& words) {
  CommandResult result;
  FILE* pipe = popen(absl::StrCat(Command(words), " 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) result.output.append(buffer, n);
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

// The last line of what a command said, for a message.
std::string LastLine(const std::string& output) {
  const std::vector<std::string> lines = absl::StrSplit(output, '\n', absl::SkipWhitespace());
  return lines.empty() ? "no output" : lines.back();
}

absl::Status CheckSlurm() {
  if (RunCommand({"sbatch", "--version"}).exit_code == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "--engine=slurm: there is no Slurm here (sbatch cannot be run); start it on a machine that "
      "submits jobs, leave --engine out to run here, or run --shard=i/n anywhere and then "
      "`tierscope sweep merge`");
}

// One job array at work: its shards, which of them are through, how often each was tried.
class SlurmArray {
 public:
  SlurmArray(const SlurmOptions& options, int64_t points)
      : options_(options),
        shards_(static_cast<int>(std::min<int64_t>(options.shards, points))),
        tries_(static_cast<size_t>(shards_), 0) {}

  absl::Status Start(const std::vector<int64_t>& order) {
    std::error_code error;
    fs::create_directories(options_.folder, error);
    if (error) {
      return absl::InvalidArgumentError(
          absl::StrCat(options_.folder, ": cannot be made (", error.message(),
                       "); give a --results in a folder that can be written"));
    }
    TIERSCOPE_RETURN_IF_ERROR(WritePointList(order, File("points")));
    TIERSCOPE_RETURN_IF_ERROR(WriteFileAtomically(File("shard.sh"), Script()));
    std::set<int> all;
    for (int shard = 0; shard < shards_; ++shard) all.insert(shard);
    return Submit(all);
  }

  // Until every shard has its file, or one failed too often.
  absl::Status Follow() {
    for (;;) {
      TIERSCOPE_ASSIGN_OR_RETURN(const TaskStates alive, Alive());
      std::set<int> failed;
      int done = 0;
      for (int shard = 0; shard < shards_; ++shard) {
        if (fs::exists(ShardFile(shard))) {
          ++done;
        } else if (alive.count(shard) == 0 && ++missing_polls_[shard] > kGracePolls) {
          failed.insert(shard);
        }
      }
      Report(done, alive);
      if (done == shards_) return absl::OkStatus();
      if (!failed.empty()) TIERSCOPE_RETURN_IF_ERROR(TryAgain(failed));
      std::this_thread::sleep_for(std::chrono::duration<double>(options_.poll_s));
    }
  }

  std::vector<std::string> FinishedFiles() const {
    std::vector<std::string> files;
    for (int shard = 0; shard < shards_; ++shard) {
      if (fs::exists(ShardFile(shard))) files.push_back(ShardFile(shard));
    }
    return files;
  }

  void Cancel() const {
    for (const std::string& job : jobs_) RunCommand({"scancel", job});
  }

 private:
  std::string File(const std::string& name) const {
    return absl::StrCat(options_.folder, "/", name);
  }
  std::string ShardFile(int shard) const { return File(absl::StrCat("shard-", shard)); }

  std::string Script() const {
    std::vector<std::string> words = {fs::read_symlink("/proc/self/exe").string(), "sweep",
                                      fs::absolute(options_.sweep).string()};
    words.insert(words.end(), options_.arguments.begin(), options_.arguments.end());
    words.push_back(absl::StrCat("--points=", File("points")));
    words.push_back(absl::StrCat("--jobs=", options_.cpus));
    return absl::StrCat("#!/bin/sh\nexec ", Command(words), " --shard=\"$SLURM_ARRAY_TASK_ID\"/",
                        shards_, " --results=", Quoted(File("shard-")),
                        "\"$SLURM_ARRAY_TASK_ID\"\n");
  }

  absl::Status Submit(const std::set<int>& shards) {
    for (const int shard : shards) {
      ++tries_[static_cast<size_t>(shard)];
      missing_polls_[shard] = 0;
    }
    std::vector<std::string> words = {"sbatch",
                                      "--parsable",
                                      absl::StrCat("--array=", absl::StrJoin(shards, ",")),
                                      absl::StrCat("--job-name=tierscope-", options_.name),
                                      absl::StrCat("--cpus-per-task=", options_.cpus),
                                      absl::StrCat("--output=", File("log-%a"))};
    words.insert(words.end(), options_.sbatch.begin(), options_.sbatch.end());
    words.push_back(File("shard.sh"));
    const CommandResult result = RunCommand(words);
    // "123" or "123;cluster", after any warnings.
    const std::string job = LastLine(result.output).substr(0, LastLine(result.output).find(';'));
    int64_t number = 0;
    if (result.exit_code != 0 || !absl::SimpleAtoi(job, &number)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "--engine=slurm: sbatch refused the job (", LastLine(result.output),
          "); give what your cluster asks for with --sbatch, such as --sbatch=--partition=cpu"));
    }
    jobs_.push_back(job);
    TIERSCOPE_RETURN_IF_ERROR(
        WriteFileAtomically(File("jobs"), absl::StrCat(absl::StrJoin(jobs_, "\n"), "\n")));
    std::fprintf(stderr, "  job %s: %zu shards of %d\n", job.c_str(), shards.size(), shards_);
    return absl::OkStatus();
  }

  // State of every task of ours that is queued or runs. Tasks that ended are not listed.
  absl::StatusOr<TaskStates> Alive() {
    TaskStates alive;
    for (const std::string& job : jobs_) {
      const CommandResult result = RunCommand({"squeue", "-h", "-r", "-j", job, "-o", "%K %T"});
      // A job that ended is soon forgotten.
      if (result.exit_code != 0 && absl::StrContains(result.output, "Invalid job id")) continue;
      if (result.exit_code != 0) return Unknown(result);
      for (const absl::string_view line :
           absl::StrSplit(result.output, '\n', absl::SkipWhitespace())) {
        const std::vector<absl::string_view> words =
            absl::StrSplit(line, ' ', absl::SkipWhitespace());
        int shard = 0;
        if (words.size() == 2 && absl::SimpleAtoi(words[0], &shard))
          alive[shard] = std::string(words[1]);
      }
    }
    unknown_polls_ = 0;
    return alive;
  }

  // While Slurm does not answer everything counts as alive.
  absl::StatusOr<TaskStates> Unknown(const CommandResult& result) {
    if (++unknown_polls_ > kUnknownPollsMax) {
      return absl::UnavailableError(
          absl::StrCat("--engine=slurm: squeue does not answer (", LastLine(result.output),
                       "); run the same command again when it does: finished "
                       "shards are taken up"));
    }
    TaskStates all;
    for (int shard = 0; shard < shards_; ++shard) all[shard] = "UNKNOWN";
    return all;
  }

  absl::Status TryAgain(const std::set<int>& failed) {
    for (const int shard : failed) {
      if (tries_[static_cast<size_t>(shard)] <= options_.retries) continue;
      return absl::UnavailableError(
          absl::StrCat("--engine=slurm: shard ", shard, " of ", shards_, " failed ",
                       tries_[static_cast<size_t>(shard)], " times (", LastWordsOf(shard),
                       "); its log is ", File(absl::StrCat("log-", shard)),
                       "; run the same command again: finished shards are kept"));
    }
    std::fprintf(stderr, "  %s of shard %s: submitted again\n",
                 failed.size() == 1 ? "failure" : "failures", absl::StrJoin(failed, ", ").c_str());
    return Submit(failed);
  }

  std::string LastWordsOf(int shard) const {
    std::ifstream file(File(absl::StrCat("log-", shard)));
    std::ostringstream text;
    text << file.rdbuf();
    return LastLine(text.str()).substr(0, 200);
  }

  void Report(int done, const TaskStates& alive) {
    const auto running = std::count_if(alive.begin(), alive.end(),
                                       [](const auto& task) { return task.second == "RUNNING"; });
    const std::string line =
        absl::StrCat("  ", done, " of ", shards_, " shards done, ", running, " running, ",
                     static_cast<int64_t>(alive.size()) - running, " waiting");
    if (line != last_report_) std::fprintf(stderr, "%s\n", line.c_str());
    last_report_ = line;
  }

  const SlurmOptions& options_;
  int shards_;
  std::vector<int> tries_;
  std::map<int, int> missing_polls_;
  std::vector<std::string> jobs_;
  int unknown_polls_ = 0;
  std::string last_report_;
};

}  // namespace

absl::Status TakeUpSlurm(const SlurmOptions& options, ResultsStore& store) {
  std::error_code error;
  if (!fs::is_directory(options.folder, error)) return absl::OkStatus();
  std::ifstream jobs(absl::StrCat(options.folder, "/jobs"));
  for (std::string job; std::getline(jobs, job);) RunCommand({"scancel", job});
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(options.folder, error)) {
    const std::string name = entry.path().filename().string();
    int shard = 0;
    // A shard that is being written has another name.
    if (absl::StartsWith(name, "shard-") && absl::SimpleAtoi(name.substr(6), &shard)) {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t rows, MergeShards(files, store));
  if (rows > 0) {
    std::fprintf(stderr, "  %lld points of an earlier run's shards taken up\n",
                 static_cast<long long>(rows));
  }
  fs::remove_all(options.folder, error);
  return absl::OkStatus();
}

absl::Status RunOnSlurm(const SlurmOptions& options, const std::vector<int64_t>& order,
                        ResultsStore& store) {
  TIERSCOPE_RETURN_IF_ERROR(CheckSlurm());
  SlurmArray array(options, static_cast<int64_t>(order.size()));
  TIERSCOPE_RETURN_IF_ERROR(array.Start(order));
  const absl::Status followed = array.Follow();
  if (!followed.ok()) array.Cancel();
  const absl::StatusOr<int64_t> merged = MergeShards(array.FinishedFiles(), store);
  TIERSCOPE_RETURN_IF_ERROR(followed);
  TIERSCOPE_RETURN_IF_ERROR(merged.status());
  std::error_code ignored;
  fs::remove_all(options.folder, ignored);
  return absl::OkStatus();
}

}  // namespace tierscope::cli
