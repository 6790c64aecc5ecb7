// The generator's memory indexer: scores of one tick. Truth (relevance for the next window) plus
// noise for the entries it could know of, and false positives from everywhere else.
// One per profile; one thread. Work is proportional to the scores recorded.
#ifndef TIERSCOPE_TRACES_GENERATOR_INDEXER_H_
#define TIERSCOPE_TRACES_GENERATOR_INDEXER_H_

#include <cstdint>
#include <vector>

#include "sim/base/rng.h"
#include "traces/entry_set.h"
#include "traces/generator_topics.h"
#include "traces/trace.pb.h"

namespace tierscope {

// The lowest code recorded: the score floor, rounded up to the grid of codes.
uint8_t ScoreFloorCode(const GeneratorParameters& parameters);

class MemoryIndexer {
 public:
  // `draws_per_window`: of all layers, what relevance counts. `topics` must outlive this.
  MemoryIndexer(const GeneratorParameters& parameters, const TopicPool& topics,
                double draws_per_window, int64_t history_entries_max, uint64_t stream);

  // Scores of the tick after `step`: rising entries, a code of at least the floor each. Spans of
  // members, valid until the next call.
  void Tick(int32_t step, int64_t history_entries);
  const std::vector<uint32_t>& entries() const { return entries_; }
  const std::vector<uint8_t>& codes() const { return codes_; }

 private:
  struct FalsePositive {
    uint32_t entry;
    uint8_t code;
  };

  void ScoreTopics(int32_t step);
  void ScoreRecency(int64_t history_entries);
  void ScoreSink(int64_t history_entries);
  void Score(uint32_t entry, double truth, uint64_t persistent_bits);
  void UpdateFalsePositives(int64_t history_entries);
  void AddFreshFalsePositives(double chance, int64_t history_entries);
  void SetBackgroundChance(int64_t history_entries);
  void Put(uint32_t entry, uint8_t code);
  uint8_t FalsePositiveCode();

  const GeneratorParameters& parameters_;
  const TopicPool& topics_;
  Rng rng_;
  double draws_per_window_;
  double midpoint_;  // relevance with truth 0, in draws per window
  uint8_t floor_code_;
  double floor_logit_;
  double noise_persistent_;  // standard deviations
  double noise_fresh_;
  double background_chance_ = -1.0;  // that an irrelevant entry is recorded; set at the first tick
  std::vector<double> recency_truth_;  // by distance from the newest entry
  std::vector<uint8_t> code_of_;       // per entry, 0 = not scored in this tick
  EntrySet scored_;
  std::vector<FalsePositive> false_positives_;  // rising
  std::vector<FalsePositive> fresh_, merged_;   // reused
  std::vector<uint32_t> entries_;
  std::vector<uint8_t> codes_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_GENERATOR_INDEXER_H_
