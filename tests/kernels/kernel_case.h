// Cases of every kernel against its reference, written once: run under the SIMT machine by ctest,
// and on a GPU by a small program of their own that needs no test library.
#ifndef TIERSCOPE_TESTS_KERNELS_KERNEL_CASE_H_
#define TIERSCOPE_TESTS_KERNELS_KERNEL_CASE_H_

#include <cstdint>
#include <cstring>
#include <ostream>
#include <string>
#include <vector>

#include "kernels/device_memory.h"
#include "kernels/kernel_status.h"
#include "sim/base/check.h"
#include "sim/base/rng.h"

namespace tierscope::testing {

// Sizes: a SIMT machine runs about a million products a second.
enum class CaseSize { kSmall, kLarge };

struct KernelCase {
  const char* name;
  // What is wrong, or "". Inputs are drawn from `seed`. Starts with kSkipped where the device
  // cannot run it.
  std::string (*run)(uint64_t seed, CaseSize size);
};

const std::vector<KernelCase>& KernelCases();
// How a test library names a case.
inline void PrintTo(const KernelCase& kernel_case, std::ostream* out) { *out << kernel_case.name; }

// An array of device memory, owned. Unwritten elements hold 0xFF bytes: NaN, or an index far
// outside.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count)
      : count_(count), data_(static_cast<T*>(AllocateDevice(count * sizeof(T) + 16))) {
    TIERSCOPE_CHECK(data_ != nullptr);
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    if (count_ > 0) TIERSCOPE_CHECK(CopyToDevice(data_, values.data(), count_ * sizeof(T)).ok());
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { FreeDevice(data_); }

  T* data() const { return data_; }
  // Fills with 0xFF, so that what a kernel does not write shows.
  void Poison() const { TIERSCOPE_CHECK(FillDevice(data_, 0xFF, count_ * sizeof(T)).ok()); }
  std::vector<T> Download() const {
    std::vector<T> values(count_);
    if (count_ > 0) TIERSCOPE_CHECK(CopyToHost(values.data(), data_, count_ * sizeof(T)).ok());
    return values;
  }

 private:
  size_t count_;
  T* data_;
};

inline constexpr char kSkipped[] = "skipped: ";
inline bool WasSkipped(const std::string& text) { return text.rfind(kSkipped, 0) == 0; }

// "" or the status as text, for a case to return.
inline std::string TextOf(const KernelStatus& status) {
  if (status.ok()) return "";
  const bool skipped = status.code == KernelCode::kUnsupportedDevice;
  return (skipped ? kSkipped : "status: ") + std::string(status.message);
}

// max |got - want| / max |want|; NaN and infinity never pass (1e9).
double RelativeError(const std::vector<double>& got, const std::vector<double>& want);

std::string RunMemoryScoreCase(uint64_t seed, CaseSize size);
std::string RunNativeScoreCase(uint64_t seed, CaseSize size);
std::string RunMemoryScoreHopperCase(uint64_t seed, CaseSize size);
std::string RunNativeScoreHopperCase(uint64_t seed, CaseSize size);
std::string RunPageSelectCase(uint64_t seed, CaseSize size);
std::string RunTopEntriesCase(uint64_t seed, CaseSize size);
std::string RunPageCopyCase(uint64_t seed, CaseSize size);
std::string RunPageGatherCase(uint64_t seed, CaseSize size);
std::string RunEntryGatherCase(uint64_t seed, CaseSize size);
std::string RunSparseAttentionCase(uint64_t seed, CaseSize size);
std::string RunDenseAttentionCase(uint64_t seed, CaseSize size);
std::string RunSparseAttentionHopperCase(uint64_t seed, CaseSize size);
std::string RunDenseAttentionHopperCase(uint64_t seed, CaseSize size);

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_KERNELS_KERNEL_CASE_H_
