// PTX of sm_90a: barriers in shared memory, bulk and tensor-map copies, warpgroup matrix products.
// For .cu sources; every piece has a second body for the SIMT machine of the tests.
#ifndef TIERSCOPE_KERNELS_HOPPER_CUH_
#define TIERSCOPE_KERNELS_HOPPER_CUH_

#include "kernels/device.cuh"
#include "kernels/paged.h"
#ifndef TIERSCOPE_SIMT
#include <cudaTypedefs.h>
#endif

// Kernels are compiled for every device of the build, and have a body only where these instructions
// exist.
#if defined(TIERSCOPE_SIMT) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define TIERSCOPE_HAS_WGMMA 1
#endif

namespace tierscope {

// --- A tensor map over a pool of index key pages: a box is the 64 x 128 B of a page's keys.
#ifdef TIERSCOPE_SIMT
struct alignas(64) KeyPageMap {
  const uint8_t* pool;
};
inline KernelStatus EncodeKeyPageMap(KeyPageMap* map, const uint8_t* pool, int32_t) {
  map->pool = pool;
  return {};
}
#else
using KeyPageMap = CUtensorMap;
inline KernelStatus EncodeKeyPageMap(KeyPageMap* map, const uint8_t* pool, int32_t page_count) {
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found{};
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CudaStatus(cudaGetDriverEntryPointByVersion(
      "cuTensorMapEncodeTiled", &entry, 12000, cudaEnableDefault, &found)));
  if (found != cudaDriverEntryPointSuccess) {
    return {KernelCode::kUnsupportedDevice,
            "the driver has no cuTensorMapEncodeTiled; it needs CUDA 12"};
  }
  const cuuint64_t dims[3] = {kIndexDim, kPageEntries, static_cast<cuuint64_t>(page_count)};
  const cuuint64_t strides[2] = {kIndexDim, kIndexPageBytes};
  const cuuint32_t box[3] = {kIndexDim, kPageEntries, 1};
  const cuuint32_t steps[3] = {1, 1, 1};
  const CUresult result = reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(entry)(
      map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 3, const_cast<uint8_t*>(pool), dims, strides, box, steps,
      CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result == CUDA_SUCCESS) return {};
  return {KernelCode::kCudaError, "cuTensorMapEncodeTiled refused a key pool"};
}
#endif

#ifdef TIERSCOPE_HAS_WGMMA
#ifdef TIERSCOPE_SIMT

__device__ inline void BarrierInit(uint64_t* barrier, int arrivals) {
  simt::MemoryBarrierInit(barrier, arrivals);
}
__device__ inline void BarrierInitFence() {}
__device__ inline void BarrierArrive(uint64_t* barrier) { simt::MemoryBarrierArrive(barrier, 0); }
__device__ inline void BarrierExpect(uint64_t* barrier, uint32_t byte_count) {
  simt::MemoryBarrierArrive(barrier, byte_count);
}
__device__ inline void BarrierWait(uint64_t* barrier, uint32_t parity) {
  simt::MemoryBarrierWait(barrier, parity);
}
__device__ inline void CopyBulk(void* to, const void* from, uint32_t byte_count,
                                uint64_t* barrier) {
  simt::BulkCopy(to, from, byte_count, barrier);
}
__device__ inline void CopyKeyPage(void* to, const KeyPageMap& map, int32_t page,
                                   uint64_t* barrier) {
  simt::BulkCopySwizzled(to, map.pool + page * kIndexPageBytes, kPageEntries, barrier);
}
__device__ inline void FenceForAsyncReads() {}
__device__ inline uint32_t SharedOffset(const void* p) { return simt::OffsetInShared(p); }
__device__ inline void WgmmaFence() {}
__device__ inline void WgmmaCommitAndWait() {}
template <int kColumns>
__device__ inline void WgmmaE4m3(float (&d)[kColumns / 2], uint64_t a, uint64_t b, bool add) {
  simt::WgmmaE4m3<kColumns>(d, a, b, add);
}
template <int kColumns>
__device__ inline void WgmmaBf16(float (&d)[kColumns / 2], uint64_t a, uint64_t b, bool add) {
  simt::WgmmaBf16<kColumns, kColumns == 256>(d, a, b, add);
}
template <int kRegisters, bool kGrow>
__device__ inline void SetRegisters() {}
#define TIERSCOPE_NAMED_BARRIER(id, thread_count) \
  ::tierscope::simt::NamedBarrier(id, thread_count, __FILE__, __LINE__)

#else

__device__ __forceinline__ uint32_t SharedOffset(const void* p) { return SharedAddress(p); }
__device__ __forceinline__ void BarrierInit(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(SharedAddress(barrier)),
               "r"(arrivals));
}
// Makes initialised barriers visible to the copy engine.
__device__ __forceinline__ void BarrierInitFence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void BarrierArrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(SharedAddress(barrier)) : "memory");
}
// Arrives, and lets the phase end only after `byte_count` bytes have been copied.
__device__ __forceinline__ void BarrierExpect(uint64_t* barrier, uint32_t byte_count) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(SharedAddress(barrier)),
      "r"(byte_count)
      : "memory");
}
// Returns when the phase of this parity has ended.
__device__ __forceinline__ void BarrierWait(uint64_t* barrier, uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" ::"r"(SharedAddress(barrier)),
      "r"(parity)
      : "memory");
}
__device__ __forceinline__ void CopyBulk(void* to, const void* from, uint32_t byte_count,
                                         uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(SharedAddress(to)),
      "l"(from), "r"(byte_count), "r"(SharedAddress(barrier))
      : "memory");
}
__device__ __forceinline__ void CopyKeyPage(void* to, const KeyPageMap& map, int32_t page,
                                            uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %2, %3}], [%4];" ::"r"(SharedAddress(to)),
      "l"(&map), "r"(0), "r"(page), "r"(SharedAddress(barrier))
      : "memory");
}
// By each thread that stored to shared memory, before the barrier behind which wgmma reads it.
__device__ __forceinline__ void FenceForAsyncReads() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ __forceinline__ void WgmmaFence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void WgmmaCommitAndWait() {
  asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
}
#define TIERSCOPE_NAMED_BARRIER(id, thread_count) \
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(thread_count) : "memory")

// d[64 x kColumns] = a b (+ d): k of 32, e4m3, both from shared memory.
#define D8(d, i)                                                                              \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])
template <int kColumns>
__device__ __forceinline__ void WgmmaE4m3(float (&d)[kColumns / 2], uint64_t a, uint64_t b,
                                          bool add) {
  static_assert(kColumns == 128 || kColumns == 64);
  const int scale_d = add;
  if constexpr (kColumns == 128) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
        "%64, %65, add, 1, 1;\n}\n"
        : D8(d, 0), D8(d, 8), D8(d, 16), D8(d, 24), D8(d, 32), D8(d, 40), D8(d, 48), D8(d, 56)
        : "l"(a), "l"(b), "r"(scale_d));
  } else {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k32.f32.e4m3.e4m3 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "%32, %33, add, 1, 1;\n}\n"
        : D8(d, 0), D8(d, 8), D8(d, 16), D8(d, 24)
        : "l"(a), "l"(b), "r"(scale_d));
  }
}

// The same of bf16, k of 16. With 256 columns b is laid out along its columns (TileAlongColumns),
// with 32 along k.
template <int kColumns>
__device__ __forceinline__ void WgmmaBf16(float (&d)[kColumns / 2], uint64_t a, uint64_t b,
                                          bool add) {
  static_assert(kColumns == 256 || kColumns == 32);
  const int scale_d = add;
  if constexpr (kColumns == 256) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %130, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
        "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
        "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
        "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, "
        "%111, "
        "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, "
        "%127}, "
        "%128, %129, add, 1, 1, 0, 1;\n}\n"
        : D8(d, 0), D8(d, 8), D8(d, 16), D8(d, 24), D8(d, 32), D8(d, 40), D8(d, 48), D8(d, 56),
          D8(d, 64), D8(d, 72), D8(d, 80), D8(d, 88), D8(d, 96), D8(d, 104), D8(d, 112), D8(d, 120)
        : "l"(a), "l"(b), "r"(scale_d));
  } else {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %18, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, "
        "%16, %17, add, 1, 1, 0, 0;\n}\n"
        : D8(d, 0), D8(d, 8)
        : "l"(a), "l"(b), "r"(scale_d));
  }
}
#undef D8

// A warpgroup gives registers back, or asks for more; above the kernel's own number it grows.
template <int kRegisters, bool kGrow>
__device__ __forceinline__ void SetRegisters() {
  if constexpr (kGrow) {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
  } else {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
  }
}

#endif  // TIERSCOPE_SIMT

// The descriptor of a tile in shared memory, rows of 128 B, K-major, swizzled by 128 B, from a
// multiple of 1,024 B.
__device__ __forceinline__ uint64_t SwizzledTile(const void* tile) {
  constexpr uint64_t kEightRows = 1024 >> 4;
  constexpr uint64_t kSwizzle128 = 1;
  return (SharedOffset(tile) & 0x3FFFFu) >> 4 | kEightRows << 32 | kSwizzle128 << 62;
}

// The same for a tile whose rows go along k and whose 128 B hold 64 columns of bf16; 64 columns
// further on lies the next tile, `tile_bytes` behind.
__device__ __forceinline__ uint64_t TileAlongColumns(const void* tile, uint32_t tile_bytes) {
  return SwizzledTile(tile) | static_cast<uint64_t>(tile_bytes >> 4) << 16;
}

#endif  // TIERSCOPE_HAS_WGMMA

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_HOPPER_CUH_
