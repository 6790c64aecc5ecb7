#include "sim/base/stats.h"

#include <algorithm>
#include <bit>

#include "sim/base/check.h"

namespace tierscope {
namespace {

constexpr int kSubBits = 10;
constexpr int64_t kSubBins = int64_t{1} << kSubBits;
constexpr auto kBins = static_cast<size_t>((64 - kSubBits) * kSubBins);

// Values below 2 * kSubBins map to themselves; above, (exponent, top kSubBits mantissa bits).
size_t BinOf(int64_t value) {
  const auto v = static_cast<uint64_t>(value);
  if (v < 2 * kSubBins) return static_cast<size_t>(v);
  const int shift = static_cast<int>(std::bit_width(v)) - 1 - kSubBits;
  return static_cast<size_t>(shift * kSubBins) + static_cast<size_t>(v >> shift);
}

int64_t LowerEdge(size_t bin) {
  const auto b = static_cast<int64_t>(bin);
  if (b < 2 * kSubBins) return b;
  const int64_t shift = b / kSubBins - 1;
  return (b - shift * kSubBins) << shift;
}

// The 1-based nearest rank: ceil(q * n), at least 1.
int64_t Rank(double q, int64_t n) {
  const double exact = q * static_cast<double>(n);
  auto rank = static_cast<int64_t>(exact);
  if (static_cast<double>(rank) < exact) ++rank;
  return std::clamp<int64_t>(rank, 1, n);
}

}  // namespace

int64_t Percentile(std::vector<int64_t>& samples, double q) {
  TIERSCOPE_CHECK(!samples.empty());
  const int64_t rank = Rank(q, static_cast<int64_t>(samples.size()));
  auto nth = samples.begin() + (rank - 1);
  std::nth_element(samples.begin(), nth, samples.end());
  return *nth;
}

void LogHistogram::Add(int64_t value, int64_t count) {
  TIERSCOPE_CHECK(value >= 0);
  if (bins_.empty()) bins_.resize(kBins);
  bins_[BinOf(value)] += count;
  count_ += count;
  sum_ += static_cast<__int128>(value) * count;
}

void LogHistogram::Merge(const LogHistogram& other) {
  if (other.count_ == 0) return;
  if (bins_.empty()) bins_.resize(kBins);
  for (size_t bin = 0; bin < kBins; ++bin) bins_[bin] += other.bins_[bin];
  count_ += other.count_;
  sum_ += other.sum_;
}

double LogHistogram::mean() const {
  return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

int64_t LogHistogram::Percentile(double q) const {
  if (count_ == 0) return 0;
  int64_t left = Rank(q, count_);
  for (size_t bin = 0; bin < bins_.size(); ++bin) {
    left -= bins_[bin];
    if (left <= 0) return LowerEdge(bin);
  }
  return 0;
}

void SampleSet::Add(int64_t value) {
  ++count_;
  sum_ += value;
  if (histogram_) return histogram_->Add(value);
  if (values_.size() < kExactMax) return values_.push_back(value);
  histogram_ = std::make_unique<LogHistogram>();
  for (int64_t kept : values_) histogram_->Add(kept);
  histogram_->Add(value);
  values_ = {};
}

void SampleSet::Merge(const SampleSet& other) {
  for (const int64_t value : other.values_) Add(value);
  if (!other.histogram_) return;
  if (!histogram_) {
    histogram_ = std::make_unique<LogHistogram>();
    for (const int64_t value : values_) histogram_->Add(value);
    values_ = {};
  }
  histogram_->Merge(*other.histogram_);
  count_ += other.count_;
  sum_ += other.sum_;
}

double SampleSet::mean() const {
  return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

int64_t SampleSet::Percentile(double q) {
  if (histogram_) return histogram_->Percentile(q);
  // A copy: the order of arrival stays.
  std::vector<int64_t> sorted = values_;
  return tierscope::Percentile(sorted, q);
}

}  // namespace tierscope
