// Puts the CPU versions where the cases call launchers, and the heap where they ask for device
// memory.
#include <cstdlib>
#include <cstring>

#include "kernels/attention_hopper.h"
#include "kernels/cpu_kernels.h"
#include "kernels/device_memory.h"
#include "kernels/index_score_hopper.h"

namespace tierscope {

void* AllocateDevice(size_t byte_count) {
  void* memory = std::aligned_alloc(256, (byte_count + 255) / 256 * 256);
  if (memory != nullptr) std::memset(memory, 0xFF, byte_count);
  return memory;
}
void FreeDevice(void* memory) { std::free(memory); }
void* AllocatePinned(size_t byte_count) { return AllocateDevice(byte_count); }
void FreePinned(void* memory) { std::free(memory); }
KernelStatus CopyToDevice(void* to, const void* from, size_t byte_count) {
  std::memcpy(to, from, byte_count);
  return {};
}
KernelStatus CopyToHost(void* to, const void* from, size_t byte_count) {
  return CopyToDevice(to, from, byte_count);
}
KernelStatus FillDevice(void* memory, int byte, size_t byte_count) {
  std::memset(memory, byte, byte_count);
  return {};
}
CUstream_st* CreateStream(bool) { return static_cast<CUstream_st*>(AllocateDevice(1)); }
void DestroyStream(CUstream_st* stream) { std::free(stream); }
KernelStatus FinishDevice() { return {}; }
KernelStatus CheckDevice() { return {}; }

KernelStatus LaunchMemoryScore(const MemoryScoreParams& params, CUstream_st*) {
  return MemoryScoreOnCpu(params);
}
KernelStatus LaunchNativeScore(const NativeScoreParams& params, CUstream_st*) {
  return NativeScoreOnCpu(params);
}
KernelStatus LaunchPageSelect(const PageSelectParams& params, CUstream_st*) {
  return PageSelectOnCpu(params);
}
KernelStatus LaunchTopEntries(const TopEntriesParams& params, CUstream_st*) {
  return TopEntriesOnCpu(params);
}
KernelStatus LaunchAttention(const AttentionParams& params, CUstream_st*) {
  return AttentionOnCpu(params);
}
KernelStatus LaunchPageGather(const PageGatherParams& params, CUstream_st*) {
  return PageGatherOnCpu(params);
}
KernelStatus LaunchEntryGather(const EntryGatherParams& params, CUstream_st*) {
  return EntryGatherOnCpu(params);
}
KernelStatus LaunchMemoryScoreHopper(const MemoryScoreParams&, int32_t, CUstream_st*) {
  return {KernelCode::kUnsupportedDevice, "a version for Hopper alone"};
}
KernelStatus LaunchNativeScoreHopper(const NativeScoreParams&, int32_t, CUstream_st*) {
  return {KernelCode::kUnsupportedDevice, "a version for Hopper alone"};
}
KernelStatus LaunchAttentionHopper(const AttentionParams&, CUstream_st*) {
  return {KernelCode::kUnsupportedDevice, "a version for Hopper alone"};
}
// The plan of a page copy, carried out.
KernelStatus SubmitPageCopies(const PageCopyBatch& batch, CUstream_st*) {
  for (size_t i = 0; i < batch.sizes.size(); ++i)
    std::memcpy(batch.targets[i], batch.sources[i], batch.sizes[i]);
  return {};
}

}  // namespace tierscope
