#include <algorithm>
#include <chrono>
#include <vector>

#include "kernels/bench/bench_timer.h"
#include "kernels/device.cuh"
#include "kernels/device_memory.h"
#ifdef TIERSCOPE_HAVE_CUBLASLT
#include <cublasLt.h>
#endif

namespace tierscope::bench {
namespace {

#define TIERSCOPE_BENCH_CUDA(call) TIERSCOPE_KERNEL_RETURN_IF_ERROR(CudaStatus(call))

double Percentile(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(fraction * static_cast<double>(values.size() - 1))];
}

// A stream, two events, and memory to overwrite the L2 cache with.
struct Clock {
  ~Clock() {
    cudaFree(flush);
    cudaEventDestroy(before);
    cudaEventDestroy(after);
    DestroyStream(stream);
  }
  KernelStatus Open() {
    stream = CreateStream(false);
    int l2 = 0;
    TIERSCOPE_BENCH_CUDA(cudaDeviceGetAttribute(&l2, cudaDevAttrL2CacheSize, 0));
    flush_bytes = static_cast<size_t>(l2) * 2;
    TIERSCOPE_BENCH_CUDA(cudaMalloc(&flush, flush_bytes));
    TIERSCOPE_BENCH_CUDA(cudaEventCreate(&before));
    return CudaStatus(cudaEventCreate(&after));
  }
  // One run between two events. The flush, or a short one, keeps the stream busy while the host
  // submits.
  KernelStatus RunOnce(const Work& work, bool cold, double* device_us, double* host_us) {
    TIERSCOPE_BENCH_CUDA(cudaMemsetAsync(flush, 1, cold ? flush_bytes : flush_bytes / 8, stream));
    if (!cold) TIERSCOPE_KERNEL_RETURN_IF_ERROR(work(stream));
    TIERSCOPE_BENCH_CUDA(cudaEventRecord(before, stream));
    const auto begin = std::chrono::steady_clock::now();
    TIERSCOPE_KERNEL_RETURN_IF_ERROR(work(stream));
    const auto end = std::chrono::steady_clock::now();
    TIERSCOPE_BENCH_CUDA(cudaEventRecord(after, stream));
    TIERSCOPE_BENCH_CUDA(cudaEventSynchronize(after));
    float ms = 0;
    TIERSCOPE_BENCH_CUDA(cudaEventElapsedTime(&ms, before, after));
    *device_us = static_cast<double>(ms) * 1e3;
    *host_us = std::chrono::duration<double, std::micro>(end - begin).count();
    return {};
  }

  CUstream_st* stream = nullptr;
  void* flush = nullptr;
  size_t flush_bytes = 0;
  cudaEvent_t before = nullptr;
  cudaEvent_t after = nullptr;
};

__global__ void FillKernel(uint32_t* words, size_t count, uint64_t seed) {
  const size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
  for (size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    uint64_t x = (i + seed) * 0x9e3779b97f4a7c15ULL;  // one round of SplitMix64
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    words[i] = static_cast<uint32_t>(x >> 32) & 0xBFBFBFBFu;
  }
}

// The rate of `work`, which moves or computes `amount`.
KernelStatus RateOf(const Work& work, double amount, double* rate) {
  Timing timing;
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(TimeWork(work, 15, &timing));
  *rate = amount / (timing.warm_us * 1e-6);
  return {};
}

KernelStatus MeasureCopies(Ceilings* ceilings) {
  constexpr size_t kBytes = size_t{1} << 30;
  void* from = AllocateDevice(kBytes);
  void* to = AllocateDevice(kBytes);
  void* host = AllocatePinned(kBytes / 4);
  KernelStatus status{KernelCode::kCudaError, "no memory for the copy ceilings"};
  if (from != nullptr && to != nullptr && host != nullptr) {
    status = FillRandom(from, kBytes, 1);
    if (status.ok()) status = CopyToHost(host, from, kBytes / 4);
    const auto on_device = [&](CUstream_st* s) {
      return CudaStatus(cudaMemcpyAsync(to, from, kBytes, cudaMemcpyDeviceToDevice, s));
    };
    const auto to_device = [&](CUstream_st* s) {
      return CudaStatus(cudaMemcpyAsync(to, host, kBytes / 4, cudaMemcpyHostToDevice, s));
    };
    if (status.ok()) status = RateOf(on_device, 2.0 * kBytes, &ceilings->copy_bytes_per_s);
    if (status.ok()) status = RateOf(to_device, kBytes / 4, &ceilings->recall_bytes_per_s);
  }
  FreeDevice(from);
  FreeDevice(to);
  FreePinned(host);
  return status;
}

#ifdef TIERSCOPE_HAVE_CUBLASLT
struct Gemm {
  static constexpr int kSize = 8192;
  static constexpr size_t kBytes = size_t{2} * kSize * kSize;
  static constexpr size_t kWorkspaceBytes = size_t{64} << 20;

  ~Gemm() {
    for (void* p : {a, b, c, workspace}) FreeDevice(p);
    cublasLtMatrixLayoutDestroy(layout);
    cublasLtMatmulDescDestroy(operation);
    cublasLtDestroy(handle);
  }
  KernelStatus Open() {
    const KernelStatus failed{KernelCode::kCudaError, "cuBLASLt could not be set up"};
    a = AllocateDevice(kBytes);
    b = AllocateDevice(kBytes);
    c = AllocateDevice(kBytes);
    workspace = AllocateDevice(kWorkspaceBytes);
    if (a == nullptr || b == nullptr || c == nullptr || workspace == nullptr) return failed;
    TIERSCOPE_KERNEL_RETURN_IF_ERROR(FillRandom(a, kBytes, 2));
    TIERSCOPE_KERNEL_RETURN_IF_ERROR(FillRandom(b, kBytes, 3));
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const bool ok =
        cublasLtCreate(&handle) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F) ==
            CUBLAS_STATUS_SUCCESS &&
        cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                       sizeof transposed) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatrixLayoutCreate(&layout, CUDA_R_16BF, kSize, kSize, kSize) ==
            CUBLAS_STATUS_SUCCESS;
    if (!ok) return failed;
    cublasLtMatmulPreference_t preference = nullptr;
    cublasLtMatmulPreferenceCreate(&preference);
    const size_t limit = kWorkspaceBytes;
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                         &limit, sizeof limit);
    int found = 0;
    cublasLtMatmulAlgoGetHeuristic(handle, operation, layout, layout, layout, layout, preference, 1,
                                   &heuristic, &found);
    cublasLtMatmulPreferenceDestroy(preference);
    return found == 1 ? KernelStatus{} : failed;
  }
  KernelStatus Run(CUstream_st* stream) {
    const float one = 1.0f;
    const float zero = 0.0f;
    const auto status =
        cublasLtMatmul(handle, operation, &one, a, layout, b, layout, &zero, c, layout, c, layout,
                       &heuristic.algo, workspace, kWorkspaceBytes, stream);
    if (status == CUBLAS_STATUS_SUCCESS) return {};
    return {KernelCode::kCudaError, "cublasLtMatmul failed"};
  }

  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t layout = nullptr;
  cublasLtMatmulHeuristicResult_t heuristic{};
  void* a = nullptr;
  void* b = nullptr;
  void* c = nullptr;
  void* workspace = nullptr;
};

KernelStatus MeasureGemm(Ceilings* ceilings) {
  Gemm gemm;
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(gemm.Open());
  const double flop = 2.0 * Gemm::kSize * Gemm::kSize * Gemm::kSize;
  return RateOf([&](CUstream_st* s) { return gemm.Run(s); }, flop, &ceilings->bf16_flop_per_s);
}
#else
KernelStatus MeasureGemm(Ceilings*) { return {}; }
#endif

}  // namespace

KernelStatus TimeWork(const Work& work, int repeats, Timing* timing) {
  Clock clock;
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(clock.Open());
  std::vector<double> cold, warm, submit;
  for (int i = -2; i < repeats; ++i) {
    double device_us = 0;
    double host_us = 0;
    TIERSCOPE_KERNEL_RETURN_IF_ERROR(clock.RunOnce(work, true, &device_us, &host_us));
    if (i >= 0) cold.push_back(device_us);
    if (i >= 0) submit.push_back(host_us);
  }
  for (int i = -2; i < repeats; ++i) {
    double device_us = 0;
    double host_us = 0;
    TIERSCOPE_KERNEL_RETURN_IF_ERROR(clock.RunOnce(work, false, &device_us, &host_us));
    if (i >= 0) warm.push_back(device_us);
  }
  timing->cold_us = Percentile(cold, 0.5);
  timing->warm_us = Percentile(warm, 0.5);
  timing->warm_spread = (Percentile(warm, 0.9) - Percentile(warm, 0.1)) / timing->warm_us;
  timing->submit_us = Percentile(submit, 0.5);
  return {};
}

KernelStatus DescribeDevice(DeviceFacts* facts) {
  cudaDeviceProp properties;
  TIERSCOPE_BENCH_CUDA(cudaGetDeviceProperties(&properties, 0));
  facts->name = properties.name;
  facts->sm_count = properties.multiProcessorCount;
  facts->l2_bytes = properties.l2CacheSize;
  facts->memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  TIERSCOPE_BENCH_CUDA(cudaDriverGetVersion(&facts->driver_version));
  return CudaStatus(cudaRuntimeGetVersion(&facts->runtime_version));
}

KernelStatus MeasureCeilings(Ceilings* ceilings) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(MeasureCopies(ceilings));
  return MeasureGemm(ceilings);
}

KernelStatus FillRandom(void* memory, size_t byte_count, uint64_t seed) {
  FillKernel<<<1024, 256>>>(static_cast<uint32_t*>(memory), byte_count / 4, seed << 40);
  return FinishDevice();
}

}  // namespace tierscope::bench
