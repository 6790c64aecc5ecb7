// The ops in float on the CPU, for a backend without a GPU: vectorised and on all cores, with the
// parameters of the launchers, on host memory. A sum runs over its terms in one order whatever the
// vector width, and no multiply-add is fused: the same bits on any x86-64.
#ifndef TIERSCOPE_KERNELS_CPU_KERNELS_H_
#define TIERSCOPE_KERNELS_CPU_KERNELS_H_

#include "kernels/attention.h"
#include "kernels/gather.h"
#include "kernels/index_score.h"
#include "kernels/kernel_status.h"
#include "kernels/page_select.h"
#include "kernels/top_entries.h"

namespace tierscope {

// Each checks its parameters as the launcher does, and returns when the work is done.
KernelStatus MemoryScoreOnCpu(const MemoryScoreParams& params);
KernelStatus NativeScoreOnCpu(const NativeScoreParams& params);
KernelStatus PageSelectOnCpu(const PageSelectParams& params);
KernelStatus TopEntriesOnCpu(const TopEntriesParams& params);
KernelStatus AttentionOnCpu(const AttentionParams& params);  // splits and partials are not used
KernelStatus PageGatherOnCpu(const PageGatherParams& params);
KernelStatus EntryGatherOnCpu(const EntryGatherParams& params);

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_CPU_KERNELS_H_
