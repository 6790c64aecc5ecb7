// The launchers of kernels/ on the stand-in runtime, with the CPU versions of the ops behind them:
// parameters are checked at the call, the work is queued on the stream. For what happens around
// kernels; the kernels themselves run under the SIMT machine.
#include "kernels/cpu_kernels.h"
#include "tests/testing/simt_runtime.h"

namespace tierscope {
namespace {

template <typename Params>
KernelStatus Queue(const Params& params, CUstream_st* stream, KernelStatus (*check)(const Params&),
                   KernelStatus (*run)(const Params&)) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(check(params));
  const int error =
      simt::SubmitOp(stream, simt::OpKind::kKernel, 0, [params, run] { return run(params).ok(); });
  if (error == 0) return {};
  return {KernelCode::kCudaError, "the stand-in runtime refused a launch"};
}

}  // namespace

KernelStatus LaunchMemoryScore(const MemoryScoreParams& params, CUstream_st* stream) {
  return Queue(params, stream, CheckMemoryScore, MemoryScoreOnCpu);
}
KernelStatus LaunchNativeScore(const NativeScoreParams& params, CUstream_st* stream) {
  return Queue(params, stream, CheckNativeScore, NativeScoreOnCpu);
}
KernelStatus LaunchPageSelect(const PageSelectParams& params, CUstream_st* stream) {
  return Queue(params, stream, CheckPageSelect, PageSelectOnCpu);
}
KernelStatus LaunchTopEntries(const TopEntriesParams& params, CUstream_st* stream) {
  return Queue(params, stream, CheckTopEntries, TopEntriesOnCpu);
}
KernelStatus LaunchAttention(const AttentionParams& params, CUstream_st* stream) {
  return Queue(params, stream, CheckAttention, AttentionOnCpu);
}
KernelStatus LaunchPageGather(const PageGatherParams& params, CUstream_st* stream) {
  if (params.move_count == 0) return CheckPageGather(params);
  return Queue(params, stream, CheckPageGather, PageGatherOnCpu);
}

}  // namespace tierscope
