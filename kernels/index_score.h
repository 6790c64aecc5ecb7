// Index scoring: sum over heads of w_h relu(q_h . k), times the key's scale, for the keys of paged
// histories. Level 1 (the memory indexer, 3 layers x 128 heads over the whole history, every tau
// steps) and level 2 (a layer's native indexer, 64 heads over the active pages, every step) are the
// same product with different epilogues.
//
// All pointers are device memory, 16 B-aligned. Launchers check what the host can see, start one
// persistent grid on `stream` and return; nothing is allocated.
#ifndef TIERSCOPE_KERNELS_INDEX_SCORE_H_
#define TIERSCOPE_KERNELS_INDEX_SCORE_H_

#include <cstdint>

#include "kernels/kernel_status.h"

namespace tierscope {

inline constexpr int32_t kMemoryLayers = 3;
inline constexpr int32_t kMemoryHeads = 128;
inline constexpr int32_t kNativeHeads = 64;
inline constexpr int32_t kScoreRequestsMax = 4096;
inline constexpr int32_t kScorePagesMax = 1 << 16;  // pages of one request

// The batch. Entries of a request are numbered by their place in its list of pages: entry i lies on
// page i / 64 of the list, so only the list's last page may be partly filled.
struct ScoreInput {
  int32_t request_count = 0;
  int32_t pages_max = 0;                    // columns of `pages`, at most kScorePagesMax
  const uint8_t* q = nullptr;               // [request][layer][head][128] e4m3
  const float* head_weights = nullptr;      // [request][layer][head], the scale of q folded in
  const uint8_t* keys[kMemoryLayers] = {};  // a layer's pool of key pages, 8,448 B each (paged.h)
  const int32_t* pages = nullptr;         // [request][pages_max] pool page of each page of the list
  const int32_t* entry_counts = nullptr;  // [request] 0..64 * pages_max
};

// Level 1: score = max over the 3 layers of sigmoid(logit), as a code (score_code.h).
struct MemoryScoreParams {
  ScoreInput input;
  int32_t code_cutoff = 0;       // wanted: code >= code_cutoff, 1..256
  uint8_t* density = nullptr;    // [request][pages_max] wanted entries of each page, 0..64
  uint8_t* codes = nullptr;      // [request][64 * pages_max] or null
  uint8_t* histogram = nullptr;  // [request][pages_max][256] entries of each page by code, or null
};

// Level 2: logits of one layer; keys[1] and keys[2] are not read.
struct NativeScoreParams {
  ScoreInput input;
  float* logits = nullptr;  // [request][64 * pages_max]
};

KernelStatus CheckMemoryScore(const MemoryScoreParams& params);
KernelStatus CheckNativeScore(const NativeScoreParams& params);

// Written are the bytes of existing entries and pages; what lies past a request's end is left as it
// was.
KernelStatus LaunchMemoryScore(const MemoryScoreParams& params, CUstream_st* stream);
KernelStatus LaunchNativeScore(const NativeScoreParams& params, CUstream_st* stream);

// The same on host memory, in double, one entry at a time. `logit_max` [request][64 * pages_max]
// takes the largest logit of the layers (or is null).
void MemoryScoreReference(const MemoryScoreParams& params, double* logit_max);
void NativeScoreReference(const NativeScoreParams& params, double* logits);

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_INDEX_SCORE_H_
