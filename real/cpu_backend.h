// The backend that needs no GPU: the ops in float on the CPU (kernels/cpu_kernels.h), a "device"
// arena and a "host" arena both in this machine's memory, and real copies between them. An op runs
// on the calling thread and its stream's share of the cores, and is done when the call returns.
//
// The streams share cores, caches and memory as two processes would: nothing keeps the side-band
// from slowing the decode stream but `sideband_threads`.
#ifndef TIERSCOPE_REAL_CPU_BACKEND_H_
#define TIERSCOPE_REAL_CPU_BACKEND_H_

#include <memory>

#include "absl/status/statusor.h"

#include "real/backend.h"

namespace tierscope {

struct CpuBackendOptions {
  int32_t decode_threads = 0;    // 0: all cores this process may use
  int32_t sideband_threads = 1;  // its own arena of threads
  // Most bytes of all allocations together; 0: 90 % of what the machine has available at the start.
  int64_t memory_bytes_max = 0;
};

// Error: options out of range (0..1024 threads, at least 1 for the side-band).
absl::StatusOr<std::unique_ptr<Backend>> MakeCpuBackend(const CpuBackendOptions& options);

// Memory that a process can still take without swapping: MemAvailable, less where a control group
// allows less. 0 where the system does not say.
int64_t AvailableMemoryBytes();

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CPU_BACKEND_H_
