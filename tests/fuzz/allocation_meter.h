// Linked into a test, this replaces operator new by one that notes the largest allocation.
#ifndef TIERSCOPE_TESTS_FUZZ_ALLOCATION_METER_H_
#define TIERSCOPE_TESTS_FUZZ_ALLOCATION_METER_H_

#include <cstddef>

namespace tierscope::testing {

// Bytes asked for at once, at most, since the last call. Not thread-safe.
size_t TakeLargestAllocation();

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_FUZZ_ALLOCATION_METER_H_
