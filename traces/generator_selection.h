// The generator's selections: which entries every layer holds at a step, and how that changes.
// One per profile; one thread. Work is proportional to the entries redrawn and recorded.
#ifndef TIERSCOPE_TRACES_GENERATOR_SELECTION_H_
#define TIERSCOPE_TRACES_GENERATOR_SELECTION_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/base/rng.h"
#include "traces/entry_set.h"
#include "traces/generator_topics.h"
#include "traces/layer_mask.h"
#include "traces/trace.pb.h"

namespace tierscope {

class LayerSets {
 public:
  // Draws the sets of step 0. `topics` must outlive this.
  LayerSets(const GeneratorParameters& parameters, const TopicPool& topics, int64_t history_entries,
            int64_t history_entries_max, uint64_t stream);

  // Moves from one step to the next: redraws 1 - overlap of every group's and layer's set.
  void Advance(int64_t history_entries);

  // Calls visit(entry, layer mask) for every entry that some layer holds, in rising order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    members_.ForEach([&](uint32_t entry) { visit(entry, layers_of_[entry]); });
  }

  // Expected draws in one window of 64 steps, over all groups and layers.
  double draws_per_window() const { return draws_per_window_; }

 private:
  // Slots that change together: held by all layers of `mask`.
  struct SlotSet {
    LayerMask mask;
    double redrawn_per_step = 0.0;
    std::vector<uint32_t> entries;
    std::vector<uint32_t> dropped;  // ring: the n-th entry dropped stands at n mod its size
    uint64_t dropped_count = 0;
  };

  void AddSlotSet(LayerMask mask, int64_t slot_count, double overlap);
  void Redraw(SlotSet* set);
  uint32_t DrawFor(const SlotSet& set);
  std::optional<uint32_t> DrawReturn(const SlotSet& set);
  uint32_t DrawFree(LayerMask mask);
  uint32_t DrawRecent(double mean_distance);
  bool IsFree(uint32_t entry, LayerMask mask) const { return !layers_of_[entry].Intersects(mask); }
  void Hold(uint32_t entry, LayerMask mask);
  void Drop(uint32_t entry, SlotSet* set);

  const GeneratorParameters& parameters_;
  const TopicPool& topics_;
  Rng rng_;
  int64_t history_entries_;
  std::vector<LayerMask> layers_of_;  // per entry: the layers that hold it
  EntrySet members_;                  // entries with a non-zero mask
  std::vector<SlotSet> slot_sets_;
  std::vector<uint32_t> dropped_;  // reused
  double draws_per_window_ = 0.0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_GENERATOR_SELECTION_H_
