#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/attention.h"
#include "kernels/fp8.h"
#include "kernels/kv_entry.h"

namespace tierscope {
namespace {

using Entry = std::vector<double>;  // [512]

Entry Decode(const KvRow& row) {
  Entry entry(kKvDim);
  for (int i = 0; i < kKvFp8Dim; ++i) {
    const double scale = Ue8m0ToFloat(row.scales[i / kKvScaleGroup]);
    entry[static_cast<size_t>(i)] = scale * E4m3ToFloat(row.values[i]);
  }
  for (int i = kKvFp8Dim; i < kKvDim; ++i) {
    uint16_t bits;
    std::memcpy(&bits, row.values + kKvFp8Dim + 2 * (i - kKvFp8Dim), sizeof bits);
    entry[static_cast<size_t>(i)] = Bf16ToFloat(bits);
  }
  return entry;
}

std::vector<Entry> EntriesOf(const AttentionParams& params, int32_t request) {
  std::vector<Entry> entries;
  const int32_t count = OwnEntryCount(params, request) + WindowEntryCount(params);
  for (int32_t i = 0; i < count; ++i) {
    const KvRow row = KvEntryAt(params, request, i);
    if (row.values != nullptr) entries.push_back(Decode(row));
  }
  return entries;
}

// One head: q [512] bf16, out [512]; returns lse.
double AttendHead(const AttentionParams& params, const std::vector<Entry>& entries,
                  const uint16_t* q, const float* sink, double* out) {
  std::fill(out, out + kKvDim, 0.0);
  double lse = -std::numeric_limits<double>::infinity();
  std::vector<double> scores;
  for (const Entry& entry : entries) {
    double dot = 0;
    for (int i = 0; i < kKvDim; ++i)
      dot += double{Bf16ToFloat(q[i])} * entry[static_cast<size_t>(i)];
    scores.push_back(dot * params.scale);
  }
  if (entries.empty()) return lse;
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const double s : scores) sum += std::exp(s - top);
  lse = top + std::log(sum);
  const double share = sink == nullptr ? 1.0 : 1.0 / (1.0 + std::exp(*sink - lse));
  for (size_t n = 0; n < entries.size(); ++n) {
    const double p = std::exp(scores[n] - lse) * share;
    for (int i = 0; i < kKvDim; ++i) out[i] += p * entries[n][static_cast<size_t>(i)];
  }
  return lse;
}

}  // namespace

void AttentionReference(const AttentionParams& params, double* out, double* lse) {
  for (int32_t request = 0; request < params.request_count; ++request) {
    const std::vector<Entry> entries = EntriesOf(params, request);
    for (int head = 0; head < kAttentionHeads; ++head) {
      const int64_t at = int64_t{request} * kAttentionHeads + head;
      const float* sink = params.sink == nullptr ? nullptr : params.sink + head;
      lse[at] = AttendHead(params, entries, params.q + at * kKvDim, sink, out + at * kKvDim);
    }
  }
}

}  // namespace tierscope
