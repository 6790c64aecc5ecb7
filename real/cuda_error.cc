#include "real/cuda_error.h"

#include "absl/strings/str_cat.h"

namespace tierscope {
namespace {

// Errors that a kernel or the hardware left behind: every later call answers the same.
bool LosesContext(cudaError_t error) {
  switch (static_cast<int>(error)) {
    case cudaErrorECCUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::Status OutOfDeviceMemory(absl::string_view said) {
  return absl::ResourceExhaustedError(absl::StrCat(
      said,
      "; the device has no room for what this takes beside the run's named memory (code and stacks "
      "of kernels, graphs, events), and nothing of the run counts; lower workload.concurrency, "
      "workload.context_tokens or policy.reserve_entries, raise engine.tensor_parallel, or end "
      "what else runs on the device (nvidia-smi)"));
}

absl::Status FromCuda(cudaError_t error, absl::string_view op) {
  if (error == cudaSuccess) return absl::OkStatus();
  const std::string said =
      absl::StrCat(op, ": ", cudaGetErrorName(error), ": ", cudaGetErrorString(error));
  if (error == cudaErrorMemoryAllocation) {
    // It is no fault of the context, which goes on; nor may the next op that asks be told of it.
    static_cast<void>(cudaGetLastError());
    return OutOfDeviceMemory(said);
  }
  if (error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver ||
      error == cudaErrorInvalidDevice || error == cudaErrorSystemDriverMismatch ||
      error == cudaErrorInitializationError) {
    return absl::FailedPreconditionError(
        absl::StrCat(said,
                     "; run on a machine with an NVIDIA GPU and its driver (nvidia-smi shows "
                     "both), or with --backend=cpu"));
  }
  if (LosesContext(error)) {
    return absl::InternalError(absl::StrCat(
        said,
        "; a kernel failed and the device context is lost, so nothing of this run counts; "
        "kernels/gpu_check.sh runs every kernel under compute-sanitizer"));
  }
  return absl::InternalError(said);
}

absl::Status FromLauncher(const KernelStatus& status, absl::string_view op) {
  switch (status.code) {
    case KernelCode::kOk:
      return absl::OkStatus();
    case KernelCode::kInvalidArgument:
      return absl::InternalError(
          absl::StrCat(op, ": kernel refused its parameters: ", status.message));
    case KernelCode::kUnsupportedDevice:
      return absl::FailedPreconditionError(
          absl::StrCat(op, ": ", status.message, "; run on such a device, or with --backend=cpu"));
    case KernelCode::kCudaError:
      break;
  }
  const cudaError_t error = cudaPeekAtLastError();
  if (error != cudaSuccess) return FromCuda(error, op);
  return absl::InternalError(absl::StrCat(op, ": ", status.message));
}

}  // namespace tierscope
