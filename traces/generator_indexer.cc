#include "traces/generator_indexer.h"

#include <algorithm>
#include <cmath>

#include "sim/base/det_math.h"
#include "traces/generator_tables.h"

namespace tierscope {
namespace {

constexpr uint8_t kKeptCode = 128;  // threshold 0.5
// False positives at threshold 0.5, as parts of the irrelevant entries: whatever the context, some,
// and never most of them.
constexpr double kBackgroundMin = 0.002;
constexpr double kBackgroundMax = 0.14;
constexpr double kTruthMin = -8.0;  // less relevant entries count as background

double Logit(double score) { return DetLog(score / (1.0 - score)); }

// ln(relevance / midpoint) by distance from the newest entry, as far as it can matter.
std::vector<double> RecencyTruth(const GeneratorParameters& p, double draws_per_window,
                                 double midpoint) {
  std::vector<double> truth;
  const double draws = draws_per_window * p.recency_share();
  double near = draws * p.recency_near_share() / p.recency_near_entries();
  double far = draws * (1.0 - p.recency_near_share()) / p.recency_far_entries();
  const double near_factor = DetExp(-1.0 / p.recency_near_entries());
  const double far_factor = DetExp(-1.0 / p.recency_far_entries());
  while (near + far > 0.02 * midpoint && truth.size() < (size_t{1} << 20)) {
    truth.push_back(DetLog((near + far) / midpoint));
    near *= near_factor;
    far *= far_factor;
  }
  return truth;
}

}  // namespace

uint8_t ScoreFloorCode(const GeneratorParameters& parameters) {
  return static_cast<uint8_t>(std::max(1.0, std::ceil(256.0 * parameters.score_floor())));
}

MemoryIndexer::MemoryIndexer(const GeneratorParameters& parameters, const TopicPool& topics,
                             double draws_per_window, int64_t history_entries_max, uint64_t stream)
    : parameters_(parameters),
      topics_(topics),
      rng_(parameters.seed(), stream),
      draws_per_window_(draws_per_window),
      midpoint_(parameters.indexer_midpoint() * draws_per_window /
                static_cast<double>(topics.pool_entries())),
      floor_code_(ScoreFloorCode(parameters)),
      floor_logit_(Logit(static_cast<double>(floor_code_) / 256.0)),
      noise_persistent_(parameters.indexer_noise() *
                        std::sqrt(parameters.indexer_noise_persistence())),
      noise_fresh_(parameters.indexer_noise() *
                   std::sqrt(1.0 - parameters.indexer_noise_persistence())),
      recency_truth_(RecencyTruth(parameters, draws_per_window, midpoint_)),
      code_of_(static_cast<size_t>(history_entries_max)),
      scored_(history_entries_max) {}

void MemoryIndexer::Tick(int32_t step, int64_t history_entries) {
  ScoreTopics(step);
  ScoreRecency(history_entries);
  ScoreSink(history_entries);
  if (background_chance_ < 0.0) SetBackgroundChance(history_entries);
  UpdateFalsePositives(history_entries);
  entries_.clear();
  codes_.clear();
  scored_.ForEach([this](uint32_t entry) {
    entries_.push_back(entry);
    codes_.push_back(code_of_[entry]);
    code_of_[entry] = 0;
  });
  scored_.Clear();
}

// A topic that dies inside the window is relevant for the part that it lives; one that is born
// inside is not known yet.
void MemoryIndexer::ScoreTopics(int32_t step) {
  const double topic_share = 1.0 - parameters_.recency_share() - parameters_.sink_share();
  const double draws_per_popularity = draws_per_window_ * topic_share / topics_.popularity_total();
  for (const Topic& topic : topics_.topics()) {
    const double alive = std::clamp((topic.death_step - step) / kGeneratorWindowSteps, 0.01, 1.0);
    const size_t n = topic.entries.size();
    const double relevance =
        draws_per_popularity * topic.popularity * alive / static_cast<double>(n);
    const double truth = DetLog(relevance / midpoint_);
    for (size_t rank = 0; rank < n; ++rank) {
      Score(topic.entries[rank], truth + static_cast<double>(topic.log_density[rank]),
            MixBits(topic.id << 24 ^ rank));
    }
  }
}

void MemoryIndexer::ScoreRecency(int64_t history_entries) {
  const int64_t count = std::min(static_cast<int64_t>(recency_truth_.size()), history_entries);
  for (int64_t distance = 0; distance < count; ++distance) {
    const auto entry = static_cast<uint32_t>(history_entries - 1 - distance);
    Score(entry, recency_truth_[static_cast<size_t>(distance)], MixBits(~uint64_t{entry}));
  }
}

void MemoryIndexer::ScoreSink(int64_t history_entries) {
  if (parameters_.sink_entries() == 0 || parameters_.sink_share() <= 0.0) return;
  const double relevance =
      draws_per_window_ * parameters_.sink_share() / parameters_.sink_entries();
  const double truth = DetLog(relevance / midpoint_);
  for (int64_t e = 0; e < std::min<int64_t>(parameters_.sink_entries(), history_entries); ++e) {
    Score(static_cast<uint32_t>(e), truth, MixBits(~static_cast<uint64_t>(e)));
  }
}

// `truth` = ln(relevance / midpoint); of two reasons to be relevant the stronger counts.
void MemoryIndexer::Score(uint32_t entry, double truth, uint64_t persistent_bits) {
  if (truth < kTruthMin) return;
  const GeneratorTables& tables = GeneratorTables::Get();
  const double noise = noise_persistent_ * tables.Normal(persistent_bits) +
                       noise_fresh_ * tables.Normal(rng_.NextUint64() >> 40);
  const uint8_t code = tables.Code(parameters_.indexer_gain() * truth + noise);
  if (code >= floor_code_) Put(entry, std::max(code, code_of_[entry]));
}

void MemoryIndexer::Put(uint32_t entry, uint8_t code) {
  if (code_of_[entry] == 0) scored_.Add(entry);
  code_of_[entry] = code;
}

// False positives fill up what the true ones leave of the kept fraction. Their logits thin out
// exponentially, so the chance at the floor follows from the one at threshold 0.5.
void MemoryIndexer::SetBackgroundChance(int64_t history_entries) {
  int64_t kept = 0;
  scored_.ForEach([&](uint32_t entry) { kept += code_of_[entry] >= kKeptCode ? 1 : 0; });
  const auto history = static_cast<double>(history_entries);
  const double wanted = parameters_.kept_fraction() * history - static_cast<double>(kept);
  const double irrelevant = history - static_cast<double>(topics_.pool_entries());
  const double at_half = std::clamp(wanted / irrelevant, kBackgroundMin, kBackgroundMax);
  background_chance_ =
      std::min(0.9, at_half * DetExp(-floor_logit_ / parameters_.background_slope()));
}

void MemoryIndexer::UpdateFalsePositives(int64_t history_entries) {
  const bool is_first = false_positives_.empty();
  const double stays = parameters_.background_persistence();
  std::erase_if(false_positives_, [&](const FalsePositive&) { return rng_.NextDouble() >= stays; });
  // Fresh ones that meet a surviving one are lost, so a little more than 1 - stays keeps the
  // number.
  const double fresh = is_first ? 1.0 : (1.0 - stays) / (1.0 - stays * background_chance_);
  AddFreshFalsePositives(background_chance_ * fresh, history_entries);
  merged_.clear();
  std::merge(false_positives_.begin(), false_positives_.end(), fresh_.begin(), fresh_.end(),
             std::back_inserter(merged_),
             [](const FalsePositive& a, const FalsePositive& b) { return a.entry < b.entry; });
  const auto same = [](const FalsePositive& a, const FalsePositive& b) {
    return a.entry == b.entry;
  };
  merged_.erase(std::unique(merged_.begin(), merged_.end(), same), merged_.end());
  std::swap(false_positives_, merged_);
  for (const FalsePositive& f : false_positives_) {
    if (code_of_[f.entry] == 0) Put(f.entry, f.code);
  }
}

// Bernoulli trials over the history by skipping: the gap to the next success is geometric.
void MemoryIndexer::AddFreshFalsePositives(double chance, int64_t history_entries) {
  fresh_.clear();
  if (chance <= 0.0) return;
  const double per_exponential = -1.0 / DetLog(1.0 - chance);
  for (int64_t entry = -1;;) {
    const double skipped = rng_.NextExponential() * per_exponential;
    if (skipped >= static_cast<double>(history_entries)) return;
    entry += 1 + static_cast<int64_t>(skipped);
    if (entry >= history_entries) return;
    fresh_.push_back({static_cast<uint32_t>(entry), FalsePositiveCode()});
  }
}

uint8_t MemoryIndexer::FalsePositiveCode() {
  const double logit = floor_logit_ + parameters_.background_slope() * rng_.NextExponential();
  return std::max(floor_code_, GeneratorTables::Get().Code(logit));
}

}  // namespace tierscope
