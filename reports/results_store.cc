#include "reports/results_store.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "reports/atomic_file.h"
#include "reports/schema/metrics.h"
#include "reports/sqlite.h"
#include "sim/base/check.h"
#include "sim/base/digest.h"
#include "sim/base/file_lock.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr int kStoreFormat = 1;                  // of the tables below
constexpr int kFixedColumns = 7;                 // before the metrics
constexpr uint32_t kApplicationId = 0x74737764;  // "tswd", in the header of the file

// Tells apart files whose rows mean different things.
std::string SchemaDigest() {
  Digest digest;
  digest.Add(static_cast<uint64_t>(kStoreFormat));
  digest.Add(static_cast<uint64_t>(kResultSchemaVersion));
  for (const MetricDef& def : MetricDefinitions()) {
    digest.Add(def.name);
    digest.Add(def.unit);
    digest.Add(def.definition);
  }
  return digest.hex();
}

std::string CreateTables() {
  std::string sql =
      "CREATE TABLE meta(schema TEXT NOT NULL);"
      "CREATE TABLE reasons(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
      "CREATE TABLE results(key BLOB PRIMARY KEY NOT NULL, computed INTEGER NOT NULL, build TEXT "
      "NOT "
      "NULL, sets TEXT NOT NULL, error TEXT, event_digest TEXT, result_digest TEXT";
  for (const MetricDef& def : MetricDefinitions())
    absl::StrAppend(&sql, ", \"", def.name, "\" REAL");
  absl::StrAppend(&sql, ", absent INTEGER REFERENCES reasons(id));");
  absl::StrAppend(&sql, "INSERT INTO meta VALUES('", SchemaDigest(), "');");
  absl::StrAppend(&sql, "PRAGMA application_id=", kApplicationId, ";");
  return sql;
}

// Reasons of a row as one text, a line a metric; most rows share theirs, so they are kept apart.
std::string ReasonsText(const std::vector<std::string>& absent) {
  std::string text;
  for (size_t i = 0; i < absent.size(); ++i) {
    if (!absent[i].empty()) absl::StrAppend(&text, i, " ", absent[i], "\n");
  }
  return text;
}

std::vector<std::string> ParseReasons(absl::string_view text, size_t metric_count) {
  std::vector<std::string> absent(metric_count);
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const size_t space = line.find(' ');
    size_t index = 0;
    if (space == absl::string_view::npos || !absl::SimpleAtoi(line.substr(0, space), &index))
      continue;
    if (index < metric_count) absent[index] = std::string(line.substr(space + 1));
  }
  return absent;
}

absl::Status TakeLock(const std::string& path, FileLock& lock) {
  const std::string file = path + ".lock";
  switch (lock.TakeFile(file)) {
    case FileLock::Outcome::kTaken:
      return absl::OkStatus();
    case FileLock::Outcome::kHeldByAnother:
      return absl::UnavailableError(absl::StrCat(
          path, ": another sweep is writing it; wait for that one or give another --results"));
    case FileLock::Outcome::kFailed:
      break;
  }
  return FileError(errno, file, "open");
}

absl::Status CheckSchema(const SqliteDatabase& database, const std::string& path) {
  const absl::StatusOr<std::string> id = database.Text("PRAGMA application_id");
  if (!id.ok() || *id != absl::StrCat(kApplicationId)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": is no results file of a sweep", id.ok() ? "" : " (",
        id.ok() ? "" : id.status().message(), id.ok() ? "" : ")", "; give another --results"));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string schema, database.Text("SELECT schema FROM meta"));
  if (schema == SchemaDigest()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, ": holds results of another schema (",
                                                 schema, ", this tierscope has ", SchemaDigest(),
                                                 "); give another --results"));
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return FileError(errno, path, "open");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

ResultRow MakeResultRow(const RunResult& result, const std::string& result_json) {
  ResultRow row;
  row.event_digest = result.event_digest();
  Digest digest;
  digest.Add(result_json);
  row.result_digest = digest.hex();
  for (const MetricDef& def : MetricDefinitions()) {
    const Metric* metric = FindMetric(result, def.name);
    TIERSCOPE_CHECK(metric != nullptr);
    const bool has = HasValue(*metric);
    row.values.push_back(has ? metric->value() : std::numeric_limits<double>::quiet_NaN());
    row.absent.push_back(metric->absent());
  }
  return row;
}

class ResultsStore::Impl {
 public:
  FileLock lock;  // outlives the database
  SqliteDatabase database;
  SqliteStatement insert, count_again, select, has, insert_reasons, select_reasons;

  // Statements of a store whose tables are there.
  absl::Status PrepareReading() {
    TIERSCOPE_ASSIGN_OR_RETURN(select,
                               database.Prepare("SELECT results.*, reasons.text FROM results LEFT "
                                                "JOIN reasons ON reasons.id = results.absent "
                                                "WHERE key = ?"));
    TIERSCOPE_ASSIGN_OR_RETURN(has, database.Prepare("SELECT 1 FROM results WHERE key = ?"));
    return absl::OkStatus();
  }
  absl::Status PrepareWriting() {
    std::string sql = "INSERT INTO results VALUES(?, 1, ?, ?, ?, ?, ?";
    for (size_t i = 0; i < MetricDefinitions().size(); ++i) sql += ", ?";
    sql += ", ?) ON CONFLICT(key) DO UPDATE SET computed = computed + 1";
    TIERSCOPE_ASSIGN_OR_RETURN(insert, database.Prepare(sql));
    TIERSCOPE_ASSIGN_OR_RETURN(
        insert_reasons,
        database.Prepare("INSERT INTO reasons(text) VALUES(?) ON CONFLICT DO NOTHING"));
    TIERSCOPE_ASSIGN_OR_RETURN(select_reasons,
                               database.Prepare("SELECT id FROM reasons WHERE text = ?"));
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> ReasonsId(const std::string& text) {
    insert_reasons.BindText(1, text);
    const absl::Status inserted = insert_reasons.Step().status();
    insert_reasons.Reset();
    TIERSCOPE_RETURN_IF_ERROR(inserted);
    select_reasons.BindText(1, text);
    const absl::StatusOr<bool> found = select_reasons.Step();
    const int64_t id = found.ok() && *found ? select_reasons.Int(0) : 0;
    select_reasons.Reset();
    TIERSCOPE_RETURN_IF_ERROR(found.status());
    return id;
  }

  absl::Status Insert(const ResultRow& row) {
    const std::string reasons = ReasonsText(row.absent);
    TIERSCOPE_ASSIGN_OR_RETURN(const int64_t reasons_id, ReasonsId(reasons));
    insert.BindBlob(1, row.key.data(), row.key.size());
    insert.BindText(2, row.build);
    insert.BindText(3, row.sets);
    insert.BindText(4, row.error);
    insert.BindText(5, row.event_digest);
    insert.BindText(6, row.result_digest);
    const int metrics = static_cast<int>(MetricDefinitions().size());
    for (int i = 0; i < metrics; ++i) {
      const auto at = static_cast<size_t>(i);
      if (at < row.values.size() && !std::isnan(row.values[at])) {
        insert.BindReal(kFixedColumns + i, row.values[at]);
      } else {
        insert.BindNull(kFixedColumns + i);
      }
    }
    insert.BindInt(kFixedColumns + metrics, reasons_id);
    const absl::Status status = insert.Step().status();
    insert.Reset();
    return status;
  }

  void ReadRow(const SqliteStatement& from, ResultRow* row) const {
    const absl::string_view key = from.Bytes(0);
    std::memcpy(row->key.data(), key.data(), std::min(key.size(), row->key.size()));
    row->build = std::string(from.Bytes(2));
    row->sets = std::string(from.Bytes(3));
    row->error = std::string(from.Bytes(4));
    row->event_digest = std::string(from.Bytes(5));
    row->result_digest = std::string(from.Bytes(6));
    const size_t metrics = MetricDefinitions().size();
    row->values.resize(metrics);
    for (size_t i = 0; i < metrics; ++i) {
      const int column = kFixedColumns + static_cast<int>(i);
      row->values[i] =
          from.IsNull(column) ? std::numeric_limits<double>::quiet_NaN() : from.Real(column);
    }
    row->absent = ParseReasons(from.Bytes(kFixedColumns + static_cast<int>(metrics) + 1), metrics);
  }

  absl::Status InTransaction(const std::function<absl::Status()>& work) {
    TIERSCOPE_RETURN_IF_ERROR(database.Execute("BEGIN IMMEDIATE"));
    absl::Status status = work();
    if (status.ok()) status = database.Execute("COMMIT");
    if (!status.ok()) database.Execute("ROLLBACK").IgnoreError();
    return status;
  }
};

ResultsStore::ResultsStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ResultsStore::ResultsStore(ResultsStore&&) noexcept = default;
ResultsStore& ResultsStore::operator=(ResultsStore&&) noexcept = default;
ResultsStore::~ResultsStore() = default;

absl::StatusOr<ResultsStore> ResultsStore::Open(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot make its folder (",
                                                   error.message(), "); give another --results"));
  }
  auto impl = std::make_unique<Impl>();
  TIERSCOPE_RETURN_IF_ERROR(TakeLock(path, impl->lock));
  absl::StatusOr<SqliteDatabase> database = SqliteDatabase::Open(path);
  if (!database.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be opened as a results file (",
                                                   database.status().message(),
                                                   "); give another --results"));
  }
  impl->database = *std::move(database);
  // A sweep killed before its tables were there left a database without any.
  const absl::StatusOr<std::string> first = impl->database.Text("SELECT name FROM sqlite_master");
  const bool fresh = first.ok() && first->empty();
  if (!fresh) TIERSCOPE_RETURN_IF_ERROR(CheckSchema(impl->database, path));
  TIERSCOPE_RETURN_IF_ERROR(
      impl->database.Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"));
  if (fresh) {
    TIERSCOPE_RETURN_IF_ERROR(
        impl->InTransaction([&impl] { return impl->database.Execute(CreateTables()); }));
  }
  TIERSCOPE_RETURN_IF_ERROR(impl->PrepareReading());
  TIERSCOPE_RETURN_IF_ERROR(impl->PrepareWriting());
  return ResultsStore(std::move(impl));
}

absl::StatusOr<ResultsStore> ResultsStore::OpenInMemory() {
  auto impl = std::make_unique<Impl>();
  TIERSCOPE_ASSIGN_OR_RETURN(impl->database, SqliteDatabase::Open(":memory:"));
  TIERSCOPE_RETURN_IF_ERROR(impl->database.Execute(CreateTables()));
  TIERSCOPE_RETURN_IF_ERROR(impl->PrepareReading());
  TIERSCOPE_RETURN_IF_ERROR(impl->PrepareWriting());
  return ResultsStore(std::move(impl));
}

absl::StatusOr<ResultsStore> ResultsStore::OpenWhole(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string bytes, ReadWhole(path));
  TIERSCOPE_ASSIGN_OR_RETURN(impl->database, SqliteDatabase::Deserialize(bytes));
  TIERSCOPE_RETURN_IF_ERROR(CheckSchema(impl->database, path));
  TIERSCOPE_RETURN_IF_ERROR(impl->PrepareReading());
  return ResultsStore(std::move(impl));
}

absl::Status ResultsStore::Put(const ResultRow& row) {
  return impl_->InTransaction([&] { return impl_->Insert(row); });
}

absl::StatusOr<bool> ResultsStore::Get(const ResultKey& key, ResultRow* row) const {
  impl_->select.BindBlob(1, key.data(), key.size());
  const absl::StatusOr<bool> found = impl_->select.Step();
  if (found.ok() && *found) impl_->ReadRow(impl_->select, row);
  impl_->select.Reset();
  return found;
}

absl::StatusOr<bool> ResultsStore::Has(const ResultKey& key) const {
  impl_->has.BindBlob(1, key.data(), key.size());
  const absl::StatusOr<bool> found = impl_->has.Step();
  impl_->has.Reset();
  return found;
}

absl::StatusOr<int64_t> ResultsStore::RowCount() const {
  TIERSCOPE_ASSIGN_OR_RETURN(SqliteStatement count,
                             impl_->database.Prepare("SELECT count(*) FROM results"));
  TIERSCOPE_RETURN_IF_ERROR(count.Step().status());
  return count.Int(0);
}

absl::StatusOr<int64_t> ResultsStore::RowCountOfOthers(const std::string& build) const {
  TIERSCOPE_ASSIGN_OR_RETURN(
      SqliteStatement count,
      impl_->database.Prepare("SELECT count(*) FROM results WHERE build <> ?"));
  count.BindText(1, build);
  TIERSCOPE_RETURN_IF_ERROR(count.Step().status());
  return count.Int(0);
}

absl::StatusOr<int64_t> ResultsStore::Merge(const ResultsStore& other) {
  TIERSCOPE_ASSIGN_OR_RETURN(
      SqliteStatement all,
      other.impl_->database.Prepare("SELECT results.*, reasons.text FROM results LEFT "
                                    "JOIN reasons ON reasons.id = results.absent"));
  int64_t added = 0;
  const auto copy_all = [&]() -> absl::Status {
    ResultRow row;
    for (;;) {
      TIERSCOPE_ASSIGN_OR_RETURN(const bool more, all.Step());
      if (!more) return absl::OkStatus();
      other.impl_->ReadRow(all, &row);
      TIERSCOPE_ASSIGN_OR_RETURN(const bool there, Has(row.key));
      if (there) continue;
      TIERSCOPE_RETURN_IF_ERROR(impl_->Insert(row));
      ++added;
    }
  };
  TIERSCOPE_RETURN_IF_ERROR(impl_->InTransaction(copy_all));
  return added;
}

absl::Status ResultsStore::WriteWhole(const std::string& path) const {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string bytes, impl_->database.Serialize());
  return WriteFileAtomically(path, bytes);
}

}  // namespace tierscope
