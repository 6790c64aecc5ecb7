#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/fp8.h"
#include "kernels/index_score.h"
#include "kernels/index_score_hopper.h"
#include "kernels/paged.h"
#include "kernels/score_code.h"
#include "tests/kernels/kernel_case.h"

namespace tierscope::testing {
namespace {

// A batch on the host, and its copy on the device.
struct ScoreBatch {
  ScoreBatch(uint64_t seed, int layers, int heads, const std::vector<int32_t>& entries)
      : rng(seed), layer_count(layers), entry_counts(entries) {
    const size_t requests = entries.size();
    pages_max = std::max(1, PagesOfEntries(*std::max_element(entries.begin(), entries.end())));
    const size_t rows = requests * static_cast<size_t>(layers * heads);
    q.resize(rows * kIndexDim);
    for (uint8_t& code : q) code = FloatToE4m3(static_cast<float>(rng.NextNormal()));
    head_weights.resize(rows);
    for (float& w : head_weights) w = static_cast<float>(0.6 + rng.NextNormal()) / 64;
    FillPages(requests);
    FillKeys();
  }

  // Every page of every request gets a page of the pool, in random order; the others hold garbage.
  void FillPages(size_t requests) {
    std::vector<int32_t> free(requests * static_cast<size_t>(pages_max) + 3);
    std::iota(free.begin(), free.end(), 0);
    for (size_t i = free.size(); i > 1; --i) std::swap(free[i - 1], free[rng.NextBelow(i)]);
    pool_pages = free.size();
    pages.assign(requests * static_cast<size_t>(pages_max), 1 << 30);
    for (size_t r = 0; r < requests; ++r) {
      for (int p = 0; p < PagesOfEntries(entry_counts[r]); ++p) {
        pages[r * static_cast<size_t>(pages_max) + static_cast<size_t>(p)] = free.back();
        free.pop_back();
      }
    }
  }

  void FillKeys() {
    for (int layer = 0; layer < layer_count; ++layer) {
      auto& pool = keys[layer];
      pool.assign(pool_pages * kIndexPageBytes,
                  0x7F);  // past a request's end: 480, and scales of 3e38
      for (size_t r = 0; r < entry_counts.size(); ++r) {
        for (int entry = 0; entry < entry_counts[r]; ++entry) FillKey(pool, r, entry);
      }
    }
  }
  void FillKey(std::vector<uint8_t>& pool, size_t r, int entry) {
    const size_t place =
        r * static_cast<size_t>(pages_max) + static_cast<size_t>(entry / kPageEntries);
    uint8_t* page = pool.data() + pages[place] * kIndexPageBytes;
    const int row = entry % kPageEntries;
    for (int i = 0; i < kIndexDim; ++i) {
      page[row * kIndexDim + i] = FloatToE4m3(static_cast<float>(rng.NextNormal()));
    }
    const auto scale = static_cast<float>(0.02 + 0.1 * rng.NextDouble());
    std::memcpy(page + kIndexKeyPlaneBytes + row * 4, &scale, sizeof scale);
  }

  ScoreInput HostInput() const {
    ScoreInput input{.request_count = static_cast<int32_t>(entry_counts.size()),
                     .pages_max = pages_max,
                     .q = q.data(),
                     .head_weights = head_weights.data(),
                     .pages = pages.data(),
                     .entry_counts = entry_counts.data()};
    for (int layer = 0; layer < layer_count; ++layer) input.keys[layer] = keys[layer].data();
    return input;
  }

  Rng rng;
  int layer_count;
  int pages_max;
  size_t pool_pages;
  std::vector<int32_t> entry_counts;
  std::vector<uint8_t> q;
  std::vector<float> head_weights;
  std::vector<uint8_t> keys[kMemoryLayers];
  std::vector<int32_t> pages;
};

struct DeviceScoreBatch {
  explicit DeviceScoreBatch(const ScoreBatch& host)
      : q(host.q),
        head_weights(host.head_weights),
        keys{DeviceArray<uint8_t>(host.keys[0]), DeviceArray<uint8_t>(host.keys[1]),
             DeviceArray<uint8_t>(host.keys[2])},
        pages(host.pages),
        entry_counts(host.entry_counts),
        input(host.HostInput()) {
    input.q = q.data();
    input.head_weights = head_weights.data();
    for (int layer = 0; layer < kMemoryLayers; ++layer) input.keys[layer] = keys[layer].data();
    input.pages = pages.data();
    input.entry_counts = entry_counts.data();
  }

  DeviceArray<uint8_t> q;
  DeviceArray<float> head_weights;
  DeviceArray<uint8_t> keys[kMemoryLayers];
  DeviceArray<int32_t> pages;
  DeviceArray<int32_t> entry_counts;
  ScoreInput input;
};

std::vector<int32_t> RaggedEntries(CaseSize size, Rng& rng) {
  if (size == CaseSize::kSmall) return {70, 0, 1, 64 * 8 + 5};
  std::vector<int32_t> entries;
  for (int r = 0; r < 12; ++r) entries.push_back(static_cast<int32_t>(rng.NextBelow(3000)));
  entries.push_back(0);
  entries.push_back(64 * 100);
  return entries;
}

// Which codes a logit may have, `slack` of logit either way.
bool CodeFits(int code, double logit, double slack) {
  return code >= ScoreCodeOf(static_cast<float>(logit - slack)) &&
         code <= ScoreCodeOf(static_cast<float>(logit + slack));
}

struct MemoryScores {
  std::vector<uint8_t> density, codes, histogram;
};

// Codes against the reference's logits; density and histogram against the codes, exactly.
std::string CompareScores(const ScoreBatch& batch, const std::vector<double>& logits, int cutoff,
                          double tolerance, const MemoryScores& got) {
  double logit_max = 0;
  for (const double x : logits) logit_max = std::max(logit_max, std::fabs(x));
  int64_t kept_both = 0;
  int64_t kept_any = 0;
  for (size_t r = 0; r < batch.entry_counts.size(); ++r) {
    for (int page = 0; page < PagesOfEntries(batch.entry_counts[r]); ++page) {
      const size_t row = r * static_cast<size_t>(batch.pages_max) + static_cast<size_t>(page);
      const int entries = std::min(kPageEntries, batch.entry_counts[r] - page * kPageEntries);
      const std::string where =
          "request " + std::to_string(r) + " page " + std::to_string(page) + ": ";
      int wanted = 0;
      std::vector<uint8_t> bins(kScoreCodes, 0);
      for (int i = 0; i < entries; ++i) {
        const size_t at = row * kPageEntries + static_cast<size_t>(i);
        const int code = got.codes[at];
        if (!CodeFits(code, logits[at], tolerance * logit_max)) {
          return where + "entry " + std::to_string(i) + " has code " + std::to_string(code) +
                 ", logit " + std::to_string(logits[at]);
        }
        ++bins[static_cast<size_t>(code)];
        wanted += code >= cutoff;
        const bool expected = ScoreCodeOf(static_cast<float>(logits[at])) >= cutoff;
        kept_both += expected && code >= cutoff;
        kept_any += expected || code >= cutoff;
      }
      if (got.density[row] != wanted) return where + "density is not the count of codes";
      if (!std::equal(bins.begin(), bins.end(),
                      got.histogram.begin() + static_cast<long>(row) * kScoreCodes)) {
        return where + "histogram is not that of the codes";
      }
    }
  }
  if (kept_any > 0 && kept_both < 0.97 * static_cast<double>(kept_any))
    return "keep-set Jaccard below 0.97";
  return kept_any == 0 ? "a case that keeps nothing proves nothing" : "";
}

template <typename Launch>
std::string RunMemoryScore(uint64_t seed, CaseSize size, double tolerance, Launch launch) {
  Rng rng(seed, 1);
  const ScoreBatch batch(seed, kMemoryLayers, kMemoryHeads, RaggedEntries(size, rng));
  const DeviceScoreBatch device(batch);
  const size_t pages = batch.pages.size();
  const DeviceArray<uint8_t> density(pages), codes(pages * kPageEntries),
      histogram(pages * kScoreCodes);
  const MemoryScoreParams params{device.input, 128, density.data(), codes.data(), histogram.data()};
  for (const DeviceArray<uint8_t>* output : {&density, &codes, &histogram}) output->Poison();
  if (const KernelStatus s = launch(params, static_cast<int32_t>(batch.pool_pages)); !s.ok()) {
    return TextOf(s);
  }
  if (const KernelStatus s = FinishDevice(); !s.ok()) return TextOf(s);

  MemoryScores want{std::vector<uint8_t>(pages), std::vector<uint8_t>(pages * kPageEntries),
                    std::vector<uint8_t>(pages * kScoreCodes)};
  std::vector<double> logits(pages * kPageEntries);
  MemoryScoreReference(
      {batch.HostInput(), 128, want.density.data(), want.codes.data(), want.histogram.data()},
      logits.data());
  return CompareScores(batch, logits, 128, tolerance,
                       {density.Download(), codes.Download(), histogram.Download()});
}

template <typename Launch>
std::string RunNativeScore(uint64_t seed, CaseSize size, double tolerance, Launch launch) {
  Rng rng(seed, 1);
  const ScoreBatch batch(seed, 1, kNativeHeads, RaggedEntries(size, rng));
  const DeviceScoreBatch device(batch);
  const size_t entries = batch.pages.size() * kPageEntries;
  const DeviceArray<float> logits(entries);
  logits.Poison();
  const NativeScoreParams params{device.input, logits.data()};
  if (const KernelStatus s = launch(params, static_cast<int32_t>(batch.pool_pages)); !s.ok()) {
    return TextOf(s);
  }
  if (const KernelStatus s = FinishDevice(); !s.ok()) return TextOf(s);

  std::vector<double> reference(entries);
  NativeScoreReference({batch.HostInput(), nullptr}, reference.data());
  const std::vector<float> got = logits.Download();
  std::vector<double> have, want;
  for (size_t r = 0; r < batch.entry_counts.size(); ++r) {
    const size_t first = r * static_cast<size_t>(batch.pages_max) * kPageEntries;
    for (size_t i = first; i < first + static_cast<size_t>(batch.entry_counts[r]); ++i) {
      have.push_back(got[i]);
      want.push_back(reference[i]);
    }
  }
  const double error = RelativeError(have, want);
  return error < tolerance ? "" : "relative error " + std::to_string(error);
}

// Products of f16 are added in fp32; those of wgmma's fp8 with fewer bits.
constexpr double kTolerance = 1e-3;
constexpr double kFp8Tolerance = 1e-2;

}  // namespace

std::string RunMemoryScoreCase(uint64_t seed, CaseSize size) {
  return RunMemoryScore(seed, size, kTolerance, [](const MemoryScoreParams& params, int32_t) {
    return LaunchMemoryScore(params, nullptr);
  });
}
std::string RunNativeScoreCase(uint64_t seed, CaseSize size) {
  return RunNativeScore(seed, size, kTolerance, [](const NativeScoreParams& params, int32_t) {
    return LaunchNativeScore(params, nullptr);
  });
}
std::string RunMemoryScoreHopperCase(uint64_t seed, CaseSize size) {
  return RunMemoryScore(seed, size, kFp8Tolerance,
                        [](const MemoryScoreParams& params, int32_t key_pages) {
                          return LaunchMemoryScoreHopper(params, key_pages, nullptr);
                        });
}
std::string RunNativeScoreHopperCase(uint64_t seed, CaseSize size) {
  return RunNativeScore(seed, size, kFp8Tolerance,
                        [](const NativeScoreParams& params, int32_t key_pages) {
                          return LaunchNativeScoreHopper(params, key_pages, nullptr);
                        });
}

}  // namespace tierscope::testing
