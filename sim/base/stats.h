// Order statistics of a run. Exact where samples are kept, bounded error where they are not.
#ifndef TIERSCOPE_SIM_BASE_STATS_H_
#define TIERSCOPE_SIM_BASE_STATS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace tierscope {

// The nearest-rank percentile: the smallest sample such that at least q of all samples are no
// larger. Sorts `samples`. Precondition: not empty, 0 < q <= 1.
int64_t Percentile(std::vector<int64_t>& samples, double q);

// Counts of non-negative integers with relative resolution 1/1024: values below 2,048 are exact,
// larger ones fall into 1,024 equal bins per power of two. 443 KB whatever the number of samples.
class LogHistogram {
 public:
  void Add(int64_t value, int64_t count = 1);
  void Merge(const LogHistogram& other);
  int64_t count() const { return count_; }
  double mean() const;  // exact; 0 when empty
  // Nearest-rank percentile, as the lower edge of its bin. 0 when empty.
  int64_t Percentile(double q) const;

 private:
  std::vector<int64_t> bins_;  // empty until the first value
  int64_t count_ = 0;
  __int128 sum_ = 0;
};

// Samples of a run of any length in bounded memory: exact up to kExactMax of them, a LogHistogram
// beyond. Non-negative integers; mean exact.
class SampleSet {
 public:
  static constexpr size_t kExactMax = 1 << 18;  // 2 MiB

  void Add(int64_t value);
  void Merge(const SampleSet& other);
  int64_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  bool exact() const { return !histogram_; }
  double mean() const;  // 0 when empty
  // Nearest-rank percentile; the lower edge of its bin once not exact. Precondition: not empty.
  int64_t Percentile(double q);
  // In the order they came; empty once not exact.
  const std::vector<int64_t>& values() const { return values_; }

 private:
  std::vector<int64_t> values_;
  std::unique_ptr<LogHistogram> histogram_;
  int64_t count_ = 0;
  __int128 sum_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_STATS_H_
