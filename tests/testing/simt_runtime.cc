#include "tests/testing/simt_runtime.h"

#include <cuda_runtime.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "sim/base/rng.h"
#include "tests/testing/simt_shadow.h"

struct QueuedOp {
  tierscope::simt::OpKind kind = tierscope::simt::OpKind::kOther;
  size_t byte_count = 0;
  uint32_t correlation = 0;
  std::function<bool()> run;
};
struct CUstream_st {
  std::vector<QueuedOp> queue;
  CUgraph_st* capture = nullptr;
};
struct CUevent_st {
  int64_t ns = -1;  // -1: not recorded, or not reached yet
};
struct CUgraph_st {
  std::vector<QueuedOp> ops;
  bool invalid = false;
};
struct CUgraphExec_st {
  std::vector<QueuedOp> ops;
};

namespace tierscope::simt {
namespace {

struct Runtime {
  RuntimeOptions options;
  RuntimeCounts counts;
  std::recursive_mutex mutex;
  cudaError_t last = cudaSuccess;
  cudaError_t lost = cudaSuccess;  // of the context
  std::set<CUstream_st*> streams;
  std::set<void*> pinned;
  int64_t device_used = 0;
  int64_t pinned_used = 0;
  uint32_t correlation = 0;
  Rng rng{1};
  OpObserver* observer = nullptr;
};
Runtime& R() {
  static auto& runtime = *new Runtime;
  return runtime;
}
using Lock = std::lock_guard<std::recursive_mutex>;

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

cudaError_t Answer(cudaError_t error) {
  if (error != cudaSuccess) R().last = error;
  return R().lost != cudaSuccess ? R().lost : error;
}

// Whether this is the call that finds no memory.
bool OutOfMemory() {
  Runtime& r = R();
  ++r.counts.calls;
  if (r.options.calls_until_no_memory < 0 || r.options.calls_until_no_memory-- > 0) return false;
  r.last = cudaErrorMemoryAllocation;
  return true;
}

bool RunCounted(const QueuedOp& op) {
  Runtime& r = R();
  const bool counts = op.kind != OpKind::kOther;
  if (counts) ++r.counts.ops;
  const bool faulty = counts && r.options.ops_until_fault >= 0 && r.options.ops_until_fault-- == 0;
  const int64_t begin = NowNs();
  if (faulty || !op.run()) return false;
  if (counts && r.observer != nullptr) {
    r.observer->OnRun(op.kind, op.correlation, begin, NowNs(), op.byte_count);
  }
  return true;
}

// Runs the first `count` ops of the queue; after a failure nothing runs any more.
cudaError_t Drain(CUstream_st* stream, size_t count) {
  std::vector<QueuedOp> ops(std::make_move_iterator(stream->queue.begin()),
                            std::make_move_iterator(stream->queue.begin() + count));
  stream->queue.erase(stream->queue.begin(), stream->queue.begin() + count);
  for (const QueuedOp& op : ops) {
    if (R().lost != cudaSuccess) break;
    if (!RunCounted(op)) R().lost = R().last = cudaErrorIllegalAddress;
  }
  return R().lost;
}

cudaError_t EnqueueOp(CUstream_st* stream, QueuedOp op) {
  Runtime& r = R();
  if (r.lost != cudaSuccess) return r.lost;
  op.correlation = ++r.correlation;
  if (r.observer != nullptr && op.kind != OpKind::kOther) r.observer->OnSubmit(op.correlation);
  if (stream == nullptr) {
    if (!RunCounted(op)) r.lost = r.last = cudaErrorIllegalAddress;
    return r.lost;
  }
  if (stream->capture != nullptr) {
    stream->capture->ops.push_back(std::move(op));
    return cudaSuccess;
  }
  stream->queue.push_back(std::move(op));
  // The device may be ahead of whoever waits for it.
  if (r.options.eager_at_random && r.rng.NextBelow(8) == 0) {
    static_cast<void>(Drain(stream, r.rng.NextBelow(stream->queue.size() + 1)));
  }
  return cudaSuccess;
}

// An op by a call of its own.
cudaError_t Enqueue(CUstream_st* stream, QueuedOp op) {
  if (R().lost == cudaSuccess && OutOfMemory()) {
    if (stream != nullptr && stream->capture != nullptr) stream->capture->invalid = true;
    return cudaErrorMemoryAllocation;
  }
  return EnqueueOp(stream, std::move(op));
}

bool CopyNow(void* to, const void* from, size_t byte_count) {
  if (InArena(from) && UnwrittenBytes(from, byte_count) > 0) {
    Fail("a copy reads what nothing wrote");
    return false;
  }
  if (InArena(to) && !MarkWritten(to, byte_count)) {
    Fail("a copy to memory outside of any allocation");
    return false;
  }
  std::memcpy(to, from, byte_count);
  return true;
}

cudaError_t AllocateWithin(void** memory, size_t byte_count, int64_t* used, int64_t limit) {
  Runtime& r = R();
  if (r.lost != cudaSuccess) return r.lost;
  const bool fits = static_cast<int64_t>(byte_count) <= limit - *used;
  if (!fits || OutOfMemory()) return Answer(cudaErrorMemoryAllocation);
  *used += static_cast<int64_t>(byte_count);
  *memory = Allocate(byte_count);
  ++r.counts.allocations;
  return cudaSuccess;
}

cudaError_t FreeWithin(void* memory, int64_t* used) {
  if (memory == nullptr) return R().lost;
  *used -= static_cast<int64_t>(AllocationBytes(memory));
  Free(memory);
  --R().counts.allocations;
  return R().lost;
}

}  // namespace

RuntimeOptions& TheRuntime() { return R().options; }

void ResetRuntime() {
  Runtime& r = R();
  const Lock lock(r.mutex);
  r.options = RuntimeOptions();
  r.last = r.lost = cudaSuccess;
  r.counts.ops = r.counts.calls = r.counts.batches = r.counts.graphs_made =
      r.counts.graph_launches = 0;
}

void RecoverContext() {
  const Lock lock(R().mutex);
  R().last = R().lost = cudaSuccess;
}

RuntimeCounts CountRuntime() {
  const Lock lock(R().mutex);
  return R().counts;
}

int SubmitOp(CUstream_st* stream, OpKind kind, size_t byte_count, std::function<bool()> run) {
  const Lock lock(R().mutex);
  return Enqueue(stream, {kind, byte_count, 0, std::move(run)});
}

cudaError_t SubmitKernel(cudaStream_t stream, std::function<bool()> run) {
  const Lock lock(R().mutex);
  return Answer(Enqueue(stream, {OpKind::kKernel, 0, 0, std::move(run)}));
}

void ObserveOps(OpObserver* observer) {
  const Lock lock(R().mutex);
  R().observer = observer;
}

}  // namespace tierscope::simt

using tierscope::simt::Lock, tierscope::simt::OpKind, tierscope::simt::R;
namespace simt = tierscope::simt;

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    default:
      return "the SIMT machine abandoned a launch";
  }
}
const char* cudaGetErrorName(cudaError_t error) {
  static thread_local char text[32];
  std::snprintf(text, sizeof text, "cudaError%d", static_cast<int>(error));
  return text;
}
cudaError_t cudaGetLastError() {
  const Lock lock(R().mutex);
  return std::exchange(R().last, R().lost);
}
cudaError_t cudaPeekAtLastError() {
  const Lock lock(R().mutex);
  return R().last;
}

cudaError_t cudaGetDeviceCount(int* count) {
  const Lock lock(R().mutex);
  *count = 0;
  if (!R().options.has_driver) return cudaErrorInsufficientDriver;
  if (!R().options.has_device) return cudaErrorNoDevice;
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  const auto& machine = simt::MachineOptions();
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "SIMT machine");
  properties->major = machine.capability / 10;
  properties->minor = machine.capability % 10;
  properties->multiProcessorCount = machine.sm_count;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const auto& options = simt::MachineOptions();
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = options.sm_count;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = options.capability / 10;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = options.capability % 10;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = options.shared_bytes_max;
      break;
  }
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int) {
  std::snprintf(text, static_cast<size_t>(length), "0000:17:00.0");
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  const Lock lock(R().mutex);
  *total_bytes = static_cast<size_t>(R().options.device_bytes);
  *free_bytes = static_cast<size_t>(R().options.device_bytes - R().device_used);
  return R().lost;
}

cudaError_t cudaDeviceSynchronize() {
  const Lock lock(R().mutex);
  for (CUstream_st* stream : R().streams) {
    static_cast<void>(simt::Drain(stream, stream->queue.size()));
  }
  return R().lost;
}
cudaError_t cudaMalloc(void** memory, size_t byte_count) {
  const Lock lock(R().mutex);
  return simt::AllocateWithin(memory, byte_count, &R().device_used, R().options.device_bytes);
}
cudaError_t cudaFree(void* memory) {
  const Lock lock(R().mutex);
  return simt::FreeWithin(memory, &R().device_used);
}
cudaError_t cudaMallocHost(void** memory, size_t byte_count) {
  const Lock lock(R().mutex);
  return simt::AllocateWithin(memory, byte_count, &R().pinned_used, R().options.pinned_bytes);
}
cudaError_t cudaHostAlloc(void** memory, size_t byte_count, unsigned) {
  const Lock lock(R().mutex);
  const cudaError_t error = cudaMallocHost(memory, byte_count);
  if (error == cudaSuccess) static_cast<void>(simt::MarkWritten(*memory, byte_count));
  return error;
}
cudaError_t cudaFreeHost(void* memory) {
  const Lock lock(R().mutex);
  return simt::FreeWithin(memory, &R().pinned_used);
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t byte_count, cudaMemcpyKind kind) {
  const Lock lock(R().mutex);
  if (kind == cudaMemcpyHostToDevice && !simt::MarkWritten(to, byte_count)) {
    simt::Fail("cudaMemcpy to memory outside of any allocation");
    return cudaErrorInvalidValue;
  }
  std::memcpy(to, from, byte_count);
  return R().lost;
}
cudaError_t cudaMemset(void* to, int value, size_t byte_count) {
  const Lock lock(R().mutex);
  if (!simt::MarkWritten(to, byte_count)) return cudaErrorInvalidValue;
  std::memset(to, value, byte_count);
  return R().lost;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t byte_count, cudaMemcpyKind,
                            cudaStream_t stream) {
  const Lock lock(R().mutex);
  if (!simt::InArena(from)) {
    auto staged = std::make_shared<std::vector<uint8_t>>(byte_count);
    std::memcpy(staged->data(), from, byte_count);
    return simt::Enqueue(stream, {OpKind::kCopy, byte_count, 0,
                                  [=] { return simt::CopyNow(to, staged->data(), byte_count); }});
  }
  const cudaError_t error = simt::Enqueue(
      stream, {OpKind::kCopy, byte_count, 0, [=] { return simt::CopyNow(to, from, byte_count); }});
  if (simt::InArena(to) || stream == nullptr || error != cudaSuccess) return error;
  return cudaStreamSynchronize(stream);  // to pageable memory
}

cudaError_t cudaMemcpyBatchAsync(void* const* to, const void* const* from,
                                 const size_t* byte_counts, size_t count,
                                 cudaMemcpyAttributes* attributes, size_t*, size_t attribute_count,
                                 cudaStream_t stream) {
  const Lock lock(R().mutex);
  if (stream == nullptr || count == 0 || attribute_count != 1 || attributes->srcAccessOrder == 0) {
    return simt::Answer(cudaErrorInvalidValue);
  }
  struct Piece {
    void* to;
    const void* from;
    size_t byte_count;
  };
  std::vector<Piece> pieces;
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!simt::InArena(from[i]) || !simt::InArena(to[i])) {
      simt::Fail("a batched copy of pageable memory");
      return simt::Answer(cudaErrorInvalidValue);
    }
    pieces.push_back({to[i], from[i], byte_counts[i]});
    total += byte_counts[i];
  }
  ++R().counts.batches;
  for (size_t i = count; i > 1; --i) std::swap(pieces[i - 1], pieces[R().rng.NextBelow(i)]);
  return simt::Enqueue(stream, {OpKind::kCopy, total, 0, [pieces = std::move(pieces)] {
                                  for (const Piece& piece : pieces) {
                                    if (!simt::CopyNow(piece.to, piece.from, piece.byte_count)) {
                                      return false;
                                    }
                                  }
                                  return true;
                                }});
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* lowest, int* highest) {
  *lowest = 0;
  *highest = -5;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) {
  const Lock lock(R().mutex);
  if (simt::OutOfMemory()) return cudaErrorMemoryAllocation;
  *stream = new CUstream_st;
  R().streams.insert(*stream);
  ++R().counts.streams;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(R().mutex);
  static_cast<void>(simt::Drain(stream, stream->queue.size()));
  R().streams.erase(stream);
  --R().counts.streams;
  delete stream;
  return R().lost;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock(R().mutex);
  if (stream == nullptr) return R().lost;
  if (stream->capture != nullptr) return simt::Answer(cudaErrorStreamCaptureUnsupported);
  return simt::Drain(stream, stream->queue.size());
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  const Lock lock(R().mutex);
  if (simt::OutOfMemory()) return cudaErrorMemoryAllocation;
  *event = new CUevent_st;
  ++R().counts.events;
  return R().lost;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Lock lock(R().mutex);
  --R().counts.events;
  delete event;
  return R().lost;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  const Lock lock(R().mutex);
  event->ns = -1;
  // Captured without the flag it orders streams and has no time.
  if (stream->capture != nullptr && flags != cudaEventRecordExternal) return R().lost;
  if (stream->capture == nullptr && flags != 0) return simt::Answer(cudaErrorInvalidValue);
  return simt::Enqueue(stream, {OpKind::kOther, 0, 0, [event] {
                                  event->ns = simt::NowNs();
                                  return true;
                                }});
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return cudaEventRecordWithFlags(event, stream, 0);
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  const Lock lock(R().mutex);
  if (from->ns < 0 || to->ns < 0) return simt::Answer(cudaErrorNotReady);
  *ms = static_cast<float>(static_cast<double>(to->ns - from->ns) / 1e6);
  return R().lost;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const Lock lock(R().mutex);
  if (stream == nullptr || stream->capture != nullptr) return simt::Answer(cudaErrorInvalidValue);
  if (simt::OutOfMemory()) return cudaErrorMemoryAllocation;
  stream->capture = new CUgraph_st;
  ++R().counts.graphs;
  return R().lost;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Lock lock(R().mutex);
  *graph = std::exchange(stream->capture, nullptr);
  if (*graph == nullptr) return simt::Answer(cudaErrorInvalidValue);
  if (!(*graph)->invalid) return R().lost;
  static_cast<void>(cudaGraphDestroy(std::exchange(*graph, nullptr)));
  return simt::Answer(cudaErrorStreamCaptureInvalidated);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  const Lock lock(R().mutex);
  if (simt::OutOfMemory()) return cudaErrorMemoryAllocation;
  *executable = new CUgraphExec_st{graph->ops};
  ++R().counts.graphs;
  ++R().counts.graphs_made;
  return R().lost;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const Lock lock(R().mutex);
  if (simt::OutOfMemory()) return cudaErrorMemoryAllocation;
  ++R().counts.graph_launches;
  for (const QueuedOp& op : executable->ops) static_cast<void>(simt::EnqueueOp(stream, op));
  return R().lost;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const Lock lock(R().mutex);
  --R().counts.graphs;
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const Lock lock(R().mutex);
  --R().counts.graphs;
  delete executable;
  return cudaSuccess;
}
