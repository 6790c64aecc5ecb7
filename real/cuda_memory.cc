#include "real/cuda_memory.h"

#include <cuda_runtime.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tbb/parallel_for.h"

#include "real/cuda_error.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"

namespace tierscope {
namespace {

constexpr int64_t kZeroChunkBytes = int64_t{64} << 20;

void FreeOnDevice(void* memory) { static_cast<void>(cudaFree(memory)); }
void FreeOnHost(void* memory) { static_cast<void>(cudaFreeHost(memory)); }

void ZeroOnHost(uint8_t* memory, int64_t bytes) {
  tbb::parallel_for(int64_t{0}, CeilDiv(bytes, kZeroChunkBytes), [=](int64_t i) {
    const int64_t begin = i * kZeroChunkBytes;
    std::memset(memory + begin, 0, static_cast<size_t>(std::min(kZeroChunkBytes, bytes - begin)));
  });
}

// What the process may lock, in words.
std::string LockedMemoryLimit() {
  struct rlimit limit {};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return "unknown";
  if (limit.rlim_cur == RLIM_INFINITY) return "unlimited";
  return absl::StrCat(limit.rlim_cur, " bytes");
}

// At least a byte: no two blocks begin at one place.
size_t SizeOf(int64_t bytes) { return static_cast<size_t>(std::max<int64_t>(1, bytes)); }

}  // namespace

absl::Status CudaMemory::Open() {
  size_t free_bytes = 0, total_bytes = 0;
  TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaMemGetInfo(&free_bytes, &total_bytes), "device memory"));
  free_begin_bytes_ = static_cast<int64_t>(free_bytes);
  device_bytes_ = static_cast<int64_t>(total_bytes);
  return absl::OkStatus();
}

absl::StatusOr<uint8_t*> CudaMemory::Allocate(const std::string& name, Arena arena, int64_t bytes) {
  if (bytes < 0) return absl::ResourceExhaustedError(absl::StrCat(name, ": ", bytes, " bytes"));
  const std::lock_guard<std::mutex> lock(mutex_);
  TIERSCOPE_ASSIGN_OR_RETURN(uint8_t * memory,
                             arena == Arena::kDevice ? OnDevice(name, bytes) : OnHost(name, bytes));
  const auto known = std::find_if(footprint_.begin(), footprint_.end(), [&](const auto& named) {
    return named.name == name && named.arena == arena;
  });
  if (known != footprint_.end()) {
    known->bytes += bytes;
  } else {
    footprint_.push_back({name, arena, bytes});
  }
  return memory;
}

absl::StatusOr<uint8_t*> CudaMemory::OnDevice(const std::string& name, int64_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, SizeOf(bytes));
  if (error != cudaSuccess && error != cudaErrorMemoryAllocation) return FromCuda(error, name);
  if (error != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%s: %d bytes of device memory beside the %d allocated are more than the device has (%.2f "
        "of %.2f GiB were free at the start); lower workload.concurrency, workload.context_tokens "
        "or policy.reserve_entries, or raise engine.tensor_parallel",
        name, bytes, allocated_bytes_, ToGiB(free_begin_bytes_), ToGiB(device_bytes_)));
  }
  blocks_.insert({memory, Block{{memory, FreeOnDevice}, bytes, Arena::kDevice}});
  allocated_bytes_ += bytes;
  // The default stream, which does not wait for the backend's nor they for it.
  TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaMemset(memory, 0, SizeOf(bytes)), name));
  TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaStreamSynchronize(nullptr), name));
  return static_cast<uint8_t*>(memory);
}

absl::StatusOr<uint8_t*> CudaMemory::OnHost(const std::string& name, int64_t bytes) {
  if (bytes > pinned_bytes_max_ - pinned_bytes_) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%s: %d bytes of pinned memory beside %d are more than the limit of %d; lower "
        "workload.concurrency or workload.context_tokens, or raise --pinned-gib where the host has "
        "the memory",
        name, bytes, pinned_bytes_, pinned_bytes_max_));
  }
  void* memory = nullptr;
  const cudaError_t error = cudaHostAlloc(&memory, SizeOf(bytes), cudaHostAllocPortable);
  if (error != cudaSuccess && error != cudaErrorMemoryAllocation) return FromCuda(error, name);
  if (error != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%s: %d bytes cannot be pinned beside %d, though --pinned-gib allows %.2f GiB; the host "
        "has "
        "too little free memory or forbids it: see MemAvailable in /proc/meminfo, the container's "
        "memory limit and RLIMIT_MEMLOCK (ulimit -l: %s); lower workload.concurrency or "
        "workload.context_tokens",
        name, bytes, pinned_bytes_, ToGiB(pinned_bytes_max_), LockedMemoryLimit()));
  }
  blocks_.insert({memory, Block{{memory, FreeOnHost}, bytes, Arena::kHost}});
  pinned_bytes_ += bytes;
  ZeroOnHost(static_cast<uint8_t*>(memory), bytes);
  return static_cast<uint8_t*>(memory);
}

CudaMemory::Place CudaMemory::PlaceOf(const void* pointer) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto next = blocks_.upper_bound(pointer);
  if (next == blocks_.begin()) return Place::kOutside;
  const auto& [begin, block] = *std::prev(next);
  const auto offset = static_cast<const uint8_t*>(pointer) - static_cast<const uint8_t*>(begin);
  if (offset >= block.bytes) return Place::kOutside;
  return block.arena == Arena::kDevice ? Place::kDevice : Place::kHost;
}

std::vector<NamedMemory> CudaMemory::footprint() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return footprint_;
}

std::vector<NamedMemory> CudaMemory::footprint_beside() const {
  size_t free_now = 0, total = 0;
  if (cudaMemGetInfo(&free_now, &total) != cudaSuccess) return {};
  const std::lock_guard<std::mutex> lock(mutex_);
  const int64_t taken = free_begin_bytes_ - static_cast<int64_t>(free_now);
  return {{"context, and what else runs on the device", Arena::kDevice,
           device_bytes_ - free_begin_bytes_},
          {"modules, graphs, libraries, rounding", Arena::kDevice, taken - allocated_bytes_}};
}

}  // namespace tierscope
