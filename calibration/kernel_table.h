// A CSV table of kernel timings: a header of column names, then rows of plain values (no quotes).
// Reads whole files of bounded size; errors name file and line. Not thread-safe while being read.
#ifndef TIERSCOPE_CALIBRATION_KERNEL_TABLE_H_
#define TIERSCOPE_CALIBRATION_KERNEL_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tierscope {

inline constexpr size_t kTableBytesMax = size_t{64} << 20;
inline constexpr size_t kTableRowsMax = 1'000'000;

class KernelTable {
 public:
  // NotFound when the file cannot be opened; InvalidArgument when it is too large, empty, lacks one
  // of `columns`, or a row has another number of cells than the header. Columns beyond `columns`
  // are kept: a `device` column, where there is one, says which card was measured.
  static absl::StatusOr<KernelTable> Read(const std::string& path,
                                          const std::vector<std::string>& columns);

  const std::string& path() const { return path_; }
  const std::string& sha256() const { return sha256_; }
  size_t rows() const { return cells_.size(); }
  bool HasColumn(absl::string_view column) const { return ColumnIndex(column) >= 0; }

  // Precondition: the column exists.
  const std::string& Text(size_t row, absl::string_view column) const;
  // A finite number. InvalidArgument with file, line and column otherwise.
  absl::StatusOr<double> Number(size_t row, absl::string_view column) const;

  // InvalidArgument: "<path>:<line of the row>: <problem>".
  absl::Status Error(size_t row, absl::string_view problem) const;

 private:
  int ColumnIndex(absl::string_view column) const;

  std::string path_;
  std::string sha256_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> cells_;  // [row][column]
  std::vector<int> lines_;                       // of each row, from 1
};

// Numbers of one row, by column: finite, 0 or more, at most 1e15. The first cell that is not is the
// status, and counts as 0.
class Cells {
 public:
  Cells(const KernelTable& table, size_t row) : table_(table), row_(row) {}
  double operator[](absl::string_view column) { return Checked(column, /*positive=*/false); }
  double Positive(absl::string_view column) { return Checked(column, /*positive=*/true); }
  const absl::Status& status() const { return status_; }

 private:
  double Checked(absl::string_view column, bool positive);

  const KernelTable& table_;
  size_t row_;
  absl::Status status_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_KERNEL_TABLE_H_
