// Device memory and pinned host memory of the CUDA backend: by name, within limits, zeroed, freed
// together. Any thread.
#ifndef TIERSCOPE_REAL_CUDA_MEMORY_H_
#define TIERSCOPE_REAL_CUDA_MEMORY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "real/backend.h"

namespace tierscope {

class CudaMemory {
 public:
  enum class Place { kOutside, kDevice, kHost };

  explicit CudaMemory(int64_t pinned_bytes_max) : pinned_bytes_max_(pinned_bytes_max) {}

  // Notes what the device has, once there is a context.
  absl::Status Open();
  // As Backend::Allocate; aligned to 256 B.
  absl::StatusOr<uint8_t*> Allocate(const std::string& name, Arena arena, int64_t bytes);
  Place PlaceOf(const void* pointer) const;
  // As Backend's functions of these names.
  std::vector<NamedMemory> footprint() const;
  std::vector<NamedMemory> footprint_beside() const;
  int64_t device_bytes() const { return device_bytes_; }
  int64_t device_bytes_free() const { return free_begin_bytes_; }
  // Frees everything. Precondition: nothing runs.
  void Release() { blocks_.clear(); }

 private:
  struct Block {
    std::unique_ptr<void, void (*)(void*)> memory;
    int64_t bytes = 0;
    Arena arena = Arena::kDevice;
  };

  absl::StatusOr<uint8_t*> OnDevice(const std::string& name, int64_t bytes);
  absl::StatusOr<uint8_t*> OnHost(const std::string& name, int64_t bytes);

  const int64_t pinned_bytes_max_;
  int64_t device_bytes_ = 0;      // of the device
  int64_t free_begin_bytes_ = 0;  // of it, before the first allocation
  mutable std::mutex mutex_;
  std::map<const void*, Block> blocks_;  // by their begin
  std::vector<NamedMemory> footprint_;
  int64_t allocated_bytes_ = 0;  // on the device
  int64_t pinned_bytes_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CUDA_MEMORY_H_
