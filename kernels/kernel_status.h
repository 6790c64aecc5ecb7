// What a launcher answers before it launches anything. Plain data: kernels' headers need neither
// Abseil nor CUDA.
#ifndef TIERSCOPE_KERNELS_KERNEL_STATUS_H_
#define TIERSCOPE_KERNELS_KERNEL_STATUS_H_

// CUDA's cudaStream_t, without its header. A null stream is CUDA's default stream.
struct CUstream_st;

namespace tierscope {

enum class KernelCode { kOk, kInvalidArgument, kUnsupportedDevice, kCudaError };

struct [[nodiscard]] KernelStatus {
  KernelCode code = KernelCode::kOk;
  const char* message = "";  // what, where, what to do; a string that lives for ever
  bool ok() const { return code == KernelCode::kOk; }
};

inline KernelStatus InvalidKernelArgument(const char* message) {
  return {KernelCode::kInvalidArgument, message};
}

}  // namespace tierscope

#define TIERSCOPE_KERNEL_REQUIRE(condition, message)                      \
  do {                                                                    \
    if (!(condition)) return ::tierscope::InvalidKernelArgument(message); \
  } while (false)
#define TIERSCOPE_KERNEL_RETURN_IF_ERROR(expression)                            \
  do {                                                                          \
    if (const ::tierscope::KernelStatus s_ = (expression); !s_.ok()) return s_; \
  } while (false)

#endif  // TIERSCOPE_KERNELS_KERNEL_STATUS_H_
