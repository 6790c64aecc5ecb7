// The published results that `tierscope validate` predicts (facts on FlashMemory-DeepSeek-V4, arXiv
// 2606.09079, and the host link), row by row.
#ifndef TIERSCOPE_CLI_VALIDATE_ROWS_H_
#define TIERSCOPE_CLI_VALIDATE_ROWS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/published_row.h"

#include "calibration/engine_fit.h"

namespace tierscope::cli {

// Six published decode rates on one card, the engine constants fitted to them, and what the kernels
// of a step are predicted to take.
struct ServingValidation {
  std::string hardware;
  std::string top_k;              // version and distribution of scores of the top-k kernel
  double expert_tile_rows = 0.0;  // of experts with fewer than 8 bits
  EngineFit used;  // the preset's constants as shipped; for another choice, the fit to its kernels
  // By row: under `used`, and of each row under the fit to the others.
  std::vector<double> errors, left_out_errors;
  double kendall_tau = 0.0;  // of predicted against published rates
  double worst_error() const;
  double worst_left_out() const;
};

struct Validation {
  std::vector<PublishedRow> rows;
  std::vector<ServingValidation> serving;  // as shipped first, then other choices by name
};

absl::StatusOr<Validation> Validate();

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_VALIDATE_ROWS_H_
