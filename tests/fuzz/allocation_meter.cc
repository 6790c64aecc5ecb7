#include "tests/fuzz/allocation_meter.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace {
size_t largest_bytes = 0;
size_t count = 0;
}  // namespace

void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  ++count;
  largest_bytes = std::max(largest_bytes, bytes);
  return std::malloc(std::max<size_t>(bytes, 1));
}
void* operator new(size_t bytes) {
  void* memory = operator new(bytes, std::nothrow);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace tierscope::testing {

size_t TakeLargestAllocation() { return std::exchange(largest_bytes, 0); }

size_t AllocationCount() { return count; }

}  // namespace tierscope::testing
