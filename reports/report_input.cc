#include "reports/report_input.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "simdjson.h"

#include "reports/atomic_file.h"
#include "reports/phase_sums.h"
#include "reports/reconcile_reader.h"
#include "reports/result_reader.h"
#include "reports/sweep_columns.h"
#include "reports/text.h"
#include "reports/timeline_reader.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kDocumentBytesMax = 512 * kMiB;  // a sweep of 100,000 points
constexpr int64_t kSeriesBytesMax = 4 * kMiB;
constexpr int64_t kReconcileBytesMax = 6 * kMiB;
constexpr int64_t kScenarioBytesMax = kMiB;

bool Exists(const std::string& path, struct stat* info) { return stat(path.c_str(), info) == 0; }

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t bytes_max) {
  struct stat info;
  if (!Exists(path, &info)) return FileError(errno, path, "open");
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(path + ": is no plain file");
  if (info.st_size > bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": ", info.st_size, " bytes; a report takes at most ", bytes_max));
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return FileError(errno, path, "read");
  return std::move(text).str();
}

// "" where there is no such file.
absl::StatusOr<std::string> ReadIfThere(const std::string& path, int64_t bytes_max) {
  struct stat info;
  if (!Exists(path, &info)) return std::string();
  return ReadFile(path, bytes_max);
}

absl::Status NotJson(const std::string& path, simdjson::error_code error) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": is not JSON: ", simdjson::error_message(error)));
}

// `text` without white space, checked.
absl::StatusOr<std::string> Minified(const std::string& path, const std::string& text) {
  if (text.empty()) return std::string();
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text).get(root)) return NotJson(path, error);
  return simdjson::minify(root);
}

absl::StatusOr<std::string> ReadJsonIfThere(const std::string& path, int64_t bytes_max) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ReadIfThere(path, bytes_max));
  return Minified(path, text);
}

absl::StatusOr<ReportInput> ReadDocument(const std::string& path);

absl::StatusOr<ReportInput> ReadRunFolder(const std::string& path) {
  const auto file = [&](const char* name) { return absl::StrCat(path, "/", name); };
  struct stat info;
  ReportInput input;
  input.path = path;
  input.is_folder = true;
  TIERSCOPE_ASSIGN_OR_RETURN(input.result, ReadJsonIfThere(file("result.json"), kResultBytesMax));
  TIERSCOPE_RETURN_IF_ERROR(ParseResult(input.result, file("result.json")).status());
  TIERSCOPE_ASSIGN_OR_RETURN(input.host, ReadJsonIfThere(file("host.json"), kResultBytesMax));
  TIERSCOPE_ASSIGN_OR_RETURN(input.series, ReadJsonIfThere(file("series.json"), kSeriesBytesMax));
  TIERSCOPE_ASSIGN_OR_RETURN(input.reconcile,
                             ReadJsonIfThere(file("reconcile.json"), kReconcileBytesMax));
  if (!input.reconcile.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(ParseReconcile(input.reconcile, file("reconcile.json")).status());
  }
  if (Exists(file("phases.csv"), &info)) {
    TIERSCOPE_ASSIGN_OR_RETURN(input.phases, PhaseSums(file("phases.csv")));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(std::string scenario,
                             ReadIfThere(file("scenario.txtpb"), kScenarioBytesMax));
  input.scenario = ValidUtf8(scenario);
  if (Exists(file("timeline.json"), &info)) {
    TIERSCOPE_ASSIGN_OR_RETURN(input.timeline, TimelineColumns(file("timeline.json")));
  }
  return input;
}

// A folder of a run, or of a reconciliation of one scenario or several.
absl::StatusOr<ReportInput> ReadFolder(const std::string& path) {
  struct stat info;
  if (Exists(path + "/result.json", &info)) return ReadRunFolder(path);
  for (const char* name : {"/reconcile.json", "/summary.json"}) {
    if (!Exists(path + name, &info)) continue;
    TIERSCOPE_ASSIGN_OR_RETURN(ReportInput input, ReadDocument(path + name));
    input.path = path;
    input.is_folder = true;
    return input;
  }
  return absl::NotFoundError(absl::StrCat(
      path,
      ": holds no result.json, reconcile.json or summary.json: give the folder of a finished "
      "`tierscope run` or `tierscope reconcile`"));
}

absl::StatusOr<ReportInputKind> KindOf(const std::string& path,
                                       const simdjson::dom::element& root) {
  const auto has = [&](const char* key) { return root[key].error() == simdjson::SUCCESS; };
  if (has("sweep") && has("points")) return ReportInputKind::kSweep;
  if (has("curve") && has("binding")) return ReportInputKind::kCapacity;
  if (has("rows") && has("serving")) return ReportInputKind::kValidation;
  if (has("passed") && (has("terms") || has("scenarios"))) return ReportInputKind::kReconciliation;
  if (has("metrics") && has("scenario_digest")) return ReportInputKind::kRun;
  return absl::InvalidArgumentError(absl::StrCat(
      path,
      ": is nothing that a report shows; give a run folder, result.json, reconcile.json, or what "
      "sweep, capacity or validate print with --format=json"));
}

absl::StatusOr<ReportInput> ReadDocument(const std::string& path) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kDocumentBytesMax));
  if (text.rfind("SQLite format 3", 0) == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": is the results file of a sweep, which does not name its axes; give what `tierscope "
        "sweep SWEEP --format=json` prints"));
  }
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text).get(root)) return NotJson(path, error);
  ReportInput input;
  input.path = path;
  TIERSCOPE_ASSIGN_OR_RETURN(input.kind, KindOf(path, root));
  if (input.kind == ReportInputKind::kRun) {
    input.result = simdjson::minify(root);
    TIERSCOPE_RETURN_IF_ERROR(ParseResult(input.result, path).status());
  } else if (input.kind == ReportInputKind::kSweep) {
    TIERSCOPE_ASSIGN_OR_RETURN(input.document, SweepColumns(path, root));
  } else {
    input.document = simdjson::minify(root);
  }
  if (input.kind == ReportInputKind::kReconciliation) {
    TIERSCOPE_RETURN_IF_ERROR(ParseReconcile(input.document, path).status());
  }
  return input;
}

}  // namespace

absl::StatusOr<ReportInput> ReadReportInput(const std::string& path) {
  struct stat info;
  if (!Exists(path, &info)) return FileError(errno, path, "open");
  return S_ISDIR(info.st_mode) ? ReadFolder(path) : ReadDocument(path);
}

}  // namespace tierscope
