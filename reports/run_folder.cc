#include "reports/run_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <span>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "reports/atomic_file.h"
#include "reports/csv.h"
#include "reports/html.h"
#include "reports/result_json.h"
#include "reports/schema/phase_log.h"
#include "sim/base/file_lock.h"
#include "sim/base/status_macros.h"

namespace tierscope {

namespace fs = std::filesystem;

// A run at work on its folder: a lock on it and the folder of staged files.
class RunFolder::Claim {
 public:
  Claim() = default;
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim() {
    std::error_code ignored;
    if (!staged_.empty()) fs::remove_all(staged_, ignored);
  }
  // Error: another process is at work. What one that was killed left is removed.
  absl::Status Make(const std::string& folder);

 private:
  FileLock lock_;
  std::string staged_;
};

namespace {

constexpr absl::string_view kParentFolder = "tierscope-runs";
constexpr char kStagedFolder[] = ".partial";
// The first says that the folder is complete.
constexpr const char* kRunFiles[] = {
    "result.json", "scenario.txtpb", "host.json",   "metrics.csv", "timeline.json",
    "series.json", "report.html",    "samples.csv", "phases.csv",  "activity.csv"};
constexpr size_t kNameBytesMax = 100;
constexpr int kSuffixMax = 100'000;

std::string FolderName(absl::string_view scenario_name) {
  std::string name;
  for (char c : scenario_name.substr(0, kNameBytesMax)) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.';
    name += plain ? c : '_';
  }
  if (name.empty()) return "run";
  if (name[0] == '.' || name[0] == '-') name[0] = '_';
  return name;
}

bool IsFolder(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Removes `path`, which need not be there.
absl::Status Remove(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return FileError(errno, path, "replace");
}

// Puts `name` in its place, or removes the file of an earlier run where this one wrote none.
absl::Status MoveOne(const RunFolder& folder, const std::string& name) {
  const std::string to = folder.File(name);
  if (std::rename(folder.Staged(name).c_str(), to.c_str()) == 0) return absl::OkStatus();
  return errno == ENOENT ? Remove(to) : FileError(errno, to, "replace");
}

// The phase logs of the repeats of a measured run, numbered from 0 without a gap.
absl::Status MoveRepeats(const RunFolder& folder) {
  for (int repeat = 0;; ++repeat) {
    const std::string name = PhaseLogOfRepeat(repeat);
    if (!fs::exists(folder.Staged(name)) && !fs::exists(folder.File(name))) return absl::OkStatus();
    TIERSCOPE_RETURN_IF_ERROR(MoveOne(folder, name));
  }
}

absl::Status MoveStaged(const RunFolder& folder) {
  TIERSCOPE_RETURN_IF_ERROR(Remove(folder.File(kRunFiles[0])));
  TIERSCOPE_RETURN_IF_ERROR(MoveRepeats(folder));
  for (size_t i = std::size(kRunFiles); i-- > 0;) {
    TIERSCOPE_RETURN_IF_ERROR(MoveOne(folder, kRunFiles[i]));
  }
  return absl::OkStatus();
}

// Creates every missing folder above `path`.
absl::Status CreateParents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    if (mkdir(parent.c_str(), 0777) != 0 && !IsFolder(parent)) {
      return FileError(errno, parent, "create folder");
    }
  }
  return absl::OkStatus();
}

// True: created. False: something of that name exists. mkdir decides, so two processes never both
// win.
absl::StatusOr<bool> TryCreate(const std::string& path) {
  if (mkdir(path.c_str(), 0777) == 0) return true;
  if (errno == EEXIST) return false;
  return FileError(errno, path, "create folder");
}

// A folder under the name of a file could not be replaced: said now and not after the run.
absl::Status CheckReplaceable(const RunFolder& folder) {
  if (!IsFolder(folder.path)) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder.path, " exists and is not a folder: choose another --out"));
  }
  for (const char* name : kRunFiles) {
    if (!IsFolder(folder.File(name))) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        folder.File(name), " is a folder where a run writes a file: choose another --out"));
  }
  return absl::OkStatus();
}

// Whether a killed run left nothing in the folder but its staged files.
bool HoldsOnlyStaged(const std::string& path) {
  std::error_code error;
  fs::directory_iterator files(path, error);
  if (error || files == fs::directory_iterator()) return false;
  return files->path().filename() == kStagedFolder && ++files == fs::directory_iterator();
}

absl::StatusOr<RunFolder> Take(const std::string& path) {
  RunFolder folder{path, nullptr};
  TIERSCOPE_RETURN_IF_ERROR(CheckReplaceable(folder));
  auto claim = std::make_shared<RunFolder::Claim>();
  TIERSCOPE_RETURN_IF_ERROR(claim->Make(path));
  folder.claim = std::move(claim);
  return folder;
}

absl::StatusOr<RunFolder> CreateNamed(const std::string& path, bool overwrite) {
  TIERSCOPE_RETURN_IF_ERROR(CreateParents(path));
  TIERSCOPE_ASSIGN_OR_RETURN(const bool created, TryCreate(path));
  if (!created && !overwrite && !HoldsOnlyStaged(path)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " exists: choose another --out or add --overwrite"));
  }
  return Take(path);
}

absl::StatusOr<RunFolder> CreateFirstFree(const std::string& base) {
  TIERSCOPE_RETURN_IF_ERROR(CreateParents(base));
  for (int suffix = 1; suffix <= kSuffixMax; ++suffix) {
    const std::string path = suffix == 1 ? base : absl::StrCat(base, "-", suffix);
    TIERSCOPE_ASSIGN_OR_RETURN(const bool created, TryCreate(path));
    if (!created && !HoldsOnlyStaged(path)) continue;
    absl::StatusOr<RunFolder> folder = Take(path);
    if (created || !absl::IsUnavailable(folder.status()))
      return folder;  // else it is being written
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(base, ": ", kSuffixMax, " runs of this name exist: choose an --out"));
}

std::string WithoutTrailingSlashes(absl::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path);
}

}  // namespace

absl::Status RunFolder::Claim::Make(const std::string& folder) {
  switch (lock_.TakeFolder(folder)) {
    case FileLock::Outcome::kTaken:
      break;
    case FileLock::Outcome::kHeldByAnother:
      return absl::UnavailableError(absl::StrCat(
          folder, " is being written by another run: wait for it or choose another --out"));
    case FileLock::Outcome::kFailed:
      return FileError(errno, folder, "open");
  }
  staged_ = absl::StrCat(folder, "/", kStagedFolder);
  std::error_code error;
  fs::remove_all(staged_, error);
  if (mkdir(staged_.c_str(), 0777) != 0) return FileError(errno, staged_, "create folder");
  return absl::OkStatus();
}

std::string RunFolder::File(absl::string_view name) const { return absl::StrCat(path, "/", name); }

std::string RunFolder::Staged(absl::string_view name) const {
  return absl::StrCat(path, "/", kStagedFolder, "/", name);
}

absl::StatusOr<RunFolder> CreateRunFolder(absl::string_view out, absl::string_view scenario_name,
                                          bool overwrite) {
  if (!out.empty()) return CreateNamed(WithoutTrailingSlashes(out), overwrite);
  const std::string base = absl::StrCat(kParentFolder, "/", FolderName(scenario_name));
  return overwrite ? CreateNamed(base, overwrite) : CreateFirstFree(base);
}

absl::Status WriteRunFolder(const RunFolder& folder, absl::string_view scenario_text,
                            RunReport& run, const std::function<void(HostResult&)>& finish_host) {
  const std::span<const RunReport> runs(&run, 1);
  const auto write = [&folder](const char* name, absl::string_view text) {
    return WriteFileAtomically(folder.Staged(name), text);
  };
  TIERSCOPE_RETURN_IF_ERROR(write("scenario.txtpb", scenario_text));
  TIERSCOPE_RETURN_IF_ERROR(write("metrics.csv", MetricsCsv(runs)));
  TIERSCOPE_RETURN_IF_ERROR(write("result.json", ResultJson(run.result)));
  finish_host(run.host);
  TIERSCOPE_RETURN_IF_ERROR(write("report.html", ReportHtml(runs)));
  TIERSCOPE_RETURN_IF_ERROR(write("host.json", HostJson(run.host)));
  return MoveStaged(folder);
}

}  // namespace tierscope
