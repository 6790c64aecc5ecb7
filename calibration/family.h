// A kernel family under calibration: its rows, its formula, and the fit that keeps every fifth row
// out. Pure; thread-safe.
#ifndef TIERSCOPE_CALIBRATION_FAMILY_H_
#define TIERSCOPE_CALIBRATION_FAMILY_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

#include "calibration/kernel_table.h"
#include "calibration/robust_fit.h"
#include "scenarios/calibration.pb.h"

namespace tierscope {

// Predicted microseconds of row i of the family.
using RowPredictor = std::function<double(size_t row)>;

struct Family {
  std::string name;
  std::vector<FitParameter> parameters;
  std::vector<double> measured_us;  // [row], in the order of the table, all positive
  std::function<RowPredictor(const std::vector<double>& parameters)> bind;
  std::string table;  // file name
  std::string note;
};

// Rows of a family while they are read.
template <typename Row>
struct TimedRows {
  std::vector<Row> rows;
  std::vector<double> measured_us;
  void Add(const Row& row, double us) {
    rows.push_back(row);
    measured_us.push_back(us);
  }
};

// A family whose kernel parameters come from the fitted values by `from` and give nanoseconds of a
// row by `time_ns`.
template <typename Row, typename From, typename TimeNs>
Family MakeFamily(std::string name, const KernelTable& table, std::vector<FitParameter> parameters,
                  TimedRows<Row> timed, std::string note, From from, TimeNs time_ns) {
  Family family;
  family.name = std::move(name);
  family.parameters = std::move(parameters);
  family.measured_us = std::move(timed.measured_us);
  family.table = table.path().substr(table.path().find_last_of('/') + 1);
  family.note = std::move(note);
  const auto rows = std::make_shared<const std::vector<Row>>(std::move(timed.rows));
  family.bind = [rows, from, time_ns](const std::vector<double>& values) -> RowPredictor {
    return [rows, kernel = from(values), time_ns](size_t row) {
      return time_ns(kernel, (*rows)[row]) * 1e-3;
    };
  };
  return family;
}

struct FittedFamily {
  std::vector<double> values;  // as Family::parameters
  FitErrors errors;            // on the rows kept out
  int rows_fitted = 0;
};

// InvalidArgument when fewer rows than five times the parameters are there to fit.
absl::StatusOr<FittedFamily> FitFamily(const Family& family);

// The same rows at other parameters: all of them.
FitErrors ErrorsAt(const Family& family, const std::vector<double>& values);

FamilyFit Describe(const Family& family, const std::string& device, const FitErrors& errors,
                   int rows_fitted);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_FAMILY_H_
