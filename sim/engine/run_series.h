// How a run went over time, in bounded memory: running totals at the ends of batch steps, a bucket
// of time apart, and the largest of each bucket. The bucket doubles when there are too many, so a
// run of any length leaves between kBucketsMax / 2 and kBucketsMax samples (fewer when it is
// short), and the same ones on every machine. Told by whoever watches the run (observer.h).
// One thread. Cost: some ten comparisons a batch step.
#ifndef TIERSCOPE_SIM_ENGINE_RUN_SERIES_H_
#define TIERSCOPE_SIM_ENGINE_RUN_SERIES_H_

#include <array>
#include <cstdint>
#include <vector>

#include "sim/base/time.h"
#include "sim/engine/counters.h"
#include "sim/engine/memory_use.h"

namespace tierscope {

// A histogram of non-negative integers with 64 bins an octave: bin b counts values in
// [LowerEdge(b), LowerEdge(b + 1)). Values below 64 are exact.
struct CoarseHistogram {
  static constexpr int kBitsOfBin = 6;
  static constexpr size_t kBins = size_t{64 - kBitsOfBin} << kBitsOfBin;
  std::array<int64_t, kBins> bins = {};

  static size_t BinOf(int64_t value);
  static int64_t LowerEdge(size_t bin);
  void Add(int64_t value) { ++bins[BinOf(value)]; }
};

// Totals since the end of the warm-up, as they stood at `time`.
struct SeriesSample {
  SimTime time;
  int64_t steps = 0;
  int64_t output_tokens = 0;
  int64_t completed = 0;
  int64_t decode_ns = 0;
  int64_t request_ns = 0;  // batch size integrated over decode
  std::array<int64_t, kStallCauseCount> stall_ns = {};
  int64_t selections = 0;  // these two in units of 1 / stride; settled when a window ends
  int64_t missed = 0;
  int64_t recall_bytes = 0;
  int64_t link_busy_ns = 0;
  int64_t sideband_busy_ns = 0;
  // The largest since the sample before.
  int64_t step_ns_max = 0;
  MemoryUse memory_max;
};

class RunSeries {
 public:
  static constexpr size_t kBucketsMax = 512;

  RunSeries() { Take(SimTime{}, Counters()); }

  void StepEnded(SimTime end, SimDuration length, const Counters& counters,
                 const MemoryUse& memory) {
    Raise(length, memory);
    steps_.Add(length.ns);
    if (end >= next_) Sample(end, counters);
  }
  // What came before is one sample, whose totals are 0.
  void WarmupEnded(SimTime now);
  void Finished(SimTime end, const Counters& counters);

  // In order of time; the first is the end of the warm-up, the last that of the run.
  const std::vector<SeriesSample>& samples() const { return samples_; }
  const CoarseHistogram& step_ns() const { return steps_; }
  // Summed over the counted steps.
  int64_t active_page_steps() const { return active_page_steps_; }
  int64_t context_token_steps() const { return context_token_steps_; }
  int64_t request_steps() const { return request_steps_; }
  // Of requests that completed; empty where there were too many to keep (SampleSet).
  const CoarseHistogram& tpot_ns() const { return tpot_; }
  const CoarseHistogram& ttft_ns() const { return ttft_; }
  const CoarseHistogram& queue_ns() const { return queue_; }
  const CoarseHistogram& latency_ns() const { return latency_; }

 private:
  void Raise(SimDuration length, const MemoryUse& memory);
  void Sample(SimTime now, const Counters& counters);
  void Take(SimTime now, const Counters& counters);
  void HalveSamples();

  std::vector<SeriesSample> samples_;
  SeriesSample open_;  // its maxima so far
  SimDuration bucket_{int64_t{1} << 20};
  SimTime next_;  // the first step to end from here on is sampled
  int64_t active_page_steps_ = 0;
  int64_t context_token_steps_ = 0;
  int64_t request_steps_ = 0;
  CoarseHistogram steps_, tpot_, ttft_, queue_, latency_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_RUN_SERIES_H_
