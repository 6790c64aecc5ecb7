// Stands in for what the project uses of TBB in a build under the thread sanitizer (preset tsan).
// Debian's libtbb is not compiled with it, so the sanitizer sees none of what orders TBB's tasks
// and takes every loop for a race. Here each loop starts and joins threads of its own: all that
// happens is seen, and what the bodies of a loop do to one another is not ordered by anything but
// the bodies. Loops within loops run on the thread that they are met on.
#ifndef TIERSCOPE_TESTS_TESTING_TSAN_INCLUDE_TBB_STAND_IN_H_
#define TIERSCOPE_TESTS_TESTING_TSAN_INCLUDE_TBB_STAND_IN_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

namespace tbb {

inline constexpr int kStandInThreads =
    4;  // more than the machine may have, so that they interleave
inline std::atomic<size_t> stand_in_threads_max{kStandInThreads};
inline thread_local int stand_in_threads = kStandInThreads;  // of loops that this thread begins

// Loops that this thread begins in this scope have so many threads.
class StandInScope {
 public:
  explicit StandInScope(int threads) : before_(stand_in_threads) { stand_in_threads = threads; }
  ~StandInScope() { stand_in_threads = before_; }
  StandInScope(const StandInScope&) = delete;
  StandInScope& operator=(const StandInScope&) = delete;

 private:
  const int before_;
};

template <typename Index>
class blocked_range {
 public:
  blocked_range(Index begin, Index end, size_t grain = 1)
      : begin_(begin), end_(end), grain_(std::max<size_t>(1, grain)) {}
  Index begin() const { return begin_; }
  Index end() const { return end_; }
  size_t grainsize() const { return grain_; }

 private:
  Index begin_, end_;
  size_t grain_;
};

template <typename Index, typename Body>
void parallel_for(const blocked_range<Index>& range, const Body& body) {
  if (range.begin() >= range.end()) return;
  const auto length = static_cast<size_t>(range.end() - range.begin());
  const size_t pieces = (length + range.grainsize() - 1) / range.grainsize();
  const size_t threads_max = std::min<size_t>(static_cast<size_t>(std::max(1, stand_in_threads)),
                                              stand_in_threads_max.load());
  const size_t thread_count = std::min(threads_max, pieces);
  // In turns: whoever comes first would take a short loop whole, and no thread meet another's work.
  const auto work = [&](size_t first) {
    const StandInScope inner(1);
    for (size_t i = first; i < pieces; i += thread_count) {
      const size_t begin = i * range.grainsize();
      const size_t end = std::min(length, begin + range.grainsize());
      body(blocked_range<Index>(range.begin() + static_cast<Index>(begin),
                                range.begin() + static_cast<Index>(end)));
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < thread_count; ++i) threads.emplace_back(work, i);
  work(0);
  for (std::thread& thread : threads) thread.join();
}

template <typename Index, typename Body>
void parallel_for(Index first, Index last, const Body& body) {
  parallel_for(blocked_range<Index>(first, last), [&body](const blocked_range<Index>& range) {
    for (Index i = range.begin(); i < range.end(); ++i) body(i);
  });
}

class task_arena {
 public:
  explicit task_arena(int threads) : threads_(threads > 0 ? threads : kStandInThreads) {}
  template <typename Work>
  auto execute(const Work& work) {
    const StandInScope scope(threads_);
    return work();
  }

 private:
  const int threads_;
};

class task_group {
 public:
  ~task_group() { wait(); }
  void run(std::function<void()> work) {
    threads_.emplace_back([work = std::move(work)] {
      const StandInScope inner(1);
      work();
    });
  }
  void wait() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  std::vector<std::thread> threads_;
};

class global_control {
 public:
  enum parameter { max_allowed_parallelism };
  global_control(parameter, size_t threads)
      : before_(stand_in_threads_max.exchange(std::max<size_t>(1, threads))) {}
  ~global_control() { stand_in_threads_max.store(before_); }

 private:
  const size_t before_;
};

namespace info {
inline int default_concurrency() { return kStandInThreads; }
}  // namespace info

}  // namespace tbb

#endif  // TIERSCOPE_TESTS_TESTING_TSAN_INCLUDE_TBB_STAND_IN_H_
