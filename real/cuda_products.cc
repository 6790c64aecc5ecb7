#include "real/cuda_products.h"

#include <cublas_v2.h>

#include "absl/strings/str_cat.h"

#include "real/cuda_error.h"
#include "real/shared_library.h"
#include "sim/base/status_macros.h"

namespace tierscope {

struct CudaProducts::Functions {
  decltype(cublasCreate_v2)* create = nullptr;
  decltype(cublasDestroy_v2)* destroy = nullptr;
  decltype(cublasGetVersion_v2)* get_version = nullptr;
  decltype(cublasSetStream_v2)* set_stream = nullptr;
  decltype(cublasSetWorkspace_v2)* set_workspace = nullptr;
  // Spelled out: in C++ the header has a second function of this name.
  cublasStatus_t (*multiply)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
                             const void*, const void*, cudaDataType, int, long long int,
                             const void*, cudaDataType, int, long long int, const void*, void*,
                             cudaDataType, int, long long int, int, cublasComputeType_t,
                             cublasGemmAlgo_t) = nullptr;
};

namespace {

absl::Status FromBlas(cublasStatus_t status, absl::string_view op) {
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  const std::string said = absl::StrCat("cuBLAS: ", op, ": status ", static_cast<int>(status));
  if (status == CUBLAS_STATUS_ALLOC_FAILED) {
    return OutOfDeviceMemory(absl::StrCat(said, ": CUBLAS_STATUS_ALLOC_FAILED: out of memory"));
  }
  if (status == CUBLAS_STATUS_NOT_INITIALIZED) {
    return absl::InternalError(absl::StrCat(
        said,
        ": CUBLAS_STATUS_NOT_INITIALIZED; too little free device memory is one cause of it: see "
        "nvidia-smi for what else runs there"));
  }
  return absl::InternalError(said);
}

std::string ProductText(const GemmShape& shape) {
  return absl::StrCat("product of ", shape.groups, " x [", shape.rows, ", ", shape.inner, "] by [",
                      shape.inner, ", ", shape.columns, "]");
}

}  // namespace

CudaProducts::CudaProducts() : functions_(std::make_unique<Functions>()) {}

CudaProducts::~CudaProducts() {
  if (handle_ != nullptr) functions_->destroy(static_cast<cublasHandle_t>(handle_));
}

absl::StatusOr<std::unique_ptr<CudaProducts>> CudaProducts::Make(cudaStream_t stream,
                                                                 void* workspace,
                                                                 int64_t workspace_bytes) {
  TIERSCOPE_ASSIGN_OR_RETURN(
      const SharedLibrary library,
      SharedLibrary::Open("cuBLAS", "cublasCreate_v2",
                          {"libcublas.so.13", "libcublas.so.12", "libcublas.so",
                           "/usr/local/cuda/lib64/libcublas.so"},
                          "the backbone's products need it: put the CUDA toolkit's lib64 into "
                          "LD_LIBRARY_PATH"));
  std::unique_ptr<CudaProducts> products(new CudaProducts);
  Functions& f = *products->functions_;
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cublasCreate_v2", &f.create));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cublasDestroy_v2", &f.destroy));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cublasGetVersion_v2", &f.get_version));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cublasSetStream_v2", &f.set_stream));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cublasSetWorkspace_v2", &f.set_workspace));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cublasGemmStridedBatchedEx", &f.multiply));
  cublasHandle_t handle = nullptr;
  TIERSCOPE_RETURN_IF_ERROR(FromBlas(f.create(&handle), "cublasCreate"));
  products->handle_ = handle;
  int version = 0;
  TIERSCOPE_RETURN_IF_ERROR(FromBlas(f.get_version(handle, &version), "cublasGetVersion"));
  products->version_ = absl::StrCat("cuBLAS ", version / 10000, ".", version / 100 % 100);
  TIERSCOPE_RETURN_IF_ERROR(FromBlas(f.set_stream(handle, stream), "cublasSetStream"));
  TIERSCOPE_RETURN_IF_ERROR(
      FromBlas(f.set_workspace(handle, workspace, static_cast<size_t>(workspace_bytes)),
               "cublasSetWorkspace"));
  return products;
}

// cuBLAS has matrices by columns, so it is given the transposed product: y^T = w^T x^T.
absl::Status CudaProducts::Multiply(const GemmShape& shape, const uint16_t* x, const uint16_t* w,
                                    uint16_t* y) {
  const float one = 1.0f, zero = 0.0f;
  const auto rows = static_cast<int>(shape.rows);
  const auto columns = static_cast<int>(shape.columns);
  const auto inner = static_cast<int>(shape.inner);
  const cublasStatus_t status = functions_->multiply(
      static_cast<cublasHandle_t>(handle_), CUBLAS_OP_N, CUBLAS_OP_N, columns, rows, inner, &one, w,
      CUDA_R_16BF, columns, shape.columns * shape.inner, x, CUDA_R_16BF, inner,
      shape.rows * shape.inner, &zero, y, CUDA_R_16BF, columns, shape.rows * shape.columns,
      static_cast<int>(shape.groups), CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return FromBlas(status, ProductText(shape));
}

}  // namespace tierscope
