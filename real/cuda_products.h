// Products of the backbone through cuBLAS, bf16 with sums in fp32, groups as one batched call. The
// library is looked up at run time, so that a machine without it still runs all else. Of one
// stream; the workspace is given, so that a product may be captured into a graph.
#ifndef TIERSCOPE_REAL_CUDA_PRODUCTS_H_
#define TIERSCOPE_REAL_CUDA_PRODUCTS_H_

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "real/backend.h"

namespace tierscope {

class CudaProducts {
 public:
  // `workspace`: device memory. Error: Unavailable without the library.
  static absl::StatusOr<std::unique_ptr<CudaProducts>> Make(cudaStream_t stream, void* workspace,
                                                            int64_t workspace_bytes);
  ~CudaProducts();

  // y[group][row][column] = sum over inner of x[group][row][inner] * w[group][inner][column], bf16.
  absl::Status Multiply(const GemmShape& shape, const uint16_t* x, const uint16_t* w, uint16_t* y);
  const std::string& version() const { return version_; }

 private:
  struct Functions;
  CudaProducts();

  std::unique_ptr<Functions> functions_;
  void* handle_ = nullptr;
  std::string version_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CUDA_PRODUCTS_H_
