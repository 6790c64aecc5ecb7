// Linked into a test, this replaces operator new by one that counts allocations and notes the
// largest.
#ifndef TIERSCOPE_TESTS_FUZZ_ALLOCATION_METER_H_
#define TIERSCOPE_TESTS_FUZZ_ALLOCATION_METER_H_

#include <cstddef>

namespace tierscope::testing {

// Bytes asked for at once, at most, since the last call. Not thread-safe.
size_t TakeLargestAllocation();

// Allocations since the process began. Not thread-safe.
size_t AllocationCount();

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_FUZZ_ALLOCATION_METER_H_
