#include "traces/generator_topics.h"

#include <algorithm>
#include <cmath>

#include "sim/base/check.h"
#include "sim/base/det_math.h"
#include "traces/generator_tables.h"

namespace tierscope {
namespace {

// A class dies this many times as fast as the first.
constexpr std::array<double, 3> kRelativeRate = {1.0, 4.0, 16.0};
constexpr double kReferenceHistoryEntries = 131072.0;
constexpr size_t kTopicCountMax = 60000;  // ids in cells_ are 16 bits

std::array<double, 3> ClassShares(const GeneratorParameters& p) {
  return {1.0 - p.medium_share() - p.short_share(), p.medium_share(), p.short_share()};
}

// Part of the topics that die within a window when the first class dies at `rate` per step.
double ChurnAt(const std::array<double, 3>& shares, double rate) {
  double churn = 0.0;
  for (size_t i = 0; i < shares.size(); ++i) {
    churn += shares[i] * (1.0 - DetExp(-rate * kRelativeRate[i] * kGeneratorWindowSteps));
  }
  return churn;
}

// The rates whose churn is `window_churn`, by bisection: churn rises with the rate from 0 to 1.
std::array<double, 3> DeathRates(const GeneratorParameters& parameters) {
  const std::array<double, 3> shares = ClassShares(parameters);
  double low = 0.0, high = 1.0;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (ChurnAt(shares, middle) < parameters.window_churn() ? low : high) = middle;
  }
  std::array<double, 3> rates;
  for (size_t i = 0; i < rates.size(); ++i) rates[i] = low * kRelativeRate[i];
  return rates;
}

// Enough for top_k distinct entries, never more than half of the history.
int64_t PoolTarget(const GeneratorParameters& p, int64_t history_entries) {
  const double scale =
      DetPow(static_cast<double>(history_entries) / kReferenceHistoryEntries, p.pool_exponent());
  const auto target = static_cast<int64_t>(p.pool_entries() * scale);
  return std::min(std::max<int64_t>(target, p.top_k()), history_entries / 2);
}

// Draws take rank floor(n u^2), so rank r of n gets sqrt((r + 1) / n) - sqrt(r / n) of them.
std::vector<float> LogRankDensity(size_t n) {
  std::vector<float> log_density(n);
  const auto size = static_cast<double>(n);
  for (size_t rank = 0; rank < n; ++rank) {
    const auto r = static_cast<double>(rank);
    const double part = std::sqrt((r + 1.0) / size) - std::sqrt(r / size);
    log_density[rank] = static_cast<float>(DetLog(part * size));
  }
  return log_density;
}

int DrawClass(const GeneratorParameters& parameters, Rng* rng) {
  const double u = rng->NextDouble();
  if (u < parameters.short_share()) return 2;
  return u < parameters.short_share() + parameters.medium_share() ? 1 : 0;
}

// Chance that a new topic is dense, so that dense topics hold dense_share of the entries.
double DenseTopicShare(const GeneratorParameters& p) {
  const double dense = p.dense_share() / (p.dense_run_entries() * p.dense_topic_runs());
  const double scattered =
      (1.0 - p.dense_share()) / (p.scattered_run_entries() * p.scattered_topic_runs());
  return dense / (dense + scattered);
}

// A length or count with the given mean >= 1: 1 + geometric.
int64_t DrawLength(double mean, Rng* rng) { return 1 + rng->NextGeometric(1.0 / mean); }

}  // namespace

TopicPool::TopicPool(const GeneratorParameters& parameters, int64_t history_entries,
                     int64_t history_entries_max, uint64_t stream)
    : parameters_(parameters),
      rng_(parameters.seed(), stream),
      history_entries_(history_entries),
      pool_target_(PoolTarget(parameters, history_entries)),
      death_rate_per_step_(DeathRates(parameters)),
      is_owned_(static_cast<size_t>(history_entries_max)),
      weight_(static_cast<size_t>(history_entries_max)),
      weight_table_(4096) {
  for (size_t i = 0; i < weight_table_.size(); ++i) {
    weight_table_[i] = DetExp(parameters.weight_sigma() * GeneratorTables::Get().Normal(i));
  }
  const double dense_share = DenseTopicShare(parameters);
  while (pool_entries_ < pool_target_ && topics_.size() < kTopicCountMax) {
    Topic& topic = topics_.emplace_back();
    topic.dense = rng_.NextDouble() < dense_share;
    topic.lifetime_class = DrawClass(parameters_, &rng_);
    FillTopic(0, &topic);
  }
  RebuildCells();
}

void TopicPool::Advance(int32_t step, int64_t history_entries) {
  history_entries_ = history_entries;
  bool changed = false;
  for (Topic& topic : topics_) {
    if (topic.death_step >= step) continue;
    ClearTopic(&topic);
    FillTopic(step, &topic);
    changed = true;
  }
  if (changed) RebuildCells();
}

double TopicPool::Weight(uint32_t entry) const {
  const auto weight = static_cast<double>(weight_[entry]);
  return weight > 0.0 ? weight : weight_table_[MixBits(entry ^ parameters_.seed()) & 4095];
}

void TopicPool::FillTopic(int32_t step, Topic* topic) {
  topic->id = next_id_++;
  const double rate = death_rate_per_step_[static_cast<size_t>(topic->lifetime_class)];
  topic->death_step = rate > 0.0 ? step + rng_.NextExponential() / rate : 1e18;
  PlaceRuns(topic);
  for (size_t i = topic->entries.size(); i > 1; --i) {
    std::swap(topic->entries[i - 1], topic->entries[rng_.NextBelow(i)]);
  }
  // Ranks carry the weights of a sorted sample.
  const size_t n = topic->entries.size();
  for (size_t rank = 0; rank < n; ++rank) {
    const double u =
        (static_cast<double>(n - 1 - rank) + rng_.NextDouble()) / static_cast<double>(n);
    weight_[topic->entries[rank]] =
        static_cast<float>(weight_table_[static_cast<size_t>(u * 4096.0)]);
  }
  topic->log_density = LogRankDensity(n);
  const double per_entry = rng_.NextLogNormal(0.0, parameters_.popularity_sigma()) *
                           (topic->dense ? parameters_.dense_popularity() : 1.0);
  topic->popularity = per_entry * static_cast<double>(n);
}

void TopicPool::PlaceRuns(Topic* topic) {
  const GeneratorParameters& p = parameters_;
  const int64_t entries_max = std::max<int64_t>(4, pool_target_ / 16);
  const int64_t runs =
      DrawLength(topic->dense ? p.dense_topic_runs() : p.scattered_topic_runs(), &rng_);
  const double run_entries = topic->dense ? p.dense_run_entries() : p.scattered_run_entries();
  for (int64_t run = 0; run < runs || topic->entries.empty(); ++run) {
    const int64_t length = DrawLength(run_entries, &rng_);
    const auto first =
        static_cast<int64_t>(rng_.NextBelow(static_cast<uint64_t>(history_entries_)));
    for (int64_t e = first; e < std::min(first + length, history_entries_); ++e) {
      if (static_cast<int64_t>(topic->entries.size()) == entries_max) break;
      if (is_owned_[static_cast<size_t>(e)] != 0) continue;
      is_owned_[static_cast<size_t>(e)] = 1;
      topic->entries.push_back(static_cast<uint32_t>(e));
    }
  }
  pool_entries_ += static_cast<int64_t>(topic->entries.size());
}

void TopicPool::ClearTopic(Topic* topic) {
  for (const uint32_t entry : topic->entries) is_owned_[entry] = 0;
  pool_entries_ -= static_cast<int64_t>(topic->entries.size());
  topic->entries.clear();
}

void TopicPool::RebuildCells() {
  popularity_total_ = 0.0;
  for (const Topic& topic : topics_) popularity_total_ += topic.popularity;
  const double cells_per_popularity = static_cast<double>(kCellCount) / popularity_total_;
  double sum = 0.0;
  size_t cell = 0;
  for (size_t t = 0; t < topics_.size(); ++t) {
    sum += topics_[t].popularity;
    const auto end = std::min(kCellCount, static_cast<size_t>(sum * cells_per_popularity + 0.5));
    while (cell < end) cells_[cell++] = static_cast<uint16_t>(t);
  }
  while (cell < kCellCount) cells_[cell++] = static_cast<uint16_t>(topics_.size() - 1);
}

}  // namespace tierscope
