#include "cli/calibrate_device.h"

#include <sched.h>

#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/verb.h"

#include "calibration/device_profile.h"
#include "real/cpu_backend.h"
#include "real/device_measure.h"
#include "reports/atomic_file.h"
#include "scenarios/loader.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

absl::StatusOr<std::unique_ptr<Backend>> MakeBackend(const std::string& name) {
  if (name == "cpu") return MakeCpuBackend({});
  return absl::InvalidArgumentError(
      absl::StrCat("--backend: no backend '", OneLine(name), "' in this build; there is cpu"));
}

// Whether other processes could take the processors away meanwhile.
const char* Scheduling() {
  const int policy = sched_getscheduler(0);
  return policy == SCHED_FIFO || policy == SCHED_RR ? "real-time scheduling" : "shared processors";
}

// When, with what and how often; no name of a machine.
std::string Taken(const DeviceDescription& device, int rounds) {
  return absl::StrCat(absl::FormatTime("%Y-%m-%d", absl::Now(), absl::UTCTimeZone()),
                      ", tierscope " TIERSCOPE_VERSION ", backend ", device.backend, ", ",
                      device.core_count, " threads of decode and ", device.sideband_core_count,
                      " of the side-band, ", Scheduling(), ", medians of ", rounds, " rounds");
}

}  // namespace

absl::StatusOr<Hardware> CalibrateDevice(const DeviceCalibration& options) {
  TIERSCOPE_ASSIGN_OR_RETURN(const Scenario scenario, LoadScenario(options.scenario, {}));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> backend, MakeBackend(options.backend));
  DeviceMeasureOptions measure;
  measure.grid = DefaultOpGrid(scenario.model());
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
