// What `tierscope calibrate` and --model-config read: tables of kernel timings, a model's config.
#include <cmath>
#include <string>

#include "absl/status/statusor.h"

#include "calibration/kernel_table.h"
#include "calibration/model_config.h"
#include "sim/base/check.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"

namespace tierscope::testing {

void FuzzKernelTable(absl::string_view input) {
  static MemoryFile file;
  const std::string& path = file.Fill(input);
  const absl::StatusOr<KernelTable> table = KernelTable::Read(path, {"m", "latency"});
  if (!table.ok()) return CheckError(table.status(), path);
  for (size_t row = 0; row < table->rows(); ++row) {
    const absl::StatusOr<double> number = table->Number(row, "m");
    TIERSCOPE_CHECK(!number.ok() || std::isfinite(*number));
    if (!number.ok()) CheckError(number.status(), path);
    Cells cells(*table, row);
    const double positive = cells.Positive("latency");
    TIERSCOPE_CHECK(cells.status().ok() ? positive > 0 && positive <= 1e15 : positive == 0);
  }
}

void FuzzModelConfig(absl::string_view input) {
  const absl::StatusOr<std::string> preset =
      ModelPresetFromConfig(std::string(input), "config.json");
  if (!preset.ok()) CheckError(preset.status(), "config.json");
}

}  // namespace tierscope::testing
