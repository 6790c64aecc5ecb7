// Attention of one query token a request, 64 heads on one shared KV head of 512 dimensions (the
// compressed entry is key and value at once): sparse over chosen cells plus a sliding window (CSA),
// or dense over a paged list of entries (HCA).
//
//   out_h = sum_i p_hi kv_i,  p_hi = exp(s_hi - lse_h) * 1 / (1 + exp(sink_h - lse_h)),
//   s_hi = scale * q_h . kv_i,  lse_h = log sum_i exp(s_hi)
//
// The sink takes its share of the softmax and adds nothing; lse leaves it out. No entries: out 0,
// lse -inf.
#ifndef TIERSCOPE_KERNELS_ATTENTION_H_
#define TIERSCOPE_KERNELS_ATTENTION_H_

#include <cstddef>
#include <cstdint>

#include "kernels/kernel_status.h"

namespace tierscope {

inline constexpr int32_t kAttentionHeads = 64;
inline constexpr int32_t kAttentionTileEntries = 64;  // a block's step
inline constexpr int32_t kAttentionEntriesMax = 1 << 20;
inline constexpr int32_t kAttentionSplitsMax = 64;

// KV entries of one layer: page p of it starts p * page_bytes behind `entries` (layout: paged.h).
struct KvPool {
  const uint8_t* entries = nullptr;
  int64_t page_bytes = 0;  // a multiple of 16, at least 37,376
};

// Device memory, 16 B-aligned.
struct AttentionParams {
  int32_t request_count = 0;
  float scale = 0;              // of q . k
  const uint16_t* q = nullptr;  // [request][64][512] bf16
  const float* sink = nullptr;  // [64] or null

  KvPool pool;
  // Either cells, each taken on its own, negative ones skipped ...
  const int32_t* cells = nullptr;  // [request][cells_max] or null
  int32_t cells_max = 0;
  // ... or the first entry_counts[request] entries of a list of pages.
  const int32_t* pages = nullptr;         // [request][pages_max] or null
  const int32_t* entry_counts = nullptr;  // [request] 0..64 * pages_max
  int32_t pages_max = 0;

  KvPool window_pool;
  const int32_t* window_cells =
      nullptr;  // [request][window_max], negative ones skipped; null: no window
  int32_t window_max = 0;

  uint16_t* out = nullptr;  // [request][64][512] bf16
  float* lse = nullptr;     // [request][64], natural logarithm

  // Blocks a request; above 1 the parts go through the scratch, which a second kernel adds up.
  int32_t splits = 1;
  float* partial_out = nullptr;  // [request][splits][64][512] or null
  float* partial_lse = nullptr;  // [request][splits][64] or null
};

KernelStatus CheckAttention(const AttentionParams& params);
KernelStatus LaunchAttention(const AttentionParams& params, CUstream_st* stream);

// Splits that make the slowest SM's share smallest, for requests of `entries_max` entries (window
// included) and one block an SM.
int32_t ChooseAttentionSplits(int32_t request_count, int32_t entries_max, int32_t sm_count);

// The same on host memory, in double. out [request][64][512], lse [request][64].
void AttentionReference(const AttentionParams& params, double* out, double* lse);

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_ATTENTION_H_
