#include "real/device_state.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "real/shared_library.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

// The part of NVML that is used; its header comes with few toolkits. Values as in its reference.
using Device = void*;
enum Clock { kSmClock = 1, kMemoryClock = 2 };
constexpr int kSuccess = 0;

struct Nvml {
  int (*init)() = nullptr;
  int (*by_pci_bus_id)(const char*, Device*) = nullptr;
  int (*clock_info)(Device, int, unsigned*) = nullptr;
  int (*clock_reasons)(Device, unsigned long long*) = nullptr;
  int (*temperature)(Device, int, unsigned*) = nullptr;
  int (*power_usage)(Device, unsigned*) = nullptr;
  int (*driver_version)(char*, unsigned) = nullptr;
};

absl::StatusOr<Nvml> Load() {
  TIERSCOPE_ASSIGN_OR_RETURN(const SharedLibrary library,
                             SharedLibrary::Open("NVML", "nvmlInit_v2", {"libnvidia-ml.so.1"},
                                                 "it comes with the driver"));
  Nvml nvml;
  TIERSCOPE_RETURN_IF_ERROR(library.Find("nvmlInit_v2", &nvml.init));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("nvmlDeviceGetHandleByPciBusId_v2", &nvml.by_pci_bus_id));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("nvmlDeviceGetClockInfo", &nvml.clock_info));
  TIERSCOPE_RETURN_IF_ERROR(
      library.Find("nvmlDeviceGetCurrentClocksThrottleReasons", &nvml.clock_reasons));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("nvmlDeviceGetTemperature", &nvml.temperature));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("nvmlDeviceGetPowerUsage", &nvml.power_usage));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("nvmlSystemGetDriverVersion", &nvml.driver_version));
  if (const int code = nvml.init(); code != kSuccess) {
    return absl::UnavailableError(absl::StrCat("NVML: nvmlInit answers ", code));
  }
  return nvml;
}

const absl::StatusOr<Nvml>& Loaded() {
  static const auto& nvml = *new absl::StatusOr<Nvml>(Load());
  return nvml;
}

std::string ReasonsText(unsigned long long reasons) {
  constexpr std::pair<unsigned, const char*> kReasons[] = {{0, "idle"},
                                                           {1, "application clocks"},
                                                           {2, "software power cap"},
                                                           {3, "hardware slowdown"},
                                                           {4, "sync boost"},
                                                           {5, "software thermal slowdown"},
                                                           {6, "hardware thermal slowdown"},
                                                           {7, "hardware power brake"},
                                                           {8, "display clock"}};
  std::string text;
  for (const auto& [bit, name] : kReasons) {
    if ((reasons >> bit & 1) != 0) absl::StrAppend(&text, text.empty() ? "" : ", ", name);
  }
  return text.empty() ? "nothing" : text;
}

std::string OrUnknown(int code, const std::string& value) {
  return code == kSuccess ? value : std::string("unknown");
}

}  // namespace

std::string DeviceStateAt(const std::string& pci_bus_id) {
  const absl::StatusOr<Nvml>& nvml = Loaded();
  if (!nvml.ok()) return absl::StrCat("not known: ", nvml.status().message());
  Device device = nullptr;
  if (const int code = nvml->by_pci_bus_id(pci_bus_id.c_str(), &device); code != kSuccess) {
    return absl::StrCat("not known: NVML answers ", code, " for the device");
  }
  unsigned sm = 0, memory = 0, celsius = 0, milliwatts = 0;
  unsigned long long reasons = 0;
  const int sm_code = nvml->clock_info(device, kSmClock, &sm);
  const int memory_code = nvml->clock_info(device, kMemoryClock, &memory);
  const int celsius_code = nvml->temperature(device, 0, &celsius);
  const int power_code = nvml->power_usage(device, &milliwatts);
  const int reasons_code = nvml->clock_reasons(device, &reasons);
  return absl::StrCat("SM clock ", OrUnknown(sm_code, absl::StrCat(sm)), " MHz, memory clock ",
                      OrUnknown(memory_code, absl::StrCat(memory)), " MHz, ",
                      OrUnknown(celsius_code, absl::StrCat(celsius)), " C, ",
                      OrUnknown(power_code, absl::StrFormat("%.1f", milliwatts / 1e3)),
                      " W, clocks held down by ", OrUnknown(reasons_code, ReasonsText(reasons)));
}

std::string DriverVersion() {
  const absl::StatusOr<Nvml>& nvml = Loaded();
  char text[96] = {};
  if (!nvml.ok() || nvml->driver_version(text, sizeof text) != kSuccess) return "";
  return text;
}

}  // namespace tierscope
