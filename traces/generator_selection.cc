#include "traces/generator_selection.h"

#include <algorithm>
#include <utility>

#include "sim/base/check.h"
#include "traces/generator.h"

namespace tierscope {
namespace {

// Tries for an entry that the layers do not hold yet, before any entry of the history will do.
constexpr int kDrawTries = 12;

// Drops that a set remembers, in sizes of the set.
constexpr int64_t kRememberedSets = 8;

// The overlap of a layer group at this history: between two of the histories that the parameters
// give overlaps for on a straight line, outside of them that of the nearest.
double OverlapOf(const GeneratorParameters& p, int group, int64_t history_entries) {
  const auto& histories = p.overlap_history_entries();
  const auto at = [&](int row) {
    return p.layer_group_overlap(row * p.layer_group_layers_size() + group);
  };
  const auto above = static_cast<int>(
      std::upper_bound(histories.begin(), histories.end(), history_entries) - histories.begin());
  if (above == 0) return at(0);
  if (above == histories.size()) return at(above - 1);
  const double part = static_cast<double>(history_entries - histories[above - 1]) /
                      static_cast<double>(histories[above] - histories[above - 1]);
  return at(above - 1) + part * (at(above) - at(above - 1));
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
    const double overlap = OverlapOf(parameters, group, history_entries);
    const int64_t shared = layers == 1 ? 0 : SharedSlots(parameters);
    AddSlotSet(LayerMask::Range(first, layers), shared, overlap);
    for (int layer = first; layer < first + layers; ++layer) {
      AddSlotSet(LayerMask::Range(layer, 1), parameters.top_k() - shared, overlap);
    }
    first += layers;
  }
}

void LayerSets::Advance(int64_t history_entries) {
  history_entries_ = history_entries;
  for (SlotSet& set : slot_sets_) Redraw(&set);
}

void LayerSets::AddSlotSet(LayerMask mask, int64_t slot_count, double overlap) {
  SlotSet& set = slot_sets_.emplace_back();
  set.mask = mask;
  set.redrawn_per_step = (1.0 - overlap) * static_cast<double>(slot_count);
  draws_per_window_ += set.redrawn_per_step * kGeneratorWindowSteps;
  for (int64_t slot = 0; slot < slot_count; ++slot) {
    set.entries.push_back(DrawFree(mask));
    Hold(set.entries.back(), mask);
  }
  if (parameters_.return_share() > 0.0) {
    set.dropped.resize(static_cast<size_t>(slot_count * kRememberedSets));
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
    set->entries[i] = DrawFor(*set);
    Hold(set->entries[i], set->mask);
  }
  for (const uint32_t entry : dropped_) Drop(entry, set);
}

uint32_t LayerSets::DrawFor(const SlotSet& set) {
  if (!set.dropped.empty() && rng_.NextDouble() < parameters_.return_share()) {
    if (const std::optional<uint32_t> entry = DrawReturn(set)) return *entry;
  }
  return DrawFree(set.mask);
}

// An entry that the set dropped before and nobody of it holds by now; the fewer drops ago the
// likelier. Nothing where the set has dropped too few, or all that were tried are back already.
std::optional<uint32_t> LayerSets::DrawReturn(const SlotSet& set) {
  const double mean_drops = parameters_.return_distance() * static_cast<double>(set.entries.size());
  const uint64_t remembered = std::min<uint64_t>(set.dropped_count, set.dropped.size());
  for (int i = 0; i < kDrawTries; ++i) {
    const double drops_since = rng_.NextExponential() * mean_drops;
    if (drops_since >= static_cast<double>(remembered)) continue;
    const uint64_t n = set.dropped_count - 1 - static_cast<uint64_t>(drops_since);
    const uint32_t entry = set.dropped[n % set.dropped.size()];
    if (IsFree(entry, set.mask)) return entry;
  }
  return std::nullopt;
}

uint32_t LayerSets::DrawFree(LayerMask mask) {
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
    if (IsFree(entry, mask)) return entry;
  }
  uint64_t entry = rng_.NextBelow(static_cast<uint64_t>(history_entries_));
  while (!IsFree(static_cast<uint32_t>(entry), mask)) {
    entry = entry + 1 == static_cast<uint64_t>(history_entries_) ? 0 : entry + 1;
  }
  return static_cast<uint32_t>(entry);
}

uint32_t LayerSets::DrawRecent(double mean_distance) {
  const auto distance = static_cast<int64_t>(rng_.NextExponential() * mean_distance);
  return static_cast<uint32_t>(history_entries_ - 1 - distance % history_entries_);
}

void LayerSets::Hold(uint32_t entry, LayerMask mask) {
  if (layers_of_[entry].empty()) members_.Add(entry);
  layers_of_[entry].Add(mask);
}

void LayerSets::Drop(uint32_t entry, SlotSet* set) {
  layers_of_[entry].Remove(set->mask);
  if (layers_of_[entry].empty()) members_.Remove(entry);
  if (set->dropped.empty()) return;
  set->dropped[set->dropped_count++ % set->dropped.size()] = entry;
}

}  // namespace tierscope
