#include "calibration/robust_fit.h"

#include <algorithm>
#include <cmath>

#include "Eigen/Dense"

#include "sim/base/check.h"
#include "sim/base/det_math.h"

namespace tierscope {
namespace {

constexpr double kSoft = 0.1;             // where an error starts to count linearly
constexpr double kDerivativeStep = 1e-4;  // in log parameters
constexpr int kIterationsMax = 100;
constexpr int kDampingTries = 10;
constexpr double kConverged = 1e-10;  // relative gain of a step

class Problem {
 public:
  Problem(const std::vector<double>& measured, const Predict& predict) : predict_(predict) {
    for (const double value : measured) log_measured_.push_back(DetLog(value));
  }

  Eigen::VectorXd Residuals(const Eigen::VectorXd& log_parameters) const {
    std::vector<double> parameters;
    for (const double value : log_parameters) parameters.push_back(DetExp(value));
    const std::vector<double> predicted = predict_(parameters);
    TIERSCOPE_CHECK(predicted.size() == log_measured_.size());
    Eigen::VectorXd residuals(static_cast<Eigen::Index>(predicted.size()));
    for (size_t i = 0; i < predicted.size(); ++i) {
      residuals[static_cast<Eigen::Index>(i)] = DetLog(predicted[i]) - log_measured_[i];
    }
    return residuals;
  }

 private:
  const Predict& predict_;
  std::vector<double> log_measured_;
};

double Weight(double r) { return 1.0 / std::sqrt(1.0 + r * r / (kSoft * kSoft)); }

double Cost(const Eigen::VectorXd& residuals) {
  double cost = 0.0;
  for (const double r : residuals) {
    cost += 2.0 * kSoft * kSoft * (std::sqrt(1.0 + r * r / (kSoft * kSoft)) - 1.0);
  }
  return cost;
}

Eigen::MatrixXd Jacobian(const Problem& problem, const Eigen::VectorXd& at,
                         const Eigen::VectorXd& max, const Eigen::VectorXd& residuals) {
  Eigen::MatrixXd jacobian(residuals.size(), at.size());
  for (Eigen::Index j = 0; j < at.size(); ++j) {
    const double step = at[j] + kDerivativeStep > max[j] ? -kDerivativeStep : kDerivativeStep;
    Eigen::VectorXd moved = at;
    moved[j] += step;
    jacobian.col(j) = (problem.Residuals(moved) - residuals) / step;
  }
  return jacobian;
}

Eigen::VectorXd LogOf(const std::vector<FitParameter>& parameters, double FitParameter::*member) {
  Eigen::VectorXd values(static_cast<Eigen::Index>(parameters.size()));
  for (size_t i = 0; i < parameters.size(); ++i) {
    values[static_cast<Eigen::Index>(i)] = DetLog(parameters[i].*member);
  }
  return values;
}

}  // namespace

std::vector<double> FitRobust(const std::vector<FitParameter>& parameters,
                              const std::vector<double>& measured, const Predict& predict) {
  const Problem problem(measured, predict);
  const Eigen::VectorXd min = LogOf(parameters, &FitParameter::min);
  const Eigen::VectorXd max = LogOf(parameters, &FitParameter::max);
  Eigen::VectorXd at = LogOf(parameters, &FitParameter::start);
  Eigen::VectorXd residuals = problem.Residuals(at);
  double cost = Cost(residuals);
  double damping = 1e-2;
  for (int iteration = 0; iteration < kIterationsMax; ++iteration) {
    const Eigen::MatrixXd jacobian = Jacobian(problem, at, max, residuals);
    const Eigen::VectorXd weights = residuals.unaryExpr(&Weight);
    const Eigen::MatrixXd normal = jacobian.transpose() * weights.asDiagonal() * jacobian;
    const Eigen::VectorXd gradient = jacobian.transpose() * weights.cwiseProduct(residuals);
    double gain = 0.0;
    for (int attempt = 0; attempt < kDampingTries && gain == 0.0; ++attempt) {
      Eigen::MatrixXd damped = normal;
      damped.diagonal().array() += damping * (normal.diagonal().array() + 1e-9);
      const Eigen::VectorXd moved =
          (at - damped.ldlt().solve(gradient)).cwiseMax(min).cwiseMin(max);
      const Eigen::VectorXd moved_residuals = problem.Residuals(moved);
      const double moved_cost = Cost(moved_residuals);
      if (moved_cost < cost) {
        gain = (cost - moved_cost) / cost;
        at = moved;
        residuals = moved_residuals;
        cost = moved_cost;
        damping = std::max(damping / 3.0, 1e-9);
      } else {
        damping *= 4.0;
      }
    }
    if (gain < kConverged) break;
  }
  std::vector<double> fitted;
  for (const double value : at) fitted.push_back(DetExp(value));
  return fitted;
}

FitErrors ErrorsOf(const std::vector<double>& predicted, const std::vector<double>& measured) {
  TIERSCOPE_CHECK(predicted.size() == measured.size());
  FitErrors errors;
  errors.rows = static_cast<int>(measured.size());
  if (measured.empty()) return errors;
  std::vector<double> signed_errors, absolute;
  for (size_t i = 0; i < measured.size(); ++i) {
    signed_errors.push_back(predicted[i] / measured[i] - 1.0);
    absolute.push_back(std::abs(signed_errors.back()));
  }
  std::sort(signed_errors.begin(), signed_errors.end());
  std::sort(absolute.begin(), absolute.end());
  const size_t n = absolute.size();
  errors.median = absolute[n / 2];
  errors.p90 = absolute[n * 9 / 10];
  errors.worst = absolute.back();
  errors.bias = signed_errors[n / 2];
  return errors;
}

}  // namespace tierscope
