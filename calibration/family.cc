#include "calibration/family.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace tierscope {
namespace {

constexpr size_t kRowsPerParameter = 3;

std::vector<double> Picked(const std::vector<double>& values, const std::vector<size_t>& rows) {
  std::vector<double> picked;
  for (const size_t row : rows) picked.push_back(values[row]);
  return picked;
}

std::vector<double> PredictedAt(const Family& family, const std::vector<double>& parameters,
                                const std::vector<size_t>& rows) {
  const RowPredictor predictor = family.bind(parameters);
  std::vector<double> predicted;
  for (const size_t row : rows) predicted.push_back(predictor(row));
  return predicted;
}

}  // namespace

absl::StatusOr<FittedFamily> FitFamily(const Family& family) {
  std::vector<size_t> fitted, kept_out;
  for (size_t row = 0; row < family.measured_us.size(); ++row) {
    (IsKeptOut(row) ? kept_out : fitted).push_back(row);
  }
  if (fitted.size() < kRowsPerParameter * family.parameters.size() || kept_out.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(family.table, ": ", family.measured_us.size(), " usable rows for the ",
                     family.parameters.size(), " parameters of ", family.name, "; give at least ",
                     (kRowsPerParameter * family.parameters.size() * 5 + 3) / 4));
  }
  FittedFamily result;
  result.rows_fitted = static_cast<int>(fitted.size());
  result.values =
      FitRobust(family.parameters, Picked(family.measured_us, fitted),
                [&](const std::vector<double>& p) { return PredictedAt(family, p, fitted); });
  result.errors =
      ErrorsOf(PredictedAt(family, result.values, kept_out), Picked(family.measured_us, kept_out));
  return result;
}

FitErrors ErrorsAt(const Family& family, const std::vector<double>& values) {
  std::vector<size_t> all(family.measured_us.size());
  for (size_t row = 0; row < all.size(); ++row) all[row] = row;
  return ErrorsOf(PredictedAt(family, values, all), family.measured_us);
}

FamilyFit Describe(const Family& family, const std::string& device, const FitErrors& errors,
                   int rows_fitted) {
  FamilyFit fit;
  fit.set_family(family.name);
  fit.set_device(device);
  fit.set_rows_fitted(rows_fitted);
  fit.set_rows_kept_out(errors.rows);
  fit.set_median_error(errors.median);
  fit.set_p90_error(errors.p90);
  fit.set_worst_error(errors.worst);
  fit.set_bias(errors.bias);
  fit.add_tables(family.table);
  if (!family.note.empty()) fit.set_note(family.note);
  return fit;
}

}  // namespace tierscope
