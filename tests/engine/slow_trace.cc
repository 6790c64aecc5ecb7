// Raw records to want lists, by sorting, and to what the engine reads.
#include <algorithm>
#include <cmath>

#include "sim/base/check.h"
#include "sim/base/rng.h"
#include "sim/demand/distil.h"
#include "sim/engine/simulate.h"
#include "tests/engine/slow_world.h"

namespace tierscope::testing {
namespace {

// Pages of the newest entries, the newest first, then pages of the oldest, the oldest first.
std::vector<int64_t> Forced(const Policy& policy, int64_t entries) {
  std::vector<int64_t> forced;
  const auto add = [&](int64_t page) {
    if (std::count(forced.begin(), forced.end(), page) == 0) forced.push_back(page);
  };
  if (entries > 0) add((entries - 1) / 64);
  for (int64_t n = 1; n <= policy.recency_entries() && n <= entries; ++n) add((entries - n) / 64);
  for (int64_t n = 0; n < policy.sink_entries() && n < entries; ++n) add(n / 64);
  return forced;
}

// What each page is worth to the policy at the tick.
std::map<int64_t, int64_t> WantedEntries(const Policy& policy, const RawProfile& profile,
                                         int32_t position) {
  std::set<uint32_t> wanted;
  const int threshold = static_cast<int>(std::ceil(policy.threshold() * 256));
  for (const RawProfile::Scores& scores : profile.ticks[static_cast<size_t>(position)]) {
    for (const auto& [entry, code] : scores.code_of) {
      if (code >= threshold) wanted.insert(entry);
    }
  }
  std::map<int64_t, int64_t> worth;
  for (uint32_t entry : wanted) ++worth[entry / 64];
  return worth;
}

std::map<int64_t, int64_t> SelectionsToCome(const Policy& policy, const RawProfile& profile,
                                            int32_t position) {
  std::map<int64_t, int64_t> worth;
  for (int64_t k = 0; k < policy.tau_steps(); ++k) {
    const int64_t step = (int64_t{position} * profile.stride + k) % profile.steps();
    for (const auto& [entry, votes] : profile.selected[static_cast<size_t>(step)]) {
      worth[entry / 64] += votes;
    }
  }
  return worth;
}

// H2O from the recording's first tick to this one, entry by entry of each step's selections.
std::set<int64_t> HeavyHitters(const Policy& policy, const RawProfile& profile, int32_t position) {
  std::map<int64_t, int64_t> attention;
  for (const auto& [entry, votes] : profile.selected_first) attention[entry / 64] += votes;
  std::set<int64_t> kept, gone;
  for (int32_t at = 0; at <= position; ++at) {
    const int64_t entries = profile.EntriesAfter(int64_t{at} * profile.stride);
    const std::vector<int64_t> forced = Forced(policy, entries);
    std::vector<int64_t> others;
    for (int64_t page = (entries + 63) / 64 - 1; page >= 0; --page) {  // the newer of equals first
      const bool is_forced = std::count(forced.begin(), forced.end(), page) > 0;
      if (!is_forced && gone.count(page) == 0) others.push_back(page);
    }
    std::stable_sort(others.begin(), others.end(),
                     [&](int64_t a, int64_t b) { return attention[a] > attention[b]; });
    kept = {forced.begin(), forced.end()};
    for (size_t i = 0; i < others.size(); ++i) {
      (i < static_cast<size_t>(policy.page_kmax()) ? kept : gone).insert(others[i]);
    }
    for (int64_t k = 0; k < profile.stride; ++k) {
      const int64_t step = int64_t{at} * profile.stride + k;
      for (const auto& [entry, votes] : profile.selected[static_cast<size_t>(step)]) {
        attention[entry / 64] += votes;
      }
    }
  }
  return kept;
}

// The greatest code of each page's entries.
std::map<int64_t, int64_t> Bounds(const RawProfile& profile, int32_t position) {
  std::map<int64_t, int64_t> bounds;
  for (const RawProfile::Scores& scores : profile.ticks[static_cast<size_t>(position)]) {
    for (const auto& [entry, code] : scores.code_of) {
      bounds[entry / 64] = std::max<int64_t>(bounds[entry / 64], code);
    }
  }
  return bounds;
}

}  // namespace

std::set<int64_t> SlowWantList(const Policy& policy, uint64_t seed, const RawProfile& profile,
                               int32_t profile_index, int32_t position) {
  const int64_t entries = profile.EntriesAfter(int64_t{position} * profile.stride);
  const int64_t pages = (entries + 63) / 64;
  const int64_t kmax = policy.page_kmax();
  const std::vector<int64_t> forced = Forced(policy, entries);
  const std::set<int64_t> is_forced(forced.begin(), forced.end());
  std::vector<int64_t> others;
  for (int64_t page = 0; page < pages; ++page) {
    if (is_forced.count(page) == 0) others.push_back(page);
  }
  std::map<int64_t, int64_t> worth;
  if (policy.kind() == Policy::ORACLE) {
    worth = SelectionsToCome(policy, profile, position);
  } else if (policy.kind() == Policy::QUEST) {
    worth = Bounds(profile, position);
  } else {
    worth = WantedEntries(policy, profile, position);
  }
  const auto best_first = [&](int64_t a, int64_t b) { return worth[a] > worth[b]; };
  std::set<int64_t> list = is_forced;
  switch (policy.kind()) {
    case Policy::LSA:
    case Policy::ORACLE:
      std::erase_if(others, [&](int64_t page) { return worth[page] == 0; });
      std::stable_sort(others.begin(), others.end(), best_first);
      if (std::ssize(others) > kmax) others.resize(static_cast<size_t>(kmax));
      list.insert(others.begin(), others.end());
      break;
    case Policy::H2O:
      return HeavyHitters(policy, profile, position);
    case Policy::QUEST:
      std::stable_sort(others.begin(), others.end(), best_first);
      if (std::ssize(others) > kmax) others.resize(static_cast<size_t>(kmax));
      list.insert(others.begin(), others.end());
      break;
    case Policy::STREAMING_LLM:
    case Policy::RECENCY:
      std::reverse(others.begin(), others.end());
      if (std::ssize(others) > kmax) others.resize(static_cast<size_t>(kmax));
      list.insert(others.begin(), others.end());
      break;
    case Policy::RANDOM: {
      Rng rng(seed, static_cast<uint64_t>(profile_index) << 32 | static_cast<uint64_t>(position));
      uint64_t need = static_cast<uint64_t>(std::min<int64_t>(kmax, std::ssize(others)));
      for (size_t i = 0; i < others.size(); ++i) {
        if (rng.NextBelow(others.size() - i) >= need) continue;
        list.insert(others[i]);
        --need;
      }
      break;
    }
    case Policy::FLASHMEMORY: {
      list.clear();
      std::stable_sort(others.begin(), others.end(), best_first);
      std::vector<int64_t> order = forced;
      order.insert(order.end(), others.begin(), others.end());
      if (std::ssize(order) > kmax) order.resize(static_cast<size_t>(kmax));
      list.insert(order.begin(), order.end());
      break;
    }
    case Policy::FULL:
    case Policy::TOPK_SWAP:
    case Policy::ESS:
      TIERSCOPE_CHECK(false);
  }
  return list;
}

namespace {

template <typename Value>
std::vector<uint32_t> EntriesOf(const std::map<uint32_t, Value>& of) {
  std::vector<uint32_t> entries;
  for (const auto& [entry, value] : of) entries.push_back(entry);
  return entries;
}

std::vector<uint8_t> BytesOf(const std::map<uint32_t, int>& of) {
  std::vector<uint8_t> bytes;
  for (const auto& [entry, value] : of) bytes.push_back(static_cast<uint8_t>(value));
  return bytes;
}

}  // namespace

WindowDemand Distil(const Scenario& scenario, const std::vector<RawProfile>& profiles) {
  WindowDemand demand;
  ProfileDistiller distiller(DemandSpecOf(scenario));
  for (const RawProfile& profile : profiles) {
    ProfileHeader header;
    header.set_prompt_tokens(profile.prompt_tokens);
    header.set_step_count(static_cast<int32_t>(profile.steps()));
    header.set_tick_stride_steps(profile.stride);
    header.set_tokens_per_entry(profile.tokens_per_entry);
    header.set_csa_layer_count(3);
    header.set_selections(SELECTIONS_FULL_HISTORY);
    TIERSCOPE_CHECK(distiller.Begin(header, static_cast<int32_t>(demand.profiles.size())).ok());
    for (int32_t step = 0; step <= profile.steps(); ++step) {
      const auto& selected =
          step == 0 ? profile.selected_first : profile.selected[static_cast<size_t>(step - 1)];
      distiller.Select(step, EntriesOf(selected), BytesOf(selected));
      if (step % profile.stride != 0 || step == profile.steps()) continue;
      for (const auto& scores : profile.ticks[static_cast<size_t>(step / profile.stride)]) {
        distiller.Tick(step, scores.layer, EntriesOf(scores.code_of), BytesOf(scores.code_of));
      }
    }
    demand.profiles.push_back(distiller.Finish());
  }
  return demand;
}

}  // namespace tierscope::testing
