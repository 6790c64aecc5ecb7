// What a launcher can tell about a pointer before it launches.
#ifndef TIERSCOPE_KERNELS_POINTER_CHECK_H_
#define TIERSCOPE_KERNELS_POINTER_CHECK_H_

#include <cstdint>
#include <initializer_list>

namespace tierscope {

inline bool IsNullOrAligned16(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }
inline bool IsAligned16(const void* p) { return p != nullptr && IsNullOrAligned16(p); }

inline bool AreAligned16(std::initializer_list<const void*> pointers) {
  for (const void* p : pointers) {
    if (!IsAligned16(p)) return false;
  }
  return true;
}

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_POINTER_CHECK_H_
