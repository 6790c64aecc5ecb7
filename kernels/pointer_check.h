// What a launcher can tell about a pointer before it launches.
#ifndef TIERSCOPE_KERNELS_POINTER_CHECK_H_
#define TIERSCOPE_KERNELS_POINTER_CHECK_H_

#include <cstdint>

namespace tierscope {

inline bool IsNullOrAligned16(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }
inline bool IsAligned16(const void* p) { return p != nullptr && IsNullOrAligned16(p); }

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_POINTER_CHECK_H_
