// Golden entries of a window, by the published pipeline (facts.md section 1): per layer and step
// the softmax over the top-k, of that the smallest set of largest weights that holds 0.6 (top-p),
// and of the entries in such a set those that at least 3 layers agree on within the window.
//
// Recorded weights are bytes, floor(255 * w / w_max): the set ends at a code and takes all entries
// of that code; half a unit is added to every code but 0, which counts a quarter. Records with
// votes are taken as one distribution over all layers, which is an estimate: an entry is golden
// when it is in its set and at least 3 layers selected it.
#ifndef TIERSCOPE_TRACES_GOLDEN_LABELS_H_
#define TIERSCOPE_TRACES_GOLDEN_LABELS_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "traces/entry_set.h"

namespace tierscope {

struct GoldenRule {
  double top_p = 0.6;      // of a layer's attention
  int32_t layers_min = 3;  // at most the profile's layers
};

// Weights after softmax as recorded: floor(255 * exp(logit - largest logit)). `weights` is as long
// as `logits`; a logit that is not finite weighs nothing.
void SoftmaxWeights(std::span<const float> logits, std::span<uint8_t> weights);

// The least code in the set that holds `top_p` of the weights; 256 for no weights.
int NucleusCode(std::span<const uint8_t> weights, double top_p);

// Collects the records of one window. Memory: 4 bytes an entry. One owner.
class GoldenLabeler {
 public:
  GoldenLabeler(int64_t history_entries, int32_t layer_count, const GoldenRule& rule);

  // A record with weights; `votes` is empty for one of a single layer.
  void Add(int32_t layer, std::span<const uint32_t> entries, std::span<const uint8_t> votes,
           std::span<const uint8_t> weights);
  // Replaces `golden` by the window's golden entries, rising, and clears the window. False when no
  // record of it had weights.
  bool EndWindow(std::vector<uint32_t>* golden);

 private:
  void Vote(uint32_t entry, int32_t layer);

  GoldenRule rule_;
  // Per entry the first layers that voted for it, and how many they are up to layers_min.
  std::vector<std::array<uint8_t, 3>> voters_;
  std::vector<uint8_t> voter_count_;
  EntrySet members_;
  bool has_weights_ = false;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_GOLDEN_LABELS_H_
