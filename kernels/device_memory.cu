#include "kernels/device.cuh"
#include "kernels/device_memory.h"

namespace tierscope {

void* AllocateDevice(size_t byte_count) {
  void* memory = nullptr;
  return cudaMalloc(&memory, byte_count) == cudaSuccess ? memory : nullptr;
}
void FreeDevice(void* memory) { static_cast<void>(cudaFree(memory)); }

void* AllocatePinned(size_t byte_count) {
  void* memory = nullptr;
  return cudaMallocHost(&memory, byte_count) == cudaSuccess ? memory : nullptr;
}
void FreePinned(void* memory) { static_cast<void>(cudaFreeHost(memory)); }

KernelStatus CopyToDevice(void* to, const void* from, size_t byte_count) {
  return CudaStatus(cudaMemcpy(to, from, byte_count, cudaMemcpyHostToDevice));
}
KernelStatus CopyToHost(void* to, const void* from, size_t byte_count) {
  return CudaStatus(cudaMemcpy(to, from, byte_count, cudaMemcpyDeviceToHost));
}
KernelStatus FillDevice(void* memory, int byte, size_t byte_count) {
  return CudaStatus(cudaMemset(memory, byte, byte_count));
}

CUstream_st* CreateStream(bool low_priority) {
  int lowest = 0;
  int highest = 0;
  cudaStream_t stream = nullptr;
  if (cudaDeviceGetStreamPriorityRange(&lowest, &highest) != cudaSuccess) return nullptr;
  const int priority = low_priority ? lowest : highest;
  const auto error = cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, priority);
  return error == cudaSuccess ? stream : nullptr;
}
void DestroyStream(CUstream_st* stream) { static_cast<void>(cudaStreamDestroy(stream)); }

KernelStatus FinishDevice() {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CudaStatus(cudaGetLastError()));
  return CudaStatus(cudaDeviceSynchronize());
}

KernelStatus CheckDevice() {
  if (DeviceAttribute(cudaDevAttrComputeCapabilityMajor) >= 8) return {};
  return {KernelCode::kUnsupportedDevice, "no CUDA device of compute capability 8.0 or above"};
}

}  // namespace tierscope
