// cuBLAS's functions by their definition, on the stand-in runtime: matrices by columns.
#include <cublas_v2.h>

#include <algorithm>
#include <vector>

#include "kernels/fp8.h"
#include "tests/testing/simt.h"
#include "tests/testing/simt_runtime.h"

struct cublasContext {
  cudaStream_t stream = nullptr;
};

namespace {

float FromBf16(uint16_t bits) { return tierscope::Bf16ToFloat(bits); }

struct Product {
  int m, n, k, batch_count;
  const uint16_t* a;
  const uint16_t* b;
  uint16_t* c;
  int lda, ldb, ldc;
  long long stride_a, stride_b, stride_c;
};

bool Multiply(const Product& p) {
  std::vector<float> column(static_cast<size_t>(p.m));
  for (int g = 0; g < p.batch_count; ++g) {
    for (int n = 0; n < p.n; ++n) {
      std::fill(column.begin(), column.end(), 0.0f);
      for (int i = 0; i < p.k; ++i) {
        const float b = FromBf16(p.b[g * p.stride_b + i + int64_t{n} * p.ldb]);
        const uint16_t* a = p.a + g * p.stride_a + int64_t{i} * p.lda;
        for (int m = 0; m < p.m; ++m) column[static_cast<size_t>(m)] += FromBf16(a[m]) * b;
      }
      uint16_t* to = p.c + g * p.stride_c + int64_t{n} * p.ldc;
      if (!tierscope::simt::MarkWritten(to, column.size() * sizeof *to)) {
        tierscope::simt::Fail("a product writes outside of any allocation");
        return false;
      }
      std::transform(column.begin(), column.end(), to, tierscope::FloatToBf16);
    }
  }
  return true;
}

// The first and last elements of what a product reads, of some thousands in between: there, and
// written.
bool Readable(const uint16_t* operand, long long stride, int rows, int columns, int ld,
              int batch_count) {
  const long long last = (batch_count - 1) * stride + int64_t{columns - 1} * ld + rows - 1;
  for (long long i = 0; i <= last; i += 997) {
    if (tierscope::simt::UnwrittenBytes(operand + i, 2) > 0) return false;
  }
  return tierscope::simt::UnwrittenBytes(operand + last, 2) == 0;
}

}  // namespace

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int* version) {
  *version = 130100;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void* workspace, size_t) {
  return reinterpret_cast<uintptr_t>(workspace) % 256 == 0 ? CUBLAS_STATUS_SUCCESS
                                                           : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t,
                                          cublasOperation_t, int m, int n, int k, const void*,
                                          const void* a, cudaDataType, int lda,
                                          long long int stride_a, const void* b, cudaDataType,
                                          int ldb, long long int stride_b, const void*, void* c,
                                          cudaDataType, int ldc, long long int stride_c,
                                          int batch_count, cublasComputeType_t, cublasGemmAlgo_t) {
  if (m < 1 || n < 1 || k < 1 || lda < m || ldb < k || ldc < m || batch_count < 1) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const Product product{m,
                        n,
                        k,
                        batch_count,
                        static_cast<const uint16_t*>(a),
                        static_cast<const uint16_t*>(b),
                        static_cast<uint16_t*>(c),
                        lda,
                        ldb,
                        ldc,
                        stride_a,
                        stride_b,
                        stride_c};
  const int error =
      tierscope::simt::SubmitOp(handle->stream, tierscope::simt::OpKind::kKernel, 0, [product] {
        const Product& p = product;
        if (!Readable(p.a, p.stride_a, p.m, p.k, p.lda, p.batch_count) ||
            !Readable(p.b, p.stride_b, p.k, p.n, p.ldb, p.batch_count)) {
          tierscope::simt::Fail("a product reads what nothing wrote");
          return false;
        }
        return Multiply(p);
      });
  if (error == cudaErrorMemoryAllocation) return CUBLAS_STATUS_ALLOC_FAILED;
  return error == 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
