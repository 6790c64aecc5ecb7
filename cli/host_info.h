// What machine this is, for host.json.
#ifndef TIERSCOPE_CLI_HOST_INFO_H_
#define TIERSCOPE_CLI_HOST_INFO_H_

#include <cstdint>
#include <string>

namespace tierscope::cli {

// The first "model name" of /proc/cpuinfo; "unknown" where there is none.
std::string CpuModelName();

// The process's peak resident set so far.
int64_t PeakRssBytes();

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_HOST_INFO_H_
