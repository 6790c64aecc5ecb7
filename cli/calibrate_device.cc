#include "cli/calibrate_device.h"

#include <sched.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/backend.h"
#include "cli/verb.h"

#include "calibration/device_profile.h"
#include "real/device_measure.h"
#include "reports/atomic_file.h"
#include "scenarios/loader.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

// Whether other processes could take the processors away meanwhile.
const char* Scheduling() {
  const int policy = sched_getscheduler(0);
  return policy == SCHED_FIFO || policy == SCHED_RR ? "real-time scheduling" : "shared processors";
}

// When, with what and how often; no name of a machine.
std::string Taken(const DeviceDescription& device, int rounds) {
  const std::string cores = device.software.empty()
                                ? absl::StrCat(device.core_count, " threads of decode and ",
                                               device.sideband_core_count, " of the side-band")
                                : absl::StrCat(device.core_count, " SMs, ", device.software);
  return absl::StrCat(absl::FormatTime("%Y-%m-%d", absl::Now(), absl::UTCTimeZone()),
                      ", tierscope " TIERSCOPE_VERSION ", backend ", device.backend, ", ", cores,
                      ", ", Scheduling(), ", medians of ", rounds, " rounds");
}

}  // namespace

absl::StatusOr<Hardware> CalibrateDevice(const DeviceCalibration& options) {
  const std::filesystem::path folder =
      std::filesystem::absolute(options.out).lexically_normal().parent_path();
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    return absl::NotFoundError(absl::StrCat(options.out, ": there is no folder ", folder.string(),
                                            "; make it before anything is measured"));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const Scenario scenario, LoadScenario(options.scenario, {}));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> backend,
                             MakeBackend({options.backend, {}, {}}));
  DeviceMeasureOptions measure;
  measure.grid =
      options.backend == "cuda" ? GpuOpGrid(scenario.model()) : DefaultOpGrid(scenario.model());
  measure.rounds = options.rounds;
  const auto begin = std::chrono::steady_clock::now();
  measure.progress = [&](int32_t round) {
    const double passed_s =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::fprintf(stderr, "calibrate: round %d of %d, %.0f s\n", round, options.rounds, passed_s);
  };
  TIERSCOPE_ASSIGN_OR_RETURN(Hardware hardware, MeasureDevice(backend.get(), scenario, measure));
  SealProfile(Taken(backend->device(), options.rounds), &hardware);
  const std::string command =
      absl::StrCat("tierscope calibrate --backend=", options.backend, " --rounds=", options.rounds);
  TIERSCOPE_RETURN_IF_ERROR(WriteFileAtomically(options.out, ProfileText(hardware, command)));
  return hardware;
}

}  // namespace tierscope::cli
