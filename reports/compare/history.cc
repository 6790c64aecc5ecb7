#include "reports/compare/history.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"

#include "reports/compare/rank_test.h"
#include "reports/sqlite.h"
#include "sim/base/digest.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr uint32_t kApplicationId = 0x74736869;  // "tshi", in the header of the file
constexpr int kHistoryFormat = 1;

std::string CreateTables() {
  return absl::StrCat(
      "CREATE TABLE runs(id INTEGER PRIMARY KEY, label TEXT NOT NULL, scenario TEXT NOT NULL, "
      "fingerprint TEXT NOT NULL, host TEXT NOT NULL, version TEXT NOT NULL, "
      "UNIQUE(label, scenario, fingerprint));"
      "CREATE TABLE points(run INTEGER NOT NULL REFERENCES runs(id), metric TEXT NOT NULL, unit "
      "TEXT NOT NULL, measured INTEGER NOT NULL, value REAL NOT NULL, samples INTEGER NOT NULL, "
      "PRIMARY KEY(run, metric));"
      "PRAGMA user_version=",
      kHistoryFormat, ";PRAGMA application_id=", kApplicationId, ";");
}

absl::Status Wrong(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

// What runs must share to stand in one series.
std::string FingerprintOf(const RunResult& identity) {
  Digest digest;
  digest.Add(identity.kind());
  digest.Add(identity.scenario_digest());
  for (const Input& input : identity.inputs()) {
    digest.Add(input.role());
    digest.Add(input.digest());
  }
  return digest.hex();
}

absl::Status CheckSchema(const SqliteDatabase& database, const std::string& path) {
  const absl::StatusOr<std::string> id = database.Text("PRAGMA application_id");
  if (!id.ok() || *id != absl::StrCat(kApplicationId)) {
    return Wrong(path, absl::StrCat("is no history", id.ok() ? "" : " (",
                                    id.ok() ? "" : id.status().message(), id.ok() ? "" : ")",
                                    "; give another --history"));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string format, database.Text("PRAGMA user_version"));
  if (format == absl::StrCat(kHistoryFormat)) return absl::OkStatus();
  return Wrong(path, absl::StrCat("is a history of format ", format, ", this tierscope has ",
                                  kHistoryFormat, "; give another --history"));
}

}  // namespace

std::vector<ChangePoint> ChangesOf(const MetricHistory& history) {
  if (!history.measured) return ExactChanges(history.values);
  Digest seed;
  seed.Add(history.scenario);
  seed.Add(history.metric);
  return FindChangePoints(history.values, seed.value());
}

class History::Impl {
 public:
  std::string path;
  SqliteDatabase database;
  SqliteStatement find_run, add_run, find_point, add_point;

  absl::Status Prepare() {
    TIERSCOPE_ASSIGN_OR_RETURN(
        find_run,
        database.Prepare("SELECT id FROM runs WHERE label=? AND scenario=? AND fingerprint=?"));
    TIERSCOPE_ASSIGN_OR_RETURN(
        add_run, database.Prepare("INSERT INTO runs(label, scenario, fingerprint, host, version) "
                                  "VALUES(?, ?, ?, ?, ?)"));
    TIERSCOPE_ASSIGN_OR_RETURN(
        find_point,
        database.Prepare("SELECT value, measured FROM points WHERE run=? AND metric=?"));
    TIERSCOPE_ASSIGN_OR_RETURN(add_point,
                               database.Prepare("INSERT INTO points VALUES(?, ?, ?, ?, ?, ?)"));
    return absl::OkStatus();
  }

  // The id of the run, 0 where there is none.
  absl::StatusOr<int64_t> FindRun(const std::string& label, const RunResult& identity) {
    const std::string fingerprint = FingerprintOf(identity);
    find_run.BindText(1, label);
    find_run.BindText(2, identity.scenario());
    find_run.BindText(3, fingerprint);
    const absl::StatusOr<bool> found = find_run.Step();
    const int64_t id = found.ok() && *found ? find_run.Int(0) : 0;
    find_run.Reset();
    TIERSCOPE_RETURN_IF_ERROR(found.status());
    return id;
  }

  absl::Status AddRun(const std::string& label, const ScenarioRuns& runs) {
    const std::string fingerprint = FingerprintOf(runs.identity);
    const std::string host = absl::StrCat(runs.cpu, "; ", runs.build_type);
    add_run.BindText(1, label);
    add_run.BindText(2, runs.identity.scenario());
    add_run.BindText(3, fingerprint);
    add_run.BindText(4, host);
    add_run.BindText(5, runs.identity.version());
    const absl::Status status = add_run.Step().status();
    add_run.Reset();
    return status;
  }

  // True: added. False: it was there; of a simulated metric with the same value.
  absl::StatusOr<bool> AddPoint(int64_t run, const std::string& label, const ScenarioRuns& runs,
                                const MetricSamples& metric) {
    const double value = MedianOf(metric.values);
    find_point.BindInt(1, run);
    find_point.BindText(2, metric.name);
    const absl::StatusOr<bool> found = find_point.Step();
    const double there = found.ok() && *found ? find_point.Real(0) : 0;
    find_point.Reset();
    TIERSCOPE_RETURN_IF_ERROR(found.status());
    if (*found && !metric.measured && there != value) {
      return Wrong(path, absl::StrCat("label ", Quoted(label), " has ", metric.name, " = ", there,
                                      " of scenario ", Quoted(runs.identity.scenario()),
                                      " and the new run ", value,
                                      ": simulated values of one label are equal; give another "
                                      "--label"));
    }
    if (*found) return false;
    add_point.BindInt(1, run);
    add_point.BindText(2, metric.name);
    add_point.BindText(3, metric.unit);
    add_point.BindInt(4, metric.measured ? 1 : 0);
    add_point.BindReal(5, value);
    add_point.BindInt(6, static_cast<int64_t>(metric.values.size()));
    const absl::Status status = add_point.Step().status();
    add_point.Reset();
    TIERSCOPE_RETURN_IF_ERROR(status);
    return true;
  }

  absl::Status RecordAll(const RunSet& set, const std::string& label, Recorded* recorded) {
    for (const ScenarioRuns& runs : set.scenarios) {
      TIERSCOPE_ASSIGN_OR_RETURN(int64_t run, FindRun(label, runs.identity));
      if (run == 0) {
        TIERSCOPE_RETURN_IF_ERROR(AddRun(label, runs));
        ++recorded->runs;
        TIERSCOPE_ASSIGN_OR_RETURN(run, FindRun(label, runs.identity));
      }
      for (const MetricSamples& metric : runs.metrics) {
        if (metric.values.empty()) continue;
        TIERSCOPE_ASSIGN_OR_RETURN(const bool added, AddPoint(run, label, runs, metric));
        recorded->values += added ? 1 : 0;
      }
    }
    return absl::OkStatus();
  }

  // The values of one series, oldest first.
  absl::Status ReadSeries(MetricHistory* series) const {
    TIERSCOPE_ASSIGN_OR_RETURN(
        SqliteStatement rows,
        database.Prepare("SELECT label, value, fingerprint, host FROM points JOIN runs ON runs.id "
                         "= points.run WHERE scenario=? AND metric=? AND measured=? ORDER BY id "
                         "DESC"));
    rows.BindText(1, series->scenario);
    rows.BindText(2, series->metric);
    rows.BindInt(3, series->measured ? 1 : 0);
    std::string fingerprint, host;
    for (;;) {
      TIERSCOPE_ASSIGN_OR_RETURN(const bool more, rows.Step());
      if (!more) break;
      if (series->labels.empty()) {
        fingerprint = std::string(rows.Bytes(2));
        host = std::string(rows.Bytes(3));
      }
      if (rows.Bytes(2) != fingerprint || (series->measured && rows.Bytes(3) != host)) {
        ++series->left_out;
        continue;
      }
      series->labels.emplace_back(rows.Bytes(0));
      series->values.push_back(rows.Real(1));
    }
    std::reverse(series->labels.begin(), series->labels.end());
    std::reverse(series->values.begin(), series->values.end());
    return absl::OkStatus();
  }
};

History::History(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
History::History(History&&) noexcept = default;
History& History::operator=(History&&) noexcept = default;
History::~History() = default;

absl::StatusOr<History> History::Open(const std::string& path, bool create) {
  std::error_code ignored;  // what cannot be looked at cannot be opened either
  if (!create && !std::filesystem::exists(path, ignored)) {
    return absl::NotFoundError(absl::StrCat(
        path, ": the history is empty, there is no such file; add runs with --record"));
  }
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  absl::StatusOr<SqliteDatabase> database = SqliteDatabase::Open(path);
  if (!database.ok()) {
    return Wrong(path, absl::StrCat("cannot be opened as a history (", database.status().message(),
                                    "); give another --history"));
  }
  impl->database = *std::move(database);
  TIERSCOPE_RETURN_IF_ERROR(impl->database.Execute("PRAGMA busy_timeout=10000"));
  const absl::StatusOr<std::string> first = impl->database.Text("SELECT name FROM sqlite_master");
  const bool fresh = first.ok() && first->empty();
  if (fresh && !create) {
    return Wrong(path, "the history is empty; add runs with --record");
  }
  if (fresh) {
    TIERSCOPE_RETURN_IF_ERROR(
        impl->database.Execute(absl::StrCat("BEGIN IMMEDIATE;", CreateTables(), "COMMIT;")));
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckSchema(impl->database, path));
  TIERSCOPE_RETURN_IF_ERROR(impl->Prepare());
  return History(std::move(impl));
}

absl::StatusOr<Recorded> History::Record(const RunSet& runs, const std::string& label) {
  Recorded recorded;
  TIERSCOPE_RETURN_IF_ERROR(impl_->database.Execute("BEGIN IMMEDIATE"));
  absl::Status status = impl_->RecordAll(runs, label, &recorded);
  if (status.ok()) status = impl_->database.Execute("COMMIT");
  if (!status.ok()) impl_->database.Execute("ROLLBACK").IgnoreError();
  TIERSCOPE_RETURN_IF_ERROR(status);
  return recorded;
}

absl::StatusOr<std::vector<MetricHistory>> History::Read(const std::string& metric) const {
  TIERSCOPE_ASSIGN_OR_RETURN(
      SqliteStatement rows,
      impl_->database.Prepare(
          "SELECT scenario, metric, unit, measured FROM points JOIN runs ON runs.id = points.run "
          "WHERE ?1 = '' OR metric = ?1 GROUP BY scenario, metric, measured ORDER BY "
          "min(points.rowid)"));
  rows.BindText(1, metric);
  std::vector<MetricHistory> all;
  for (;;) {
    TIERSCOPE_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) break;
    MetricHistory series;
    series.scenario = std::string(rows.Bytes(0));
    series.metric = std::string(rows.Bytes(1));
    series.unit = std::string(rows.Bytes(2));
    series.measured = rows.Int(3) != 0;
    TIERSCOPE_RETURN_IF_ERROR(impl_->ReadSeries(&series));
    all.push_back(std::move(series));
  }
  if (!all.empty()) return all;
  if (metric.empty()) return Wrong(impl_->path, "the history is empty; add runs with --record");
  return Wrong(impl_->path, absl::StrCat("no run has the metric ", Quoted(metric),
                                         "; --trend alone lists what changed"));
}

}  // namespace tierscope
