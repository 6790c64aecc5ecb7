#include "real/content.h"

#include <algorithm>
#include <cstring>

#include "kernels/fp8.h"
#include "sim/base/check.h"
#include "sim/base/rng.h"

namespace tierscope {
namespace {

constexpr int32_t kTopics = 48;
constexpr int32_t kRelevantTopics = 5;
constexpr float kRelevantWeights[kRelevantTopics] = {1.0f, 0.85f, 0.7f, 0.55f, 0.4f};
constexpr double kTopicLifeSteps = 24;     // mean, of one place among the relevant ones
constexpr double kRunEntries = 24;         // mean length of a run of one topic
constexpr double kNewEntryRelevant = 0.7;  // part of the runs of new entries that are on topic
constexpr int32_t kForesightSteps = 16;    // how far ahead the memory indexer knows topics
constexpr float kForesight = 0.6f;         // of their weight
constexpr float kKeyTopic = 2.0f, kKeyCommon = 1.5f, kQueryNoise = 0.7f;
constexpr int32_t kVariants = 4;  // queries of one layer while the same topics are relevant
// Logit 8 (w - 1/2): a match of weight w is 2 * 128 * w over the first half of the heads, the
// common part 1.5 * 128 over the other.
constexpr float kMatch = kKeyTopic * kIndexDim;
constexpr float kCommonMatch = kKeyCommon * kIndexDim;
constexpr float kLogitSlope = 8.0f;
constexpr float kKeyScale = 1.0f / 64;

enum Purpose : uint64_t {
  kTopicPurpose,
  kEntryPurpose,
  kRelevancePurpose,
  kKeyPurpose,
  kNativePurpose,
  kMemoryPurpose
};

std::vector<float> HeadWeights(int32_t heads) {
  std::vector<float> weights(static_cast<size_t>(heads));
  const float each = 2.0f / static_cast<float>(heads) * kLogitSlope / kKeyScale;
  for (int32_t h = 0; h < heads; ++h) {
    weights[static_cast<size_t>(h)] = h < heads / 2 ? each / kMatch : -0.5f * each / kCommonMatch;
  }
  return weights;
}

float Sign(uint64_t bits, int32_t i) { return (bits >> i & 1) != 0 ? 1.0f : -1.0f; }

void FillSigns(Rng& rng, float* out) {
  for (int32_t i = 0; i < kIndexDim; i += 64) {
    const uint64_t bits = rng.NextUint64();
    for (int32_t b = 0; b < 64; ++b) out[i + b] = Sign(bits, b);
  }
}

// Of mean 0 and variance 1: the sum of four bytes is close enough to normal here, and cheap.
float Noise(uint64_t bits, int32_t i) {
  const auto word = static_cast<uint32_t>(bits >> (32 * i));
  const auto sum =
      static_cast<int32_t>((word & 0xFF) + (word >> 8 & 0xFF) + (word >> 16 & 0xFF) + (word >> 24));
  return static_cast<float>(sum - 510) * (1.0f / 147.8f);
}

size_t At2(int64_t a, int64_t width) { return static_cast<size_t>(a * width); }

}  // namespace

RequestContent::RequestContent(const ContentShape& shape)
    : shape_(shape),
      native_weights_(HeadWeights(kNativeHeads)),
      memory_weights_(HeadWeights(kMemoryHeads)) {
  TIERSCOPE_CHECK(shape.csa_layers >= shape.target_layers && shape.target_layers > 0);
  DrawTopics();
  DrawRelevance();
  DrawEntries();
  FillNativeQueries();
  FillMemoryQueries();
}

int64_t RequestContent::QueryBytesMax(const ContentShape& shape) {
  // A change of topics every kTopicLifeSteps / kRelevantTopics steps on average; twice that.
  const auto changes =
      static_cast<int64_t>(2.0 * shape.step_count * kRelevantTopics / kTopicLifeSteps) + 8;
  const int64_t native = changes * kVariants * shape.csa_layers * kNativeHeads * kIndexDim;
  const int64_t memory = (int64_t{shape.step_count} / shape.tick_stride_steps + 1) *
                         shape.target_layers * kMemoryHeads * kIndexDim;
  return native + memory;
}

uint64_t RequestContent::Stream(uint64_t purpose, uint64_t index) const {
  return MixBits(MixBits(MixBits(purpose) + static_cast<uint64_t>(shape_.profile)) + index);
}

void RequestContent::DrawTopics() {
  topics_.resize(At2(int64_t{shape_.csa_layers} * kTopics, kIndexDim));
  common_.resize(At2(shape_.csa_layers, kIndexDim));
  for (int32_t layer = 0; layer < shape_.csa_layers; ++layer) {
    Rng rng(shape_.seed, Stream(kTopicPurpose, static_cast<uint64_t>(layer)));
    for (int32_t topic = 0; topic < kTopics; ++topic) {
      FillSigns(rng, topics_.data() + At2(int64_t{layer} * kTopics + topic, kIndexDim));
    }
    FillSigns(rng, common_.data() + At2(layer, kIndexDim));
  }
}

void RequestContent::DrawRelevance() {
  Rng rng(shape_.seed, Stream(kRelevancePurpose, 0));
  int32_t topic[kRelevantTopics];
  int64_t until[kRelevantTopics];
  for (int32_t i = 0; i < kRelevantTopics; ++i) topic[i] = -1, until[i] = 0;
  relevance_of_.resize(static_cast<size_t>(shape_.step_count) + 1);
  for (int32_t step = 0; step <= shape_.step_count; ++step) {
    bool changed = false;
    for (int32_t i = 0; i < kRelevantTopics; ++i) {
      if (until[i] > step) continue;
      do {
        topic[i] = static_cast<int32_t>(rng.NextBelow(kTopics));
      } while (std::count(topic, topic + kRelevantTopics, topic[i]) > 1);
      until[i] = step + 1 + static_cast<int64_t>(rng.NextExponential() * kTopicLifeSteps);
      changed = true;
    }
    if (changed) {
      Relevance now{step, std::vector<float>(kTopics)};
      for (int32_t i = 0; i < kRelevantTopics; ++i) {
        now.weights[static_cast<size_t>(topic[i])] = kRelevantWeights[i];
      }
      relevance_.push_back(std::move(now));
    }
    relevance_of_[static_cast<size_t>(step)] = static_cast<int32_t>(relevance_.size()) - 1;
  }
}

const RequestContent::Relevance& RequestContent::At(int32_t step) const {
  const auto at = static_cast<size_t>(std::clamp(step, 0, shape_.step_count));
  return relevance_[static_cast<size_t>(relevance_of_[at])];
}

// Runs of one topic; those of decoded entries are mostly on what is relevant when they form.
void RequestContent::DrawEntries() {
  Rng rng(shape_.seed, Stream(kEntryPurpose, 0));
  entry_topic_.reserve(static_cast<size_t>(shape_.entry_count));
  while (static_cast<int64_t>(entry_topic_.size()) < shape_.entry_count) {
    auto topic = static_cast<uint8_t>(rng.NextBelow(kTopics));
    const auto run = 1 + static_cast<int64_t>(rng.NextExponential() * (kRunEntries - 1));
    const int64_t decoded = static_cast<int64_t>(entry_topic_.size()) - shape_.prompt_entries;
    if (decoded >= 0 && rng.NextDouble() < kNewEntryRelevant) {
      const auto step = static_cast<int32_t>(
          std::min<int64_t>(decoded * shape_.tokens_per_entry, shape_.step_count));
      const std::vector<float>& weights = At(step).weights;
      topic =
          static_cast<uint8_t>(std::max_element(weights.begin(), weights.end()) - weights.begin());
    }
    for (int64_t i = 0; i < run && static_cast<int64_t>(entry_topic_.size()) < shape_.entry_count;
         ++i) {
      entry_topic_.push_back(topic);
    }
  }
}

void RequestContent::IndexKey(int32_t layer, int64_t entry, uint8_t* codes, float* scale) const {
  Rng rng(shape_.seed, Stream(kKeyPurpose + 16 * static_cast<uint64_t>(layer + 1),
                              static_cast<uint64_t>(entry)));
  const float* topic =
      topics_.data() +
      At2(int64_t{layer} * kTopics + entry_topic_[static_cast<size_t>(entry)], kIndexDim);
  const float* common = common_.data() + At2(layer, kIndexDim);
  for (int32_t i = 0; i < kIndexDim; i += 2) {
    const uint64_t bits = rng.NextUint64();
    for (int32_t b = 0; b < 2; ++b) {
      codes[i + b] =
          FloatToE4m3(kKeyTopic * topic[i + b] + kKeyCommon * common[i + b] + Noise(bits, b));
    }
  }
  *scale = kKeyScale;
}

void RequestContent::FillQuery(std::span<const float> weights, int32_t layer, int32_t heads,
                               uint64_t stream, uint8_t* codes) const {
  float mixture[kIndexDim] = {};
  for (int32_t topic = 0; topic < kTopics; ++topic) {
    const float weight = weights[static_cast<size_t>(topic)];
    if (weight == 0.0f) continue;
    const float* direction = topics_.data() + At2(int64_t{layer} * kTopics + topic, kIndexDim);
    for (int32_t i = 0; i < kIndexDim; ++i) mixture[i] += weight * direction[i];
  }
  const float* common = common_.data() + At2(layer, kIndexDim);
  Rng rng(shape_.seed, stream);
  for (int32_t head = 0; head < heads; ++head) {
    const float* base = head < heads / 2 ? mixture : common;
    uint8_t* out = codes + int64_t{head} * kIndexDim;
    for (int32_t i = 0; i < kIndexDim; i += 2) {
      const uint64_t bits = rng.NextUint64();
      for (int32_t b = 0; b < 2; ++b) {
        out[i + b] = FloatToE4m3(base[i + b] + kQueryNoise * Noise(bits, b));
      }
    }
  }
}

void RequestContent::FillNativeQueries() {
  const int64_t query_bytes = int64_t{kNativeHeads} * kIndexDim;
  const int64_t set_bytes = shape_.csa_layers * query_bytes;
  native_.resize(relevance_.size() * At2(kVariants, set_bytes));
  for (size_t r = 0; r < relevance_.size(); ++r) {
    for (int32_t variant = 0; variant < kVariants; ++variant) {
      const int64_t set = static_cast<int64_t>(r) * kVariants + variant;
      for (int32_t layer = 0; layer < shape_.csa_layers; ++layer) {
        FillQuery(relevance_[r].weights, layer, kNativeHeads,
                  Stream(kNativePurpose, static_cast<uint64_t>(set * shape_.csa_layers + layer)),
                  native_.data() + At2(set, set_bytes) + At2(layer, query_bytes));
      }
    }
  }
}

void RequestContent::FillMemoryQueries() {
  const int64_t query_bytes = int64_t{kMemoryHeads} * kIndexDim;
  const int32_t ticks = shape_.step_count / shape_.tick_stride_steps + 1;
  memory_.resize(At2(int64_t{ticks} * shape_.target_layers, query_bytes));
  for (int32_t tick = 0; tick < ticks; ++tick) {
    const int32_t step = tick * shape_.tick_stride_steps;
    std::vector<float> weights = At(step).weights;
    for (int32_t ahead = 1; ahead <= kForesightSteps; ++ahead) {
      const std::vector<float>& then = At(step + ahead).weights;
      for (size_t t = 0; t < weights.size(); ++t) {
        weights[t] = std::max(weights[t], kForesight * then[t]);
      }
    }
    for (int32_t layer = 0; layer < shape_.target_layers; ++layer) {
      const int64_t query = int64_t{tick} * shape_.target_layers + layer;
      const auto place = static_cast<uint64_t>(int64_t{step} * shape_.target_layers + layer);
      FillQuery(weights, layer, kMemoryHeads, Stream(kMemoryPurpose, place),
                memory_.data() + At2(query, query_bytes));
    }
  }
}

IndexQuery RequestContent::NativeQuery(int32_t step, int32_t layer) const {
  const int32_t at = std::clamp(step, 0, shape_.step_count);
  const int64_t set = int64_t{relevance_of_[static_cast<size_t>(at)]} * kVariants + at % kVariants;
  return {native_.data() + At2(set * shape_.csa_layers + layer, int64_t{kNativeHeads} * kIndexDim),
          native_weights_.data()};
}

IndexQuery RequestContent::MemoryQuery(int32_t step, int32_t target_layer) const {
  TIERSCOPE_CHECK(step % shape_.tick_stride_steps == 0 && step <= shape_.step_count);
  const int64_t query =
      int64_t{step / shape_.tick_stride_steps} * shape_.target_layers + target_layer;
  return {memory_.data() + At2(query, int64_t{kMemoryHeads} * kIndexDim), memory_weights_.data()};
}

void FillKvEntry(const KvEntryPlace& place, uint8_t* values, uint8_t* scales) {
  uint64_t stream = MixBits(static_cast<uint64_t>(place.profile));
  stream = MixBits(stream + static_cast<uint64_t>(place.pool));
  stream = MixBits(stream + static_cast<uint64_t>(place.layer));
  Rng rng(place.seed, MixBits(stream + static_cast<uint64_t>(place.entry)));
  for (int32_t i = 0; i < kKvFp8Dim; i += 8) {
    // Sign and two mantissa-and-exponent bits below 2: e4m3 codes 0x20 to 0x3F.
    const uint64_t bits = (rng.NextUint64() & 0x9F9F9F9F9F9F9F9Full) | 0x2020202020202020ull;
    std::memcpy(values + i, &bits, sizeof bits);
  }
  for (int32_t i = kKvFp8Dim; i < kKvRowBytes; i += 8) {
    // bf16 from 2^-2 on, below 2^0, of both signs.
    const uint64_t bits = (rng.NextUint64() & 0x80FF80FF80FF80FFull) | 0x3E803E803E803E80ull;
    std::memcpy(values + i, &bits, sizeof bits);
  }
  const uint64_t scale_bits = rng.NextUint64();
  for (int32_t i = 0; i < kKvScaleBytes; ++i) {
    scales[i] = static_cast<uint8_t>(125 + (scale_bits >> i & 1));  // 2^-2 or 2^-1
  }
}

}  // namespace tierscope
