#include "reports/run_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "reports/atomic_file.h"
#include "reports/csv.h"
#include "reports/html.h"
#include "reports/result_json.h"
#include "reports/schema/phase_log.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr absl::string_view kParentFolder = "tierscope-runs";
constexpr const char* kRunFiles[] = {"scenario.txtpb", "result.json",   "host.json",
                                     "metrics.csv",    "timeline.json", "report.html",
                                     "phases.csv"};
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

absl::Status RemoveRunFiles(const RunFolder& folder) {
  if (!IsFolder(folder.path)) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder.path, " exists and is not a folder: choose another --out"));
  }
  for (const char* name : kRunFiles) {
    const std::string path = folder.File(name);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return FileError(errno, path, "replace");
  }
  // Of a run with more repeats than the next one has.
  for (int repeat = 0;; ++repeat) {
    const std::string path = folder.File(PhaseLogOfRepeat(repeat));
    if (unlink(path.c_str()) == 0) continue;
    if (errno != ENOENT) return FileError(errno, path, "replace");
    break;
  }
  // Repeats are numbered from 0 without a gap.
  for (int repeat = 0;; ++repeat) {
    const std::string path = folder.File(absl::StrCat("phases-", repeat, ".csv"));
    if (unlink(path.c_str()) == 0) continue;
    return errno == ENOENT ? absl::OkStatus() : FileError(errno, path, "replace");
  }
}

absl::StatusOr<RunFolder> CreateNamed(const std::string& path, bool overwrite) {
  TIERSCOPE_RETURN_IF_ERROR(CreateParents(path));
  TIERSCOPE_ASSIGN_OR_RETURN(const bool created, TryCreate(path));
  const RunFolder folder{path};
  if (created) return folder;
  if (!overwrite) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " exists: choose another --out or add --overwrite"));
  }
  TIERSCOPE_RETURN_IF_ERROR(RemoveRunFiles(folder));
  return folder;
}

absl::StatusOr<RunFolder> CreateFirstFree(const std::string& base) {
  TIERSCOPE_RETURN_IF_ERROR(CreateParents(base));
  for (int suffix = 1; suffix <= kSuffixMax; ++suffix) {
    const std::string path = suffix == 1 ? base : absl::StrCat(base, "-", suffix);
    TIERSCOPE_ASSIGN_OR_RETURN(const bool created, TryCreate(path));
    if (created) return RunFolder{path};
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(base, ": ", kSuffixMax, " runs of this name exist: choose an --out"));
}

std::string WithoutTrailingSlashes(absl::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path);
}

}  // namespace

std::string RunFolder::File(absl::string_view name) const { return absl::StrCat(path, "/", name); }

absl::StatusOr<RunFolder> CreateRunFolder(absl::string_view out, absl::string_view scenario_name,
                                          bool overwrite) {
  if (!out.empty()) return CreateNamed(WithoutTrailingSlashes(out), overwrite);
  const std::string base = absl::StrCat(kParentFolder, "/", FolderName(scenario_name));
  return overwrite ? CreateNamed(base, overwrite) : CreateFirstFree(base);
}

absl::Status WriteRunFolder(const RunFolder& folder, absl::string_view scenario_text,
                            const RunResult& result, const HostResult& host) {
  const RunReport run{result, host};
  const std::span<const RunReport> runs(&run, 1);
  TIERSCOPE_RETURN_IF_ERROR(WriteFileAtomically(folder.File("scenario.txtpb"), scenario_text));
  TIERSCOPE_RETURN_IF_ERROR(WriteFileAtomically(folder.File("host.json"), HostJson(host)));
  TIERSCOPE_RETURN_IF_ERROR(WriteFileAtomically(folder.File("metrics.csv"), MetricsCsv(runs)));
  TIERSCOPE_RETURN_IF_ERROR(WriteFileAtomically(folder.File("report.html"), ReportHtml(runs)));
  // Last: a folder that has result.json is complete.
  return WriteFileAtomically(folder.File("result.json"), ResultJson(result));
}

}  // namespace tierscope
