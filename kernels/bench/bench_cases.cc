#include "kernels/bench/bench_cases.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>

#include "kernels/attention.h"
#include "kernels/attention_hopper.h"
#include "kernels/device_memory.h"
#include "kernels/gather.h"
#include "kernels/index_score.h"
#include "kernels/index_score_hopper.h"
#include "kernels/page_copy.h"
#include "kernels/page_select.h"
#include "kernels/paged.h"
#include "kernels/top_entries.h"

namespace tierscope::bench {
namespace {

constexpr int64_t kTokensPerPage = 256;
constexpr int kLayers = 21;
constexpr int kRepeats = 31;

struct DeviceFree {
  void operator()(void* p) const { FreeDevice(p); }
};
struct PinnedFree {
  void operator()(void* p) const { FreePinned(p); }
};
template <typename T>
using DeviceMemory = std::unique_ptr<T, DeviceFree>;

struct Session {
  int sm_count;
  const std::function<void(const BenchRow&)>& take;
  uint64_t seed = 1;
  KernelStatus status;  // of the first failure; everything after it is skipped
};

template <typename T>
DeviceMemory<T> Random(Session& session, int64_t count) {
  const size_t byte_count = (static_cast<size_t>(count) * sizeof(T) + 255) / 256 * 256;
  DeviceMemory<T> memory(static_cast<T*>(AllocateDevice(byte_count)));
  if (!session.status.ok()) return memory;
  session.status = memory == nullptr
                       ? KernelStatus{KernelCode::kCudaError, "bench: out of device memory"}
                       : FillRandom(memory.get(), byte_count, ++session.seed);
  return memory;
}

template <typename T>
DeviceMemory<T> Upload(Session& session, const std::vector<T>& values) {
  DeviceMemory<T> memory = Random<T>(session, static_cast<int64_t>(values.size()));
  if (session.status.ok()) {
    session.status = CopyToDevice(memory.get(), values.data(), values.size() * sizeof(T));
  }
  return memory;
}

// 0 .. count - 1 in a fixed scattered order: the pages of a pool that has been in use for long.
std::vector<int32_t> Scattered(int64_t count) {
  std::vector<int32_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  uint64_t x = 88172645463325252ULL;  // xorshift
  for (size_t i = order.size(); i > 1; --i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    std::swap(order[i - 1], order[x % i]);
  }
  return order;
}

void Time(Session& session, BenchRow row, const Work& work) {
  if (!session.status.ok()) return;
  const KernelStatus status = TimeWork(work, kRepeats, &row.timing);
  if (status.ok()) session.take(row);
  if (status.code != KernelCode::kUnsupportedDevice) session.status = status;
}

void BenchScore(Session& session, int64_t context, int batch, int64_t pages_max,
                bool memory_indexer, int kmax) {
  const int layers = memory_indexer ? kMemoryLayers : 1;
  const int heads = memory_indexer ? kMemoryHeads : kNativeHeads;
  const int64_t pages = batch * pages_max;
  const auto q = Random<uint8_t>(session, int64_t{batch} * layers * heads * kIndexDim);
  const auto weights = Random<float>(session, int64_t{batch} * layers * heads);
  std::vector<DeviceMemory<uint8_t>> keys;
  for (int i = 0; i < layers; ++i)
    keys.push_back(Random<uint8_t>(session, pages * kIndexPageBytes));
  const auto table = Upload(session, Scattered(pages));
  const auto counts =
      Upload(session, std::vector<int32_t>(static_cast<size_t>(batch),
                                           static_cast<int32_t>(pages_max * kPageEntries)));
  const auto density = Random<uint8_t>(session, pages);
  const auto logits = Random<float>(session, pages * kPageEntries);
  ScoreInput input{
      batch,       static_cast<int32_t>(pages_max), q.get(), weights.get(), {}, table.get(),
      counts.get()};
  for (int i = 0; i < layers; ++i) input.keys[i] = keys[static_cast<size_t>(i)].get();
  BenchRow row{.op = memory_indexer ? "memory_score" : "native_score",
               .context = context,
               .batch = batch,
               .kmax = kmax};
  row.bytes = static_cast<double>(pages) * kIndexPageBytes * layers;
  row.flop = static_cast<double>(pages) * kPageEntries * layers * heads * (2.0 * kIndexDim + 2);
  const MemoryScoreParams memory{input, 128, density.get(), nullptr, nullptr};
  const NativeScoreParams native{input, logits.get()};
  const auto key_pages = static_cast<int32_t>(pages);
  Time(session, row, [&](CUstream_st* stream) {
    return memory_indexer ? LaunchMemoryScore(memory, stream) : LaunchNativeScore(native, stream);
  });
  row.op += "_hopper";
  Time(session, row, [&](CUstream_st* stream) {
    return memory_indexer ? LaunchMemoryScoreHopper(memory, key_pages, stream)
                          : LaunchNativeScoreHopper(native, key_pages, stream);
  });
}

void BenchSelect(Session& session, int64_t context, int batch, int kmax) {
  const int64_t pages_max = context / kTokensPerPage;
  const int64_t places = batch * pages_max;
  std::vector<uint8_t> densities;
  std::vector<int32_t> held;
  for (const int32_t x : Scattered(places)) {
    densities.push_back(static_cast<uint8_t>(x % 7 == 0 ? x % 65 : 0));
    held.push_back(x % 3 == 0 ? x : -1);
  }
  const auto density = Upload(session, densities);
  const auto held_blocks = Upload(session, held);
  const auto counts =
      Upload(session, std::vector<int32_t>(static_cast<size_t>(batch),
                                           static_cast<int32_t>(pages_max * kPageEntries)));
  const auto selected = Random<int32_t>(session, places), recall = Random<int32_t>(session, places);
  const auto evict = Random<int32_t>(session, places),
             lengths = Random<int32_t>(session, batch * kSelectCounts);
  const PageSelectParams params{batch,
                                static_cast<int32_t>(pages_max),
                                kmax,
                                1 << 20,
                                0,
                                2048,
                                density.get(),
                                counts.get(),
                                held_blocks.get(),
                                selected.get(),
                                recall.get(),
                                evict.get(),
                                lengths.get()};
  BenchRow row{.op = "page_select", .context = context, .batch = batch, .kmax = kmax};
  row.bytes = static_cast<double>(places) * 5;
  Time(session, row, [&](CUstream_st* stream) { return LaunchPageSelect(params, stream); });
}

void BenchTop(Session& session, int64_t entries, int batch) {
  const int64_t pages_max = entries / kPageEntries;
  const auto logits = Random<float>(session, batch * entries);
  const auto counts = Upload(
      session, std::vector<int32_t>(static_cast<size_t>(batch), static_cast<int32_t>(entries)));
  const auto pages = Upload(session, Scattered(batch * pages_max));
  const auto cells = Random<int32_t>(session, int64_t{batch} * 512);
  const TopEntriesParams params{batch,        static_cast<int32_t>(pages_max),
                                512,          logits.get(),
                                counts.get(), pages.get(),
                                pages.get(),  nullptr,
                                cells.get()};
  BenchRow row{.op = "top_512", .context = entries * 4, .batch = batch};
  row.bytes = static_cast<double>(batch) * static_cast<double>(entries) * 4;
  Time(session, row, [&](CUstream_st* stream) { return LaunchTopEntries(params, stream); });
}

void BenchRecall(Session& session, int page_count) {
  constexpr int64_t kPageBytes = kLayers * kKvPageLayerBytes;
  const int pool_pages = 2 * page_count;
  const std::unique_ptr<uint8_t, PinnedFree> cold(
      static_cast<uint8_t*>(AllocatePinned(static_cast<size_t>(pool_pages * kPageBytes))));
  const auto reserve = Random<uint8_t>(session, pool_pages * kPageBytes);
  if (session.status.ok() && cold == nullptr)
    session.status = {KernelCode::kCudaError, "bench: no pinned memory"};
  if (session.status.ok()) {
    session.status =
        CopyToHost(cold.get(), reserve.get(), static_cast<size_t>(pool_pages * kPageBytes));
  }
  std::vector<int32_t> from = Scattered(pool_pages);
  std::vector<int32_t> to = Scattered(pool_pages);
  std::reverse(to.begin(), to.end());
  from.resize(static_cast<size_t>(page_count));
  to.resize(static_cast<size_t>(page_count));
  BenchRow row{.op = "recall_copy_engine", .batch = 1, .kmax = page_count};
  row.bytes = static_cast<double>(page_count) * kPageBytes;
  row.over_link = true;
  std::vector<PageMove> moves;
  for (size_t i = 0; i < from.size(); ++i) moves.push_back({from[i], to[i]});
  const PagePools pools{cold.get(), reserve.get(), kPageBytes, pool_pages, pool_pages};
  for (const CopyDirection direction : {CopyDirection::kRecall, CopyDirection::kWriteback}) {
    PageCopyBatch batch;
    if (session.status.ok())
      session.status = BuildPageCopies(pools, moves.data(), page_count, direction, &batch);
    if (direction == CopyDirection::kWriteback) row.op = "writeback_copy_engine";
    Time(session, row, [&](CUstream_st* stream) { return SubmitPageCopies(batch, stream); });
  }
  const auto device_from = Upload(session, from);
  const auto device_to = Upload(session, to);
  for (const int blocks : {4, 8, 16}) {
    row.op = "recall_gather_pages";
    row.blocks = blocks;
    Time(session, row, [&](CUstream_st* stream) {
      return LaunchPageGather({cold.get(), reserve.get(), kPageBytes, device_from.get(),
                               device_to.get(), page_count, blocks},
                              stream);
    });
  }
  const int entry_count = page_count * kPageEntries;
  std::vector<int32_t> cells = Scattered(int64_t{pool_pages} * kPageEntries);
  cells.resize(static_cast<size_t>(entry_count));
  const auto device_cells = Upload(session, cells);
  row.op = "recall_gather_entries";
  row.bytes = static_cast<double>(entry_count) * (kKvRowBytes + kKvScaleBytes);
  for (const int blocks : {4, 8, 16}) {
    row.blocks = blocks;
    Time(session, row, [&](CUstream_st* stream) {
      return LaunchEntryGather({cold.get(), reserve.get(), kPageBytes, kPageBytes,
                                device_cells.get(), device_cells.get(), entry_count, blocks},
                               stream);
    });
  }
}

void BenchAttention(Session& session, int64_t context, int batch, bool dense) {
  const int64_t own = dense ? context / 128 : 512;
  const int64_t pages_max = (own + kPageEntries - 1) / kPageEntries;
  // The reserve of a sparse layer is larger than what one step reads.
  const int64_t pool_pages = batch * (dense ? pages_max : 96);
  const int32_t entries = static_cast<int32_t>(own) + 128;
  const auto pool = Random<uint8_t>(session, pool_pages * kKvPageLayerBytes);
  const auto window_pool = Random<uint8_t>(session, int64_t{batch} * 2 * kKvPageLayerBytes);
  const auto q = Random<uint16_t>(session, int64_t{batch} * kAttentionHeads * kKvDim);
  const auto sink = Random<float>(session, kAttentionHeads);
  const auto out = Random<uint16_t>(session, int64_t{batch} * kAttentionHeads * kKvDim);
  const auto lse = Random<float>(session, int64_t{batch} * kAttentionHeads);
  std::vector<int32_t> order = Scattered(dense ? pool_pages : pool_pages * kPageEntries);
  const auto list = Upload(session, order);
  const auto window = Upload(session, Scattered(int64_t{batch} * 128));
  const auto counts =
      Upload(session, std::vector<int32_t>(static_cast<size_t>(batch), static_cast<int32_t>(own)));
  AttentionParams params;
  params.request_count = batch;
  params.scale = 0.04f;
  params.q = q.get();
  params.sink = sink.get();
  params.pool = {pool.get(), kKvPageLayerBytes};
  params.window_pool = {window_pool.get(), kKvPageLayerBytes};
  if (dense) {
    params.pages = list.get();
    params.entry_counts = counts.get();
    params.pages_max = static_cast<int32_t>(pages_max);
  } else {
    params.cells = list.get();
    params.cells_max = static_cast<int32_t>(own);
  }
  params.window_cells = window.get();
  params.window_max = 128;
  params.out = out.get();
  params.lse = lse.get();
  params.splits = ChooseAttentionSplits(batch, entries, session.sm_count);
  const auto partial_out =
      Random<float>(session, int64_t{batch} * params.splits * kAttentionHeads * kKvDim);
  const auto partial_lse = Random<float>(session, int64_t{batch} * params.splits * kAttentionHeads);
  params.partial_out = partial_out.get();
  params.partial_lse = partial_lse.get();
  BenchRow row{.op = dense ? "hca_attention" : "csa_attention", .context = context, .batch = batch};
  row.bytes = static_cast<double>(batch) *
              (entries * (kKvRowBytes + kKvScaleBytes) + 4.0 * kAttentionHeads * kKvDim);
  row.flop = static_cast<double>(batch) * entries * kAttentionHeads * kKvDim * 4.0;
  Time(session, row, [&](CUstream_st* stream) { return LaunchAttention(params, stream); });
  row.op += "_hopper";
  Time(session, row, [&](CUstream_st* stream) { return LaunchAttentionHopper(params, stream); });
}

constexpr int64_t kK = 1024;

}  // namespace

KernelStatus RunBench(bool quick, int sm_count, const std::function<void(const BenchRow&)>& take) {
  Session session{sm_count, take, 1, {}};
  const std::vector<int> batches =
      quick ? std::vector<int>{1, 40, 76} : std::vector<int>{1, 8, 40, 76};
  for (const int64_t context : {64 * kK, 256 * kK, 512 * kK, 1024 * kK}) {
    for (const int batch : {1, 4, 16})
      BenchScore(session, context, batch, context / kTokensPerPage, true, 0);
    BenchScore(session, context, 1, context / kTokensPerPage, false,
               0);  // level 2 over the full history
    for (const int batch : batches) BenchSelect(session, context, batch, 384);
    for (const int batch : batches) BenchAttention(session, context, batch, true);
  }
  for (const int kmax : {96, 192, 384}) {
    for (const int batch : batches)
      BenchScore(session, 0, batch, kmax + 33, false, kmax);  // + the recency tail
    BenchRecall(session, kmax);
  }
  for (const int64_t entries : {8 * kK, 25 * kK, 32 * kK, 64 * kK, 128 * kK, 256 * kK}) {
    for (const int batch : batches) BenchTop(session, entries, batch);
  }
  for (const int batch : batches) BenchAttention(session, 0, batch, false);
  return session.status;
}

}  // namespace tierscope::bench
