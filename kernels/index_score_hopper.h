// Index scoring for Hopper (sm_90a): the same results as index_score.h, by wgmma on keys that the
// tensor-map copy engine brings in. Never run on a GPU, and so not what the default launchers
// start.
#ifndef TIERSCOPE_KERNELS_INDEX_SCORE_HOPPER_H_
#define TIERSCOPE_KERNELS_INDEX_SCORE_HOPPER_H_

#include "kernels/index_score.h"

namespace tierscope {

// key_pages: of each key pool, at least 1. Unsupported on any device but one of compute
// capability 9.0.
KernelStatus LaunchMemoryScoreHopper(const MemoryScoreParams& params, int32_t key_pages,
                                     CUstream_st* stream);
KernelStatus LaunchNativeScoreHopper(const NativeScoreParams& params, int32_t key_pages,
                                     CUstream_st* stream);

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_INDEX_SCORE_HOPPER_H_
