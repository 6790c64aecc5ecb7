// cuBLAS's functions by their definition, on the stand-in runtime: matrices by columns, sums in
// double.
#include <cublas_v2.h>

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
  for (int g = 0; g < p.batch_count; ++g) {
    for (int row = 0; row < p.m; ++row) {
      for (int column = 0; column < p.n; ++column) {
        double sum = 0;
        for (int i = 0; i < p.k; ++i) {
          sum += double{FromBf16(p.a[g * p.stride_a + row + int64_t{i} * p.lda])} *
                 FromBf16(p.b[g * p.stride_b + i + int64_t{column} * p.ldb]);
        }
        uint16_t* to = p.c + g * p.stride_c + row + int64_t{column} * p.ldc;
        if (!tierscope::simt::MarkWritten(to, sizeof *to)) {
          tierscope::simt::Fail("a product writes outside of any allocation");
          return false;
        }
        *to = tierscope::FloatToBf16(static_cast<float>(sum));
      }
    }
  }
  return true;
}

// Elements of the operand that a product reads: they must be there and written.
bool Readable(const uint16_t* operand, long long stride, int rows, int columns, int ld,
              int batch_count) {
  const long long last = (batch_count - 1) * stride + int64_t{columns - 1} * ld + rows;
  return tierscope::simt::UnwrittenBytes(operand, static_cast<size_t>(last) * 2) == 0;
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
  return error == 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
