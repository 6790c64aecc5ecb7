// What a serving engine adds to the kernels of a step, from published rates:
//
//   step = base + per_request * requests + kernels
//
// base (ms) is what each step costs whatever the batch (scheduler, launches, sampling), per_request
// what each request adds. The two constants, 0 or more, are those that make the worst relative
// error of the rates smallest. Pure; thread-safe.
#ifndef TIERSCOPE_CALIBRATION_ENGINE_FIT_H_
#define TIERSCOPE_CALIBRATION_ENGINE_FIT_H_

#include <vector>

namespace tierscope {

struct ServingRow {
  double requests = 0.0;
  double kernels_ms = 0.0;
  double tok_per_s = 0.0;  // published
};

struct EngineFit {
  double base_ms = 0.0;
  double per_request_ms = 0.0;
};

// Precondition: at least one row, all values positive.
EngineFit FitEngine(const std::vector<ServingRow>& rows);

// predicted / published - 1 of one row.
double RateError(const EngineFit& fit, const ServingRow& row);

// Of each row, its error under the fit to all the others. Precondition: at least two rows.
std::vector<double> LeaveOneOut(const std::vector<ServingRow>& rows);

// Kendall's tau of two rankings: (concordant - discordant pairs) / pairs; ties count neither way.
double KendallTau(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_ENGINE_FIT_H_
