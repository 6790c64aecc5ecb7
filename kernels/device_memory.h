// Device and pinned host memory without CUDA's headers, for tests, benchmarks and the real backend.
#ifndef TIERSCOPE_KERNELS_DEVICE_MEMORY_H_
#define TIERSCOPE_KERNELS_DEVICE_MEMORY_H_

#include <cstddef>

#include "kernels/kernel_status.h"

namespace tierscope {

// Null when there is none left. Aligned to 256 B.
void* AllocateDevice(size_t byte_count);
void FreeDevice(void* memory);
void* AllocatePinned(size_t byte_count);
void FreePinned(void* memory);

// Blocking copies.
KernelStatus CopyToDevice(void* to, const void* from, size_t byte_count);
KernelStatus CopyToHost(void* to, const void* from, size_t byte_count);
KernelStatus FillDevice(void* memory, int byte, size_t byte_count);

// A stream of its own, of the device's lowest priority when asked; null when there is none.
CUstream_st* CreateStream(bool low_priority);
void DestroyStream(CUstream_st* stream);

// Waits for everything launched so far; the first error of any of it.
KernelStatus FinishDevice();

// Ok where a launcher of this folder can run: a device, a driver, compute capability 8.0.
KernelStatus CheckDevice();

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_DEVICE_MEMORY_H_
