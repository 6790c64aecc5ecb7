// Attention for Hopper (sm_90a): the same as attention.h, by wgmma. Never run on a GPU, and so not
// what the default launcher starts.
#ifndef TIERSCOPE_KERNELS_ATTENTION_HOPPER_H_
#define TIERSCOPE_KERNELS_ATTENTION_HOPPER_H_

#include "kernels/attention.h"

namespace tierscope {

// Unsupported on any device but one of compute capability 9.0.
KernelStatus LaunchAttentionHopper(const AttentionParams& params, CUstream_st* stream);

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_ATTENTION_HOPPER_H_
