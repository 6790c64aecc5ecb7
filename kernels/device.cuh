// What kernels need beyond CUDA C++: inline PTX and the launch. For .cu sources only. The SIMT
// machine of the tests defines TIERSCOPE_SIMT in its stand-in for cuda_runtime.h; every piece of
// PTX has a second body for it here.
#ifndef TIERSCOPE_KERNELS_DEVICE_CUH_
#define TIERSCOPE_KERNELS_DEVICE_CUH_

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/fp8.h"
#include "kernels/kernel_status.h"

namespace tierscope {

inline constexpr uint32_t kWholeWarp = 0xFFFFFFFFu;

// The block's dynamic shared memory, all that these kernels use of it.
template <typename T>
__device__ __forceinline__ T& SharedAs() {
#ifdef TIERSCOPE_SIMT
  return *static_cast<T*>(simt::SharedMemory());
#else
  extern __shared__ __align__(1024) uint8_t shared_bytes[];
  return *reinterpret_cast<T*>(shared_bytes);
#endif
}

// 16 bytes that this kernel reads once: not kept in L1.
__device__ __forceinline__ uint4 LoadOnce16(const void* p) {
#ifdef TIERSCOPE_SIMT
  return *static_cast<const uint4*>(p);
#else
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
#endif
}

// Two floats as bf16, rounded to nearest even; `low` comes first in memory.
__device__ __forceinline__ uint32_t PackBf16(float low, float high) {
#ifdef TIERSCOPE_SIMT
  return FloatToBf16(low) | static_cast<uint32_t>(FloatToBf16(high)) << 16;
#else
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
#endif
}

// --- Matrix products of a warp, d += a b; fragments as in the PTX manual.
#ifdef TIERSCOPE_SIMT
__device__ inline void MmaF16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  simt::Mma(d, a, b, "mma.f16", simt::HalfValue);
}
__device__ inline void MmaBf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  simt::Mma(d, a, b, "mma.bf16", simt::Bf16Value);
}
__device__ inline void LoadMatrix4(uint32_t (&r)[4], const void* row) {
  simt::LoadMatrix4(r, row, false);
}
__device__ inline void LoadMatrix4Transposed(uint32_t (&r)[4], const void* row) {
  simt::LoadMatrix4(r, row, true);
}
#else
#define TIERSCOPE_MMA(name, shape_and_types)                                          \
  __device__ __forceinline__ void name(float(&d)[4], const uint32_t(&a)[4],           \
                                       const uint32_t(&b)[2]) {                       \
    asm volatile("mma.sync.aligned." shape_and_types                                  \
                 " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"   \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                     \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1])); \
  }
TIERSCOPE_MMA(MmaF16, "m16n8k16.row.col.f32.f16.f16.f32")
TIERSCOPE_MMA(MmaBf16, "m16n8k16.row.col.f32.bf16.bf16.f32")
#undef TIERSCOPE_MMA
__device__ __forceinline__ uint32_t SharedAddress(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
__device__ __forceinline__ void LoadMatrix4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(row)));
}
__device__ __forceinline__ void LoadMatrix4Transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(row)));
}
#endif

// --- The launch, after what can be known before it: the device and its shared memory.
struct LaunchShape {
  dim3 grid;
  dim3 block;
  size_t shared_bytes;
};

inline KernelStatus CudaStatus(cudaError_t error) {
  if (error == cudaSuccess) return {};
  return {KernelCode::kCudaError, cudaGetErrorString(error)};
}

// An attribute of the current device; 0 where there is none.
inline int DeviceAttribute(cudaDeviceAttr attribute) {
  int device = 0;
  int value = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return 0;
  return cudaDeviceGetAttribute(&value, attribute, device) == cudaSuccess ? value : 0;
}

template <typename Arguments>
KernelStatus LaunchKernel(void (*kernel)(Arguments), const LaunchShape& shape,
                          const Arguments& arguments, CUstream_st* stream) {
  if (DeviceAttribute(cudaDevAttrComputeCapabilityMajor) < 8) {
    return {KernelCode::kUnsupportedDevice,
            "no device of compute capability 8.0 or above: these kernels need mma.sync with bf16"};
  }
  if (shape.shared_bytes >
      static_cast<size_t>(DeviceAttribute(cudaDevAttrMaxSharedMemoryPerBlockOptin))) {
    return {KernelCode::kUnsupportedDevice,
            "the device has too little shared memory per block for this kernel"};
  }
  if (shape.shared_bytes > 48 * 1024) {
    TIERSCOPE_KERNEL_RETURN_IF_ERROR(
        CudaStatus(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        static_cast<int>(shape.shared_bytes))));
  }
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  return CudaStatus(cudaLaunchKernelEx(&config, kernel, arguments));
}

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_DEVICE_CUH_
