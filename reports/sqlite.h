// SQLite behind statuses: a connection and its prepared statements. One thread at a time.
#ifndef TIERSCOPE_REPORTS_SQLITE_H_
#define TIERSCOPE_REPORTS_SQLITE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tierscope {

class SqliteStatement {
 public:
  SqliteStatement() = default;
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}

  // Parameters count from 1. The bytes live until the next Reset.
  void BindBlob(int index, const void* bytes, size_t size);
  void BindText(int index, absl::string_view text);
  void BindReal(int index, double value);
  void BindInt(int index, int64_t value);
  void BindNull(int index);

  // True while there is a row.
  absl::StatusOr<bool> Step();
  void Reset();

  // Columns count from 0.
  bool IsNull(int column) const;
  double Real(int column) const;
  int64_t Int(int column) const;
  absl::string_view Bytes(int column) const;

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

class SqliteDatabase {
 public:
  // `path`: a file, or ":memory:".
  static absl::StatusOr<SqliteDatabase> Open(const std::string& path);

  absl::Status Execute(const std::string& sql);
  absl::StatusOr<SqliteStatement> Prepare(const std::string& sql) const;
  // The single value of a query as text; "" where there is no row or a NULL.
  absl::StatusOr<std::string> Text(const std::string& sql) const;

  // The whole database as bytes, and the other way round (read-only).
  absl::StatusOr<std::string> Serialize() const;
  static absl::StatusOr<SqliteDatabase> Deserialize(const std::string& bytes);

 private:
  struct Closer {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::unique_ptr<sqlite3, Closer> handle_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_SQLITE_H_
