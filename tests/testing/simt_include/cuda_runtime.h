// Stands in for the CUDA toolkit's header of the same name when a .cu source is compiled as C++ for
// the SIMT machine (tests/testing/simt.h): the part of CUDA that the kernels use, nothing more.
// What the kernels write as inline PTX has its second body in kernels/device.cuh, on the functions
// below.
#ifndef TIERSCOPE_TESTS_TESTING_SIMT_INCLUDE_CUDA_RUNTIME_H_
#define TIERSCOPE_TESTS_TESTING_SIMT_INCLUDE_CUDA_RUNTIME_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <utility>

#include "tests/testing/simt.h"

#define TIERSCOPE_SIMT 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define TIERSCOPE_SIMT_NO_HOOKS __attribute__((noinline, no_sanitize("thread")))

#define __syncthreads() ::tierscope::simt::BlockBarrier(__FILE__, __LINE__)
#define __syncwarp() ::tierscope::simt::WarpBarrier(0xFFFFFFFFu, __FILE__, __LINE__)

// --- Where a thread is.
namespace tierscope::simt {
template <Index3 (*kOf)(), unsigned Index3::*kMember>
struct Coordinate {
  operator unsigned() const { return kOf().*kMember; }
};
template <Index3 (*kOf)()>
struct Coordinates {
  Coordinate<kOf, &Index3::x> x;
  Coordinate<kOf, &Index3::y> y;
  Coordinate<kOf, &Index3::z> z;
};
}  // namespace tierscope::simt
inline constexpr tierscope::simt::Coordinates<tierscope::simt::ThreadIndex> threadIdx{};
inline constexpr tierscope::simt::Coordinates<tierscope::simt::BlockIndex> blockIdx{};
inline constexpr tierscope::simt::Coordinates<tierscope::simt::BlockSize> blockDim{};
inline constexpr tierscope::simt::Coordinates<tierscope::simt::GridSize> gridDim{};

// --- Vector types.
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// --- Arithmetic.
using std::max;
using std::min;
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
// Byte i of the result is byte (selector >> 4 i) & 7 of the eight bytes x, y.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = uint64_t{y} << 32 | x;
  unsigned result = 0;
  for (unsigned i = 0; i < 4; ++i) {
    result |= static_cast<unsigned>(bytes >> (8 * (selector >> (4 * i) & 7)) & 0xFF) << (8 * i);
  }
  return result;
}
template <typename T>
T __ldg(const T* p) {
  return *p;
}

// --- Warp operations.
namespace tierscope::simt {
inline unsigned Lane() {
  const Index3 t = ThreadIndex();
  const Index3 n = BlockSize();
  return (t.x + n.x * (t.y + n.y * t.z)) % kWarpLanes;
}
template <typename T>
TIERSCOPE_SIMT_NO_HOOKS T Shuffle(unsigned mask, const char* what, T value, unsigned lane) {
  const void* all = WarpExchange(mask, what, &value, sizeof value);
  return static_cast<const T*>(all)[lane % kWarpLanes];
}
}  // namespace tierscope::simt

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return tierscope::simt::Shuffle(mask, "__shfl_sync", value, static_cast<unsigned>(lane));
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
  return tierscope::simt::Shuffle(mask, "__shfl_xor_sync", value,
                                  tierscope::simt::Lane() ^ static_cast<unsigned>(lanes));
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta) {
  const unsigned lane = tierscope::simt::Lane();
  return tierscope::simt::Shuffle(mask, "__shfl_up_sync", value,
                                  lane < delta ? lane : lane - delta);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta) {
  const unsigned lane = tierscope::simt::Lane();
  return tierscope::simt::Shuffle(mask, "__shfl_down_sync", value,
                                  lane + delta > 31 ? lane : lane + delta);
}
TIERSCOPE_SIMT_NO_HOOKS inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const uint8_t mine = predicate != 0;
  const void* all = tierscope::simt::WarpExchange(mask, "__ballot_sync", &mine, 1);
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; ++i) bits |= unsigned{static_cast<const uint8_t*>(all)[i]} << i;
  return bits;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) == 0xFFFFFFFFu;
}

// --- Atomics.
namespace tierscope::simt {
template <typename T, typename F>
TIERSCOPE_SIMT_NO_HOOKS T Atomic(T* p, F f) {
  CheckAccess(p, sizeof(T), true, true);
  const T old = *p;
  *p = f(old);
  return old;
}
}  // namespace tierscope::simt
template <typename T>
T atomicAdd(T* p, T value) {
  return tierscope::simt::Atomic(p, [value](T old) { return static_cast<T>(old + value); });
}
template <typename T>
T atomicOr(T* p, T value) {
  return tierscope::simt::Atomic(p, [value](T old) { return static_cast<T>(old | value); });
}
template <typename T>
T atomicMax(T* p, T value) {
  return tierscope::simt::Atomic(p, [value](T old) { return old < value ? value : old; });
}

// --- The runtime, as a machine of streams whose ops run when somebody waits for them
// (tests/testing/simt_runtime.h).
struct CUstream_st;
struct CUevent_st;
struct CUgraph_st;
struct CUgraphExec_st;
using cudaStream_t = CUstream_st*;
using cudaEvent_t = CUevent_st*;
using cudaGraph_t = CUgraph_st*;
using cudaGraphExec_t = CUgraphExec_st*;
// Numbers as CUDA's.
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInitializationError = 3,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorECCUncorrectable = 214,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchTimeout = 702,
  cudaErrorAssert = 710,
  cudaErrorHardwareStackError = 714,
  cudaErrorIllegalInstruction = 715,
  cudaErrorMisalignedAddress = 716,
  cudaErrorInvalidAddressSpace = 717,
  cudaErrorInvalidPc = 718,
  cudaErrorLaunchFailure = 719,
  cudaErrorSystemDriverMismatch = 803,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901
};
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount,
  cudaDevAttrComputeCapabilityMajor,
  cudaDevAttrComputeCapabilityMinor,
  cudaDevAttrMaxSharedMemoryPerBlockOptin
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
enum cudaMemcpySrcAccessOrder { cudaMemcpySrcAccessOrderStream = 1 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
enum cudaDataType { CUDA_R_16BF = 14 };
#define CUDART_VERSION 13000
inline constexpr unsigned cudaMemcpyFlagPreferOverlapWithCompute = 1;
inline constexpr unsigned cudaStreamNonBlocking = 1;
inline constexpr unsigned cudaEventDefault = 0;
inline constexpr unsigned cudaEventRecordExternal = 1;
inline constexpr unsigned cudaHostAllocPortable = 1;
struct cudaMemLocation {
  int type;
  int id;
};
struct cudaMemcpyAttributes {
  cudaMemcpySrcAccessOrder srcAccessOrder;
  cudaMemLocation srcLocHint, dstLocHint;
  unsigned flags;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
  void* attrs;
  unsigned numAttrs;
};
struct cudaDeviceProp {
  char name[256];
  int major, minor;
  int multiProcessorCount;
};

const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaMalloc(void** memory, size_t byte_count);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocHost(void** memory, size_t byte_count);
// What this gives counts as written: the host may write it by plain stores, which nobody sees.
cudaError_t cudaHostAlloc(void** memory, size_t byte_count, unsigned flags);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaMemcpy(void* to, const void* from, size_t byte_count, cudaMemcpyKind kind);
cudaError_t cudaMemset(void* to, int value, size_t byte_count);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t byte_count, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemcpyBatchAsync(void* const* to, const void* const* from,
                                 const size_t* byte_counts, size_t count,
                                 cudaMemcpyAttributes* attributes, size_t* firsts,
                                 size_t attribute_count, cudaStream_t stream);
cudaError_t cudaDeviceGetStreamPriorityRange(int* lowest, int* highest);
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags);
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

namespace tierscope::simt {
cudaError_t SubmitKernel(cudaStream_t stream, std::function<bool()> run);
}

template <typename Kernel>
cudaError_t cudaFuncSetAttribute(Kernel*, cudaFuncAttribute, int byte_count) {
  return byte_count <= tierscope::simt::MachineOptions().shared_bytes_max ? cudaSuccess
                                                                          : cudaErrorInvalidValue;
}
template <typename Argument>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Argument),
                               const Argument& argument) {
  using Call = std::pair<void (*)(Argument), Argument>;
  tierscope::simt::Launch launch;
  launch.grid = {config->gridDim.x, config->gridDim.y, config->gridDim.z};
  launch.block = {config->blockDim.x, config->blockDim.y, config->blockDim.z};
  launch.shared_bytes = config->dynamicSmemBytes;
  launch.argument_bytes = sizeof(Call);
  launch.run = [](const void* p) {
    const auto& c = *static_cast<const Call*>(p);
    c.first(c.second);
  };
  const Call call(kernel, argument);
  return tierscope::simt::SubmitKernel(config->stream, [call, launch]() mutable {
    launch.arguments = &call;
    return tierscope::simt::Run(launch);
  });
}

// --- Matrix instructions, each lane's fragments as the PTX manual lays them out (PTX ISA, "Matrix
// Fragments for mma.m16n8k16", "ldmatrix").
namespace tierscope::simt {

// Decoded: two values a register.
struct Fragments {
  float a[4][2];
  float b[2][2];
};

// Finite values: a half's exponent and mantissa, moved to a float's, are 2^-112 of the value.
inline float HalfValue(uint32_t bits) {
  return std::bit_cast<float>((bits & 0x8000u) << 16 | (bits & 0x7FFFu) << 13) * 0x1p112f;
}
inline float E4m3Value(uint32_t bits) {
  return std::bit_cast<float>((bits & 0x80u) << 24 | (bits & 0x7Fu) << 20) * 0x1p120f;
}
inline float Bf16Value(uint32_t bits) { return std::bit_cast<float>((bits & 0xFFFFu) << 16); }

// d[16 x 8] += a[16 x 16] b[16 x 8] of 2-byte elements. Lane = 4 * group + t. Accumulator: c0, c1
// are row `group`, columns 2t, 2t + 1; c2, c3 row group + 8. A: registers 0..3 are rows (group,
// group + 8, group, group + 8), first k half, first, second, second; in a half, lane t holds its
// t-th 4 bytes. B: registers 0, 1 are the k halves of column `group`, again the t-th 4 bytes.
template <typename Value>
TIERSCOPE_SIMT_NO_HOOKS void Mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                 const char* what, Value value) {
  Fragments mine;
  for (int i = 0; i < 4; ++i) {
    mine.a[i][0] = value(a[i] & 0xFFFFu);
    mine.a[i][1] = value(a[i] >> 16);
  }
  for (int i = 0; i < 2; ++i) {
    mine.b[i][0] = value(b[i] & 0xFFFFu);
    mine.b[i][1] = value(b[i] >> 16);
  }
  const auto* all =
      static_cast<const Fragments*>(WarpExchange(0xFFFFFFFFu, what, &mine, sizeof mine));
  const unsigned group = Lane() / 4;
  const unsigned t = Lane() % 4;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row_half = i / 2;
    const unsigned column = 2 * t + i % 2;
    double sum = 0;
    for (unsigned half = 0; half < 2; ++half) {
      for (unsigned part = 0; part < 4; ++part) {
        const float(&left)[2] = all[4 * group + part].a[2 * half + row_half];
        const float(&right)[2] = all[4 * column + part].b[half];
        sum += double{left[0]} * double{right[0]} + double{left[1]} * double{right[1]};
      }
    }
    d[i] = static_cast<float>(d[i] + sum);
  }
}

// Four 8 x 8 matrices of 2-byte elements; lane l gives the address of row l % 8 of matrix l / 8,
// and gets of each matrix row `group`, columns 2t, 2t + 1 (transposed: column `group`, rows 2t, 2t
// + 1).
TIERSCOPE_SIMT_NO_HOOKS inline void LoadMatrix4(uint32_t (&r)[4], const void* row,
                                                bool transposed) {
  CheckAccess(row, 16, false, false);
  uint16_t mine[8];
  std::memcpy(mine, row, sizeof mine);
  using Row = uint16_t[8];
  const auto* all = static_cast<const Row*>(
      WarpExchange(0xFFFFFFFFu, transposed ? "ldmatrix.trans" : "ldmatrix", mine, sizeof mine));
  const unsigned group = Lane() / 4;
  const unsigned t = Lane() % 4;
  for (unsigned m = 0; m < 4; ++m) {
    const uint32_t low = transposed ? all[8 * m + 2 * t][group] : all[8 * m + group][2 * t];
    const uint32_t high =
        transposed ? all[8 * m + 2 * t + 1][group] : all[8 * m + group][2 * t + 1];
    r[m] = low | high << 16;
  }
}

// Matrix descriptors of wgmma, K-major with the 128 B swizzle (PTX ISA, "Matrix Descriptor
// Format"): start address in bits 0-13 and the stride from eight rows to the next eight in bits
// 32-45, both in units of 16 B. The address of a 16 B chunk has its bits 4-6 xored with bits 7-9.
inline uint32_t OffsetInShared(const void* p) {
  return static_cast<uint32_t>(static_cast<const char*>(p) -
                               static_cast<const char*>(SharedMemory()));
}
TIERSCOPE_SIMT_NO_HOOKS inline void ReadWgmmaRow(uint8_t (&bytes)[32], uint64_t descriptor,
                                                 unsigned row) {
  const auto start = static_cast<uint32_t>(descriptor & 0x3FFF) << 4;
  const auto stride = static_cast<uint32_t>(descriptor >> 32 & 0x3FFF) << 4;
  if (descriptor >> 62 != 1) Fail("a matrix descriptor that is not swizzled by 128 B");
  for (unsigned chunk = 0; chunk < 2; ++chunk) {
    const uint32_t plain = start + row / 8 * stride + row % 8 * 128 + chunk * 16;
    const void* at = static_cast<const char*>(SharedMemory()) + (plain ^ (plain >> 7 & 7) << 4);
    CheckAccess(at, 16, false, false);
    std::memcpy(bytes + chunk * 16, at, 16);
  }
}
// d[64 x n] = a[64 x 32] b[32 x n] (+ d), e4m3. Warp w of the four holds rows 16 w .. + 16, each as
// mma does.
template <int kColumns>
TIERSCOPE_SIMT_NO_HOOKS void WgmmaE4m3(float* d, uint64_t a, uint64_t b, bool add) {
  const unsigned row = threadIdx.x / 32 % 4 * 16 + Lane() / 4;
  uint8_t left[2][32];
  ReadWgmmaRow(left[0], a, row);
  ReadWgmmaRow(left[1], a, row + 8);
  for (unsigned column = 2 * (Lane() % 4), i = 0; column < kColumns; column += 8, i += 4) {
    for (unsigned c = 0; c < 2; ++c) {
      uint8_t right[32];
      ReadWgmmaRow(right, b, column + c);
      for (unsigned half = 0; half < 2; ++half) {
        double sum = add ? d[i + 2 * half + c] : 0.0;
        for (int k = 0; k < 32; ++k) sum += double{E4m3Value(left[half][k])} * E4m3Value(right[k]);
        d[i + 2 * half + c] = static_cast<float>(sum);
      }
    }
  }
}

// Row k of b, 8 columns from `column` on, where b lies along its columns: 64 of them in 128 B, the
// next 64 behind the leading offset in bits 16-29, eight rows of k behind the stride.
TIERSCOPE_SIMT_NO_HOOKS inline void ReadWgmmaColumns(uint16_t (&values)[8], uint64_t descriptor,
                                                     unsigned k, unsigned column) {
  const auto start = static_cast<uint32_t>(descriptor & 0x3FFF) << 4;
  const auto leading = static_cast<uint32_t>(descriptor >> 16 & 0x3FFF) << 4;
  const auto stride = static_cast<uint32_t>(descriptor >> 32 & 0x3FFF) << 4;
  if (descriptor >> 62 != 1) Fail("a matrix descriptor that is not swizzled by 128 B");
  const uint32_t plain =
      start + column / 64 * leading + k / 8 * stride + k % 8 * 128 + column % 64 * 2;
  const void* at = static_cast<const char*>(SharedMemory()) + (plain ^ (plain >> 7 & 7) << 4);
  CheckAccess(at, 16, false, false);
  std::memcpy(values, at, sizeof values);
}
// d[64 x n] = a[64 x 16] b[16 x n] (+ d), bf16; b along k, or along its columns.
template <int kColumns, bool kAlongColumns>
TIERSCOPE_SIMT_NO_HOOKS void WgmmaBf16(float* d, uint64_t a, uint64_t b, bool add) {
  const unsigned row = threadIdx.x / 32 % 4 * 16 + Lane() / 4;
  uint8_t left[2][32];
  ReadWgmmaRow(left[0], a, row);
  ReadWgmmaRow(left[1], a, row + 8);
  for (unsigned n = 0; n < kColumns / 8; ++n) {
    uint16_t right[8][16];  // [column][k]
    for (unsigned k = 0; kAlongColumns && k < 16; ++k) {
      uint16_t values[8];
      ReadWgmmaColumns(values, b, k, n * 8);
      for (unsigned c = 0; c < 8; ++c) right[c][k] = values[c];
    }
    for (unsigned c = 0; !kAlongColumns && c < 8; ++c) {
      uint8_t bytes[32];
      ReadWgmmaRow(bytes, b, n * 8 + c);
      std::memcpy(right[c], bytes, sizeof bytes);
    }
    for (unsigned i = 0; i < 4; ++i) {
      uint16_t values[16];
      std::memcpy(values, left[i / 2], sizeof values);
      const uint16_t(&column)[16] = right[2 * (Lane() % 4) + i % 2];
      double sum = add ? d[n * 4 + i] : 0.0;
      for (int k = 0; k < 16; ++k) sum += double{Bf16Value(values[k])} * Bf16Value(column[k]);
      d[n * 4 + i] = static_cast<float>(sum);
    }
  }
}

}  // namespace tierscope::simt

#endif  // TIERSCOPE_TESTS_TESTING_SIMT_INCLUDE_CUDA_RUNTIME_H_
