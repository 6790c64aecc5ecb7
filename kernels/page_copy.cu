#include "kernels/device.cuh"
#include "kernels/page_copy.h"

namespace tierscope {

KernelStatus SubmitPageCopies(const PageCopyBatch& batch, CUstream_st* stream) {
  TIERSCOPE_KERNEL_REQUIRE(stream != nullptr,
                           "page copy: null stream; batched copies need a stream of their own");
  if (batch.sizes.empty()) return {};
  cudaMemcpyAttributes attributes{};
  attributes.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
  attributes.flags = cudaMemcpyFlagPreferOverlapWithCompute;
  size_t first_of_attributes = 0;
#if CUDART_VERSION >= 13000
  return CudaStatus(cudaMemcpyBatchAsync(batch.targets.data(), batch.sources.data(),
                                         batch.sizes.data(), batch.sizes.size(), &attributes,
                                         &first_of_attributes, 1, stream));
#else
  // CUDA 12.8 and 12.9 take the arrays without const and name the copy that failed.
  size_t failed = 0;
  return CudaStatus(cudaMemcpyBatchAsync(
      const_cast<void**>(batch.targets.data()), const_cast<void**>(batch.sources.data()),
      const_cast<size_t*>(batch.sizes.data()), batch.sizes.size(), &attributes,
      &first_of_attributes, 1, &failed, stream));
#endif
}

}  // namespace tierscope
