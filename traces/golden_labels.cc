#include "traces/golden_labels.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/base/check.h"
#include "sim/base/det_math.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

// What a recorded code stands for, in units of the largest weight / 255.
double WeightOfCode(size_t code) { return code == 0 ? 0.25 : static_cast<double>(code) + 0.5; }

}  // namespace

void SoftmaxWeights(std::span<const float> logits, std::span<uint8_t> weights) {
  TIERSCOPE_CHECK(weights.size() == logits.size());
  double largest = 0.0;
  bool found = false;
  for (const float logit : logits) {
    if (!std::isfinite(logit)) continue;
    largest = found ? std::max(largest, double{logit}) : double{logit};
    found = true;
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    const bool counts = found && std::isfinite(logits[i]);
    weights[i] =
        counts ? static_cast<uint8_t>(255.0 * DetExp(double{logits[i]} - largest)) : uint8_t{0};
  }
}

int NucleusCode(std::span<const uint8_t> weights, double top_p) {
  if (weights.empty()) return 256;
  std::array<int64_t, 256> count{};
  for (const uint8_t weight : weights) ++count[weight];
  double all = 0.0, sum = 0.0;
  for (size_t code = 0; code < 256; ++code) {
    all += WeightOfCode(code) * static_cast<double>(count[code]);
  }
  for (size_t code = 256; code-- > 0;) {
    sum += WeightOfCode(code) * static_cast<double>(count[code]);
    if (sum >= top_p * all) return static_cast<int>(code);
  }
  return 0;
}

GoldenLabeler::GoldenLabeler(int64_t history_entries, int32_t layer_count, const GoldenRule& rule)
    : rule_(rule),
      voters_(static_cast<size_t>(history_entries)),
      voter_count_(static_cast<size_t>(history_entries)),
      members_(history_entries) {
  rule_.layers_min = std::min({rule.layers_min, layer_count, 3});
}

void GoldenLabeler::Vote(uint32_t entry, int32_t layer) {
  uint8_t& count = voter_count_[entry];
  std::array<uint8_t, 3>& voters = voters_[entry];
  const auto voter = static_cast<uint8_t>(layer);
  if (std::find(voters.begin(), voters.begin() + count, voter) != voters.begin() + count) return;
  if (count < rule_.layers_min) voters[count++] = voter;
}

void GoldenLabeler::Add(int32_t layer, std::span<const uint32_t> entries,
                        std::span<const uint8_t> votes, std::span<const uint8_t> weights) {
  has_weights_ = true;
  const int least = NucleusCode(weights, rule_.top_p);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (weights[i] < least) continue;
    if (layer != kAllLayers) {
      members_.Add(entries[i]);
      Vote(entries[i], layer);
    } else if (votes[i] >= rule_.layers_min) {
      members_.Add(entries[i]);
      voter_count_[entries[i]] = static_cast<uint8_t>(rule_.layers_min);
    }
  }
}

bool GoldenLabeler::EndWindow(std::vector<uint32_t>* golden) {
  golden->clear();
  members_.Drain([this, golden](uint32_t entry) {
    if (voter_count_[entry] >= rule_.layers_min) golden->push_back(entry);
    voter_count_[entry] = 0;
  });
  return std::exchange(has_weights_, false);
}

}  // namespace tierscope
