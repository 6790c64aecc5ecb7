#include "reports/sqlite.h"

#include <cstring>

#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

absl::Status SqliteError(sqlite3* handle, int code) {
  const char* words = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(words);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return absl::DataLossError(words);
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(words);
    default:
      return absl::FailedPreconditionError(words);
  }
}

}  // namespace

// Binding fails only on a wrong index or without memory: bugs of ours or the end.
void SqliteStatement::BindBlob(int index, const void* bytes, size_t size) {
  TIERSCOPE_CHECK(sqlite3_bind_blob(statement_.get(), index, bytes, static_cast<int>(size),
                                    SQLITE_STATIC) == SQLITE_OK);
}
void SqliteStatement::BindText(int index, absl::string_view text) {
  TIERSCOPE_CHECK(sqlite3_bind_text(statement_.get(), index, text.data(),
                                    static_cast<int>(text.size()), SQLITE_STATIC) == SQLITE_OK);
}
void SqliteStatement::BindReal(int index, double value) {
  TIERSCOPE_CHECK(sqlite3_bind_double(statement_.get(), index, value) == SQLITE_OK);
}
void SqliteStatement::BindInt(int index, int64_t value) {
  TIERSCOPE_CHECK(sqlite3_bind_int64(statement_.get(), index, value) == SQLITE_OK);
}
void SqliteStatement::BindNull(int index) {
  TIERSCOPE_CHECK(sqlite3_bind_null(statement_.get(), index) == SQLITE_OK);
}

absl::StatusOr<bool> SqliteStatement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return SqliteError(sqlite3_db_handle(statement_.get()), code);
}

void SqliteStatement::Reset() { sqlite3_reset(statement_.get()); }

bool SqliteStatement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}
double SqliteStatement::Real(int column) const {
  return sqlite3_column_double(statement_.get(), column);
}
int64_t SqliteStatement::Int(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}
absl::string_view SqliteStatement::Bytes(int column) const {
  const void* bytes = sqlite3_column_blob(statement_.get(), column);
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column));
  return {static_cast<const char*>(bytes), bytes == nullptr ? 0 : size};
}

absl::StatusOr<SqliteDatabase> SqliteDatabase::Open(const std::string& path) {
  SqliteDatabase database;
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  database.handle_.reset(handle);
  if (code != SQLITE_OK) return SqliteError(handle, code);
  return database;
}

absl::Status SqliteDatabase::Execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : SqliteError(handle_.get(), code);
}

absl::StatusOr<SqliteStatement> SqliteDatabase::Prepare(const std::string& sql) const {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(handle_.get(), sql.c_str(), -1, &statement, nullptr);
  if (code != SQLITE_OK) return SqliteError(handle_.get(), code);
  return SqliteStatement(statement);
}

absl::StatusOr<std::string> SqliteDatabase::Text(const std::string& sql) const {
  TIERSCOPE_ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  TIERSCOPE_ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? std::string(statement.Bytes(0)) : std::string();
}

absl::StatusOr<std::string> SqliteDatabase::Serialize() const {
  sqlite3_int64 size = 0;
  unsigned char* bytes = sqlite3_serialize(handle_.get(), "main", &size, 0);
  if (bytes == nullptr) return absl::ResourceExhaustedError("no memory to write the results whole");
  std::string text(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  sqlite3_free(bytes);
  return text;
}

absl::StatusOr<SqliteDatabase> SqliteDatabase::Deserialize(const std::string& bytes) {
  TIERSCOPE_ASSIGN_OR_RETURN(SqliteDatabase database, Open(":memory:"));
  auto* copy = static_cast<unsigned char*>(sqlite3_malloc64(bytes.size()));
  if (copy == nullptr) return absl::ResourceExhaustedError("no memory to read the file");
  std::memcpy(copy, bytes.data(), bytes.size());
  const auto size = static_cast<sqlite3_int64>(bytes.size());
  const int code =
      sqlite3_deserialize(database.handle_.get(), "main", copy, size, size,
                          SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
  if (code != SQLITE_OK) return SqliteError(database.handle_.get(), code);
  return database;
}

}  // namespace tierscope
