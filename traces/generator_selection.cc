#include "traces/generator_selection.h"

#include <algorithm>
#include <utility>

#include "sim/base/check.h"

namespace tierscope {
namespace {

// Tries for an entry that the layers do not hold yet, before any entry of the history will do.
constexpr int kDrawTries = 12;

uint64_t LayerMask(int first, int count) {
  return (count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1) << first;
}

}  // namespace

LayerSets::LayerSets(const GeneratorParameters& parameters, const TopicPool& topics,
                     int64_t history_entries, int64_t history_entries_max, uint64_t stream)
    : parameters_(parameters),
      topics_(topics),
      rng_(parameters.seed(), stream),
      history_entries_(history_entries),
      layers_of_(static_cast<size_t>(history_entries_max)),
      members_(history_entries_max) {
  int first = 0;
  for (int group = 0; group < parameters.layer_group_layers_size(); ++group) {
    const int layers = parameters.layer_group_layers(group);
    const double overlap = parameters.layer_group_overlap(group);
    const auto shared =
        layers == 1 ? 0 : static_cast<int64_t>(parameters.layer_overlap() * parameters.top_k());
    AddSlotSet(LayerMask(first, layers), shared, overlap);
    for (int layer = first; layer < first + layers; ++layer) {
      AddSlotSet(LayerMask(layer, 1), parameters.top_k() - shared, overlap);
    }
    first += layers;
  }
}

void LayerSets::Advance(int64_t history_entries) {
  history_entries_ = history_entries;
  for (SlotSet& set : slot_sets_) Redraw(&set);
}

void LayerSets::AddSlotSet(uint64_t mask, int64_t slot_count, double overlap) {
  SlotSet& set = slot_sets_.emplace_back();
  set.mask = mask;
  set.redrawn_per_step = (1.0 - overlap) * static_cast<double>(slot_count);
  draws_per_window_ += set.redrawn_per_step * kGeneratorWindowSteps;
  for (int64_t slot = 0; slot < slot_count; ++slot) {
    set.entries.push_back(DrawFree(mask));
    Hold(set.entries.back(), mask);
  }
}

// The slots redrawn are a random sample: the order of the slots means nothing, so they are swapped
// to the front. All new entries are drawn before an old one is dropped, so no old one comes back.
void LayerSets::Redraw(SlotSet* set) {
  auto redrawn = static_cast<size_t>(set->redrawn_per_step + rng_.NextDouble());
  redrawn = std::min(redrawn, set->entries.size());
  dropped_.clear();
  for (size_t i = 0; i < redrawn; ++i) {
    std::swap(set->entries[i], set->entries[i + rng_.NextBelow(set->entries.size() - i)]);
    dropped_.push_back(set->entries[i]);
    set->entries[i] = DrawFree(set->mask);
    Hold(set->entries[i], set->mask);
  }
  for (const uint32_t entry : dropped_) Drop(entry, set->mask);
}

uint32_t LayerSets::DrawFree(uint64_t mask) {
  const GeneratorParameters& p = parameters_;
  for (int i = 0; i < kDrawTries; ++i) {
    uint32_t entry;
    const double u = rng_.NextDouble();
    if (u < p.sink_share()) {
      entry = static_cast<uint32_t>(rng_.NextBelow(static_cast<uint64_t>(p.sink_entries())));
    } else if (u < p.sink_share() + p.recency_share()) {
      const bool near = rng_.NextDouble() < p.recency_near_share();
      entry = DrawRecent(near ? p.recency_near_entries() : p.recency_far_entries());
    } else {
      entry = topics_.Draw(&rng_);
    }
    if ((layers_of_[entry] & mask) == 0) return entry;
  }
  uint64_t entry = rng_.NextBelow(static_cast<uint64_t>(history_entries_));
  while ((layers_of_[entry] & mask) != 0) {
    entry = entry + 1 == static_cast<uint64_t>(history_entries_) ? 0 : entry + 1;
  }
  return static_cast<uint32_t>(entry);
}

uint32_t LayerSets::DrawRecent(double mean_distance) {
  const auto distance = static_cast<int64_t>(rng_.NextExponential() * mean_distance);
  return static_cast<uint32_t>(history_entries_ - 1 - distance % history_entries_);
}

void LayerSets::Hold(uint32_t entry, uint64_t mask) {
  if (layers_of_[entry] == 0) members_.Add(entry);
  layers_of_[entry] |= mask;
}

void LayerSets::Drop(uint32_t entry, uint64_t mask) {
  layers_of_[entry] &= ~mask;
  if (layers_of_[entry] == 0) members_.Remove(entry);
}

}  // namespace tierscope
