// Gathers: 16 bytes a lane, four independent loads in flight a thread, neighbouring lanes on
// neighbouring bytes, so that a warp asks the link for 512 contiguous bytes.
#include "kernels/device.cuh"
#include "kernels/gather.h"
#include "kernels/paged.h"

namespace tierscope {
namespace {

constexpr int kThreads = 512;
constexpr int kInFlight = 4;
constexpr int kUnitBytes = 16;
constexpr int64_t kChunkUnits = kThreads * kInFlight;

// Blocks take chunks of pages in turn.
__global__ void __launch_bounds__(kThreads)
    PageGatherKernel(const __grid_constant__ PageGatherParams p) {
  const int64_t page_units = p.page_bytes / kUnitBytes;
  const int64_t page_chunks = (page_units + kChunkUnits - 1) / kChunkUnits;
  for (int64_t chunk = blockIdx.x; chunk < p.move_count * page_chunks; chunk += gridDim.x) {
    const int64_t move = chunk / page_chunks;
    const int64_t first = chunk % page_chunks * kChunkUnits + threadIdx.x;
    const uint8_t* source = p.source + p.source_pages[move] * p.page_bytes;
    uint8_t* target = p.target + p.target_pages[move] * p.page_bytes;
    uint4 values[kInFlight];
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) {
      const int64_t unit = first + i * kThreads;
      if (unit < page_units) values[i] = LoadOnce16(source + unit * kUnitBytes);
    }
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) {
      const int64_t unit = first + i * kThreads;
      if (unit < page_units) *reinterpret_cast<uint4*>(target + unit * kUnitBytes) = values[i];
    }
  }
}

// An entry is 36 units of values and one of scales, which is 8 bytes.
constexpr int kValueUnits = kKvRowBytes / kUnitBytes;
constexpr int kEntryUnits = kValueUnits + 1;

__device__ __forceinline__ const uint8_t* UnitOf(const uint8_t* pool, int64_t page_bytes,
                                                 int32_t cell, int unit) {
  const uint8_t* page = pool + cell / kPageEntries * page_bytes;
  const int row = cell % kPageEntries;
  if (unit == kValueUnits) return page + kKvValuePlaneBytes + row * kKvScaleBytes;
  return page + row * kKvRowBytes + unit * kUnitBytes;
}

struct UnitMove {
  const uint8_t* source;
  uint8_t* target;
  bool scales;
};

__device__ __forceinline__ UnitMove MoveOf(const EntryGatherParams& p, int64_t work) {
  UnitMove move{nullptr, nullptr, false};
  if (work >= static_cast<int64_t>(p.move_count) * kEntryUnits) return move;
  const int32_t from = p.source_cells[work / kEntryUnits];
  const int32_t to = p.target_cells[work / kEntryUnits];
  if (from < 0 || to < 0) return move;
  const int unit = static_cast<int>(work % kEntryUnits);
  move.source = UnitOf(p.source, p.source_page_bytes, from, unit);
  move.target = const_cast<uint8_t*>(UnitOf(p.target, p.target_page_bytes, to, unit));
  move.scales = unit == kValueUnits;
  return move;
}

__global__ void __launch_bounds__(kThreads)
    EntryGatherKernel(const __grid_constant__ EntryGatherParams p) {
  const int64_t work_count = static_cast<int64_t>(p.move_count) * kEntryUnits;
  const int64_t stride = gridDim.x * kChunkUnits;
  for (int64_t base = blockIdx.x * kChunkUnits; base < work_count; base += stride) {
    UnitMove moves[kInFlight];
    uint4 values[kInFlight];
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) {
      moves[i] = MoveOf(p, base + i * kThreads + threadIdx.x);
      if (moves[i].source == nullptr) continue;
      if (moves[i].scales) {
        const uint2 half = *reinterpret_cast<const uint2*>(moves[i].source);
        values[i] = make_uint4(half.x, half.y, 0, 0);
      } else {
        values[i] = LoadOnce16(moves[i].source);
      }
    }
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) {
      if (moves[i].source == nullptr) continue;
      if (moves[i].scales) {
        *reinterpret_cast<uint2*>(moves[i].target) = make_uint2(values[i].x, values[i].y);
      } else {
        *reinterpret_cast<uint4*>(moves[i].target) = values[i];
      }
    }
  }
}

LaunchShape ShapeOf(int64_t unit_count, int32_t blocks_max) {
  const int64_t chunks = (unit_count + kChunkUnits - 1) / kChunkUnits;
  const int64_t blocks = chunks < blocks_max ? chunks : blocks_max;
  return {dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0};
}

}  // namespace

KernelStatus LaunchPageGather(const PageGatherParams& params, CUstream_st* stream) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckPageGather(params));
  if (params.move_count == 0) return {};
  const int64_t units = params.move_count * (params.page_bytes / kUnitBytes);
  return LaunchKernel(PageGatherKernel, ShapeOf(units, params.blocks_max), params, stream);
}

KernelStatus LaunchEntryGather(const EntryGatherParams& params, CUstream_st* stream) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckEntryGather(params));
  if (params.move_count == 0) return {};
  const int64_t units = int64_t{params.move_count} * kEntryUnits;
  return LaunchKernel(EntryGatherKernel, ShapeOf(units, params.blocks_max), params, stream);
}

}  // namespace tierscope
