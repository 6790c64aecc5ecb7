// The generator's pool of topics: which old entries are relevant, how much, and for how long.
// One per profile; one thread. Work: births and deaths, and one pass over the topics per step.
#ifndef TIERSCOPE_TRACES_GENERATOR_TOPICS_H_
#define TIERSCOPE_TRACES_GENERATOR_TOPICS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "sim/base/rng.h"
#include "traces/trace.pb.h"

namespace tierscope {

// Steps of the window that churn, relevance and golden entries are stated for.
inline constexpr int32_t kGeneratorWindowSteps = 64;

struct Topic {
  uint64_t id = 0;  // unique in the profile
  bool dense = false;
  int lifetime_class = 0;  // 0 long, 1 medium, 2 short
  double death_step = 0.0;
  double popularity = 0.0;         // draws go to topics in proportion
  std::vector<uint32_t> entries;   // most relevant first
  std::vector<float> log_density;  // by rank: ln(draws of the rank / mean over ranks)
};

class TopicPool {
 public:
  // `history_entries` exist at step 0, `history_entries_max` at the last step.
  TopicPool(const GeneratorParameters& parameters, int64_t history_entries,
            int64_t history_entries_max, uint64_t stream);

  // Replaces the topics that died before `step`.
  void Advance(int32_t step, int64_t history_entries);

  // An entry, by popularity of its topic and rank in it. Density over ranks is that of n u^2.
  uint32_t Draw(Rng* rng) const {
    const uint64_t bits = rng->NextUint64();
    const std::vector<uint32_t>& entries = topics_[cells_[bits & (kCellCount - 1)]].entries;
    const double u = static_cast<double>(bits >> 12) * 0x1.0p-52;
    return entries[static_cast<size_t>(u * u * static_cast<double>(entries.size()))];
  }

  // Attention weight of `entry`, relative: that of its topic while it is in one.
  double Weight(uint32_t entry) const;

  const std::vector<Topic>& topics() const { return topics_; }
  double popularity_total() const { return popularity_total_; }
  int64_t pool_entries() const { return pool_entries_; }

 private:
  static constexpr size_t kCellCount = 4096;

  void FillTopic(int32_t step, Topic* topic);
  void PlaceRuns(Topic* topic);
  void ClearTopic(Topic* topic);
  void RebuildCells();

  const GeneratorParameters& parameters_;
  Rng rng_;
  int64_t history_entries_;
  int64_t pool_target_;
  int64_t pool_entries_ = 0;
  uint64_t next_id_ = 0;
  std::array<double, 3> death_rate_per_step_;
  std::vector<Topic> topics_;
  std::vector<uint8_t> is_owned_;     // per entry: in a living topic
  std::vector<float> weight_;         // per entry: attention weight, 0 = never in a topic
  std::vector<double> weight_table_;  // by normal cell
  std::array<uint16_t, kCellCount> cells_{};
  double popularity_total_ = 0.0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_GENERATOR_TOPICS_H_
