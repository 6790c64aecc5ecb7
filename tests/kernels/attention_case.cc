#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention.h"
#include "kernels/attention_hopper.h"
#include "kernels/fp8.h"
#include "kernels/paged.h"
#include "tests/kernels/kernel_case.h"

namespace tierscope::testing {
namespace {

// A pool in which only written cells hold numbers: everything else is NaN in every format.
class EntryPool {
 public:
  EntryPool(int32_t pages, int64_t page_bytes)
      : page_bytes_(page_bytes), bytes_(static_cast<size_t>(pages * page_bytes), 0xFF) {}

  void WriteCell(Rng& rng, int32_t cell) {
    uint8_t* page = bytes_.data() + cell / kPageEntries * page_bytes_;
    const int32_t row = cell % kPageEntries;
    uint8_t* values = page + row * kKvRowBytes;
    for (int i = 0; i < kKvFp8Dim; ++i)
      values[i] = FloatToE4m3(static_cast<float>(rng.NextNormal()) * 32.0f);
    for (int i = 0; i < kKvDim - kKvFp8Dim; ++i) {
      const uint16_t bits = FloatToBf16(static_cast<float>(rng.NextNormal()));
      std::memcpy(values + kKvFp8Dim + 2 * i, &bits, sizeof bits);
    }
    uint8_t* scales = page + kKvValuePlaneBytes + row * kKvScaleBytes;
    for (int i = 0; i < kKvScaleBytes - 1; ++i)
      scales[i] = static_cast<uint8_t>(120 + rng.NextBelow(4));
    scales[kKvScaleBytes - 1] = 0xFF;  // padding
  }
  KvPool Host() const { return {bytes_.data(), page_bytes_}; }
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  int64_t page_bytes() const { return page_bytes_; }

 private:
  int64_t page_bytes_;
  std::vector<uint8_t> bytes_;
};

struct Shape {
  int32_t requests, own_max, window_max, splits;
  bool sink;
};

struct AttentionBatch {
  AttentionBatch(Rng& rng, const Shape& shape, bool dense)
      : pool(PagesOf(shape), 2 * kKvPageLayerBytes),
        window_pool(PagesOf(shape), kKvPageLayerBytes) {
    const auto requests = static_cast<size_t>(shape.requests);
    q.resize(requests * kAttentionHeads * kKvDim);
    for (uint16_t& x : q) x = FloatToBf16(static_cast<float>(rng.NextNormal()));
    for (int i = 0; i < kAttentionHeads; ++i)
      sink.push_back(static_cast<float>(4 + 4 * rng.NextNormal()));
    params.request_count = shape.requests;
    params.scale = 1.0f / 22.6f;  // about 1 / sqrt(512)
    params.splits = shape.splits;
    if (dense) {
      DrawPages(rng, shape);
    } else {
      cells = DrawCells(rng, pool, shape.requests, shape.own_max);
    }
    window_cells = DrawCells(rng, window_pool, shape.requests, shape.window_max);
  }

  static int32_t PagesOf(const Shape& shape) {
    return shape.requests * PagesOfEntries(std::max(shape.own_max, shape.window_max)) + 1;
  }

  // Random cells with holes; the first request has none at all, the second a tile of holes.
  static std::vector<int32_t> DrawCells(Rng& rng, EntryPool& from, int32_t requests,
                                        int32_t columns) {
    std::vector<int32_t> drawn;
    const auto pool_cells = static_cast<int32_t>(from.bytes().size()) /
                            static_cast<int32_t>(from.page_bytes()) * kPageEntries;
    for (int32_t r = 0; r < requests; ++r) {
      for (int32_t i = 0; i < columns; ++i) {
        const bool hole = r == 0 || (r == 1 && i / 64 == 0) || rng.NextBelow(6) == 0;
        const auto cell = static_cast<int32_t>(rng.NextBelow(static_cast<uint64_t>(pool_cells)));
        if (!hole) from.WriteCell(rng, cell);
        drawn.push_back(hole ? -1 : cell);
      }
    }
    return drawn;
  }

  void DrawPages(Rng& rng, const Shape& shape) {
    params.pages_max = PagesOfEntries(shape.own_max);
    for (int32_t r = 0; r < shape.requests; ++r) {
      entry_counts.push_back(
          r == 0 ? 0
                 : static_cast<int32_t>(1 + rng.NextBelow(static_cast<uint64_t>(shape.own_max))));
      for (int32_t page = 0; page < params.pages_max; ++page) {
        const int32_t place =
            shape.requests * params.pages_max - (r * params.pages_max + page);  // backwards
        pages.push_back(place);
        for (int32_t row = 0; row < kPageEntries; ++row) {
          if (page * kPageEntries + row < entry_counts.back())
            pool.WriteCell(rng, place * kPageEntries + row);
        }
      }
    }
  }

  EntryPool pool, window_pool;
  std::vector<uint16_t> q;
  std::vector<float> sink;
  std::vector<int32_t> cells, pages, entry_counts, window_cells;
  AttentionParams params;
};

using Launcher = KernelStatus (*)(const AttentionParams&, CUstream_st*);

std::string CompareOnce(Rng& rng, const Shape& shape, bool dense, Launcher launch) {
  const AttentionBatch batch(rng, shape, dense);
  const auto requests = static_cast<size_t>(shape.requests);
  const size_t outputs = requests * kAttentionHeads * kKvDim;
  AttentionParams params = batch.params;
  params.q = batch.q.data();
  params.sink = shape.sink ? batch.sink.data() : nullptr;
  params.pool = batch.pool.Host();
  params.window_pool = batch.window_pool.Host();
  params.cells = dense ? nullptr : batch.cells.data();
  params.cells_max = dense ? 0 : shape.own_max;
  params.pages = dense ? batch.pages.data() : nullptr;
  params.entry_counts = dense ? batch.entry_counts.data() : nullptr;
  params.window_cells = shape.window_max > 0 ? batch.window_cells.data() : nullptr;
  params.window_max = shape.window_max;
  std::vector<double> want(outputs), want_lse(requests * kAttentionHeads);
  AttentionReference(params, want.data(), want_lse.data());

  const DeviceArray<uint8_t> pool(batch.pool.bytes()), window_pool(batch.window_pool.bytes());
  const DeviceArray<uint16_t> q(batch.q), out(outputs);
  const DeviceArray<float> sink(batch.sink), lse(want_lse.size());
  const DeviceArray<int32_t> cells(batch.cells), pages(batch.pages), counts(batch.entry_counts),
      window_cells(batch.window_cells);
  const size_t parts = requests * static_cast<size_t>(shape.splits) * kAttentionHeads;
  const DeviceArray<float> partial_out(parts * kKvDim), partial_lse(parts);
  params.q = q.data();
  if (shape.sink) params.sink = sink.data();
  params.pool.entries = pool.data();
  params.window_pool.entries = window_pool.data();
  if (!dense) params.cells = cells.data();
  if (dense) params.pages = pages.data();
  if (dense) params.entry_counts = counts.data();
  if (shape.window_max > 0) params.window_cells = window_cells.data();
  params.out = out.data();
  params.lse = lse.data();
  params.partial_out = partial_out.data();
  params.partial_lse = partial_lse.data();
  out.Poison();
  for (const DeviceArray<float>* output : {&lse, &partial_out, &partial_lse}) output->Poison();
  if (const KernelStatus s = launch(params, nullptr); !s.ok()) return TextOf(s);
  if (const KernelStatus s = FinishDevice(); !s.ok()) return TextOf(s);

  std::vector<double> got, got_lse, finite_lse;
  for (const uint16_t bits : out.Download()) got.push_back(Bf16ToFloat(bits));
  const std::vector<float> have_lse = lse.Download();
  for (size_t i = 0; i < want_lse.size(); ++i) {
    if (std::isinf(want_lse[i]) || std::isinf(have_lse[i])) {
      if (static_cast<double>(have_lse[i]) != want_lse[i])
        return "lse is infinite in one of the two";
      continue;
    }
    got_lse.push_back(have_lse[i]);
    finite_lse.push_back(want_lse[i]);
  }
  if (finite_lse.empty()) return "a case without entries proves nothing";
  const double error = RelativeError(got, want);
  if (!(error < 1e-2)) return "relative error of out " + std::to_string(error);
  const double lse_error = RelativeError(got_lse, finite_lse);
  return lse_error < 1e-3 ? "" : "relative error of lse " + std::to_string(lse_error);
}

std::string RunShapes(uint64_t seed, const std::vector<Shape>& shapes, bool dense,
                      Launcher launch) {
  Rng rng(seed, dense ? 8 : 7);
  for (const Shape& shape : shapes) {
    const std::string problem = CompareOnce(rng, shape, dense, launch);
    if (WasSkipped(problem)) return problem;
    if (!problem.empty()) return "splits " + std::to_string(shape.splits) + ": " + problem;
  }
  return "";
}

std::string RunSparse(uint64_t seed, CaseSize size, Launcher launch) {
  if (size == CaseSize::kSmall) {
    return RunShapes(seed, {{2, 90, 40, 1, true}, {2, 90, 50, 2, false}}, false, launch);
  }
  return RunShapes(seed, {{5, 512, 128, 1, true}, {3, 512, 128, 5, true}, {4, 300, 0, 3, false}},
                   false, launch);
}

std::string RunDense(uint64_t seed, CaseSize size, Launcher launch) {
  if (size == CaseSize::kSmall) {
    return RunShapes(seed, {{2, 260, 0, 1, false}, {2, 150, 20, 4, true}}, true, launch);
  }
  return RunShapes(seed, {{2, 8192, 128, 16, true}, {4, 700, 128, 1, false}}, true, launch);
}

}  // namespace

std::string RunSparseAttentionCase(uint64_t seed, CaseSize size) {
  return RunSparse(seed, size, LaunchAttention);
}
std::string RunDenseAttentionCase(uint64_t seed, CaseSize size) {
  return RunDense(seed, size, LaunchAttention);
}
std::string RunSparseAttentionHopperCase(uint64_t seed, CaseSize size) {
  return RunSparse(seed, size, LaunchAttentionHopper);
}
std::string RunDenseAttentionHopperCase(uint64_t seed, CaseSize size) {
  return RunDense(seed, size, LaunchAttentionHopper);
}

}  // namespace tierscope::testing
