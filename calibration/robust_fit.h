// Bounded robust least squares: parameters of a formula that make predicted / measured close to 1.
//
// Minimises sum over rows of rho(log(predicted / measured)), rho(r) = 2 d^2 (sqrt(1 + (r/d)^2) - 1)
// ("soft L1", d = 0.1: beyond about 10 % an error counts linearly, so that a bad row does not
// decide), over log parameters within bounds, by Levenberg-Marquardt with numeric derivatives. Same
// input, same bits: own exp and log, no random start. Pure; thread-safe.
#ifndef TIERSCOPE_CALIBRATION_ROBUST_FIT_H_
#define TIERSCOPE_CALIBRATION_ROBUST_FIT_H_

#include <functional>
#include <string>
#include <vector>

namespace tierscope {

struct FitParameter {
  std::string name;
  double start = 1.0;  // all positive, min <= start <= max
  double min = 0.0;
  double max = 0.0;
};

// Predictions of all rows at some parameters, in the unit of the measured values; positive.
using Predict = std::function<std::vector<double>(const std::vector<double>& parameters)>;

// Precondition: predictions have the size of `measured`, all positive.
std::vector<double> FitRobust(const std::vector<FitParameter>& parameters,
                              const std::vector<double>& measured, const Predict& predict);

struct FitErrors {
  int rows = 0;
  double median = 0.0, p90 = 0.0, worst = 0.0;  // of |predicted / measured - 1|
  double bias = 0.0;                            // median of predicted / measured - 1
};
FitErrors ErrorsOf(const std::vector<double>& predicted, const std::vector<double>& measured);

// Whether a row takes no part in the fit: every fifth, counting the rows in use from 0 in the order
// of their tables.
inline bool IsKeptOut(size_t row) { return row % 5 == 4; }

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_ROBUST_FIT_H_
