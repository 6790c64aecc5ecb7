// Order statistics of a run. Exact where samples are kept, bounded error where they are not.
#ifndef TIERSCOPE_SIM_BASE_STATS_H_
#define TIERSCOPE_SIM_BASE_STATS_H_

#include <cstdint>
#include <vector>

namespace tierscope {

// The nearest-rank percentile: the smallest sample such that at least q of all samples are no
// larger. Sorts `samples`. Precondition: not empty, 0 < q <= 1.
int64_t Percentile(std::vector<int64_t>& samples, double q);

// Counts of non-negative integers with relative resolution 1/1024: values below 2,048 are exact,
// larger ones fall into 1,024 equal bins per power of two. 443 KB whatever the number of samples.
class LogHistogram {
 public:
  LogHistogram();
  void Add(int64_t value, int64_t count = 1);
  int64_t count() const { return count_; }
  double mean() const;  // exact; 0 when empty
  // Nearest-rank percentile, as the lower edge of its bin. 0 when empty.
  int64_t Percentile(double q) const;

 private:
  std::vector<int64_t> bins_;
  int64_t count_ = 0;
  __int128 sum_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_STATS_H_
