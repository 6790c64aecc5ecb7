// The results of a sweep: one SQLite file, a row a point, found by the digest of all that the
// point's result depends on. Rows are only added, each in its own transaction, so that a killed
// sweep keeps every point it finished and a widened one runs what is new.
//
// The file is in WAL mode: readers do not wait for the sweep. A killed process loses nothing that
// was put; a power cut can lose the last rows, never the file (synchronous=NORMAL). One writer,
// kept by a lock on `<file>.lock`. Not thread-safe. Cost: some 30 us and 1.2 KB a row.
#ifndef TIERSCOPE_REPORTS_RESULTS_STORE_H_
#define TIERSCOPE_REPORTS_RESULTS_STORE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "reports/schema/result.pb.h"

namespace tierscope {

using ResultKey = std::array<uint8_t, 16>;

// What a sweep keeps of a run.
struct ResultRow {
  ResultKey key{};
  std::string build;  // what computed it
  std::string sets;   // --set arguments that distinguish the point, for people
  std::string error;  // the point cannot run: the reason, and no values
  std::string event_digest;
  std::string result_digest;  // of result.json, byte for byte
  // In the order of MetricDefinitions(); NaN where there is no value, and then the reason.
  std::vector<double> values;
  std::vector<std::string> absent;
};

// The row of a finished run; `result_json` is its result.json.
ResultRow MakeResultRow(const RunResult& result, const std::string& result_json);

class ResultsStore {
 public:
  ResultsStore(ResultsStore&&) noexcept;
  ResultsStore& operator=(ResultsStore&&) noexcept;
  ~ResultsStore();

  // Opens or makes the file and locks it. Errors, nothing written: another process holds the lock,
  // it is no results file, it has another schema.
  static absl::StatusOr<ResultsStore> Open(const std::string& path);
  // In memory only.
  static absl::StatusOr<ResultsStore> OpenInMemory();
  // What WriteWhole wrote, read whole into memory.
  static absl::StatusOr<ResultsStore> OpenWhole(const std::string& path);

  // One transaction. A row that is there already is left as it is, but for its count of
  // computations.
  absl::Status Put(const ResultRow& row);
  // Found: fills `row` and returns true.
  absl::StatusOr<bool> Get(const ResultKey& key, ResultRow* row) const;
  absl::StatusOr<bool> Has(const ResultKey& key) const;
  absl::StatusOr<int64_t> RowCount() const;
  // Rows that another build than `build` computed.
  absl::StatusOr<int64_t> RowCountOfOthers(const std::string& build) const;
  // Adds the rows of `other` that are not here, in one transaction; returns how many.
  absl::StatusOr<int64_t> Merge(const ResultsStore& other);
  // The database as a file, written whole under another name and renamed: safe on a shared file
  // system, where SQLite's own locks are not.
  absl::Status WriteWhole(const std::string& path) const;

 private:
  class Impl;
  explicit ResultsStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_RESULTS_STORE_H_
