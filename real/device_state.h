// Clocks, temperature, power and what holds the clocks down, as the driver's management library
// (NVML) says. Looked up at run time; where it is missing the line says so. Changes nothing.
#ifndef TIERSCOPE_REAL_DEVICE_STATE_H_
#define TIERSCOPE_REAL_DEVICE_STATE_H_

#include <string>

namespace tierscope {

// Of the device at a PCI address ("0000:17:00.0"), one line.
std::string DeviceStateAt(const std::string& pci_bus_id);
// Version of the driver; "" where it is not known.
std::string DriverVersion();

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_DEVICE_STATE_H_
