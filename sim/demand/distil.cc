#include "sim/demand/distil.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "sim/base/units.h"
#include "sim/policy/h2o.h"
#include "sim/policy/oracle.h"
#include "sim/policy/quest.h"
#include "sim/policy/random.h"
#include "sim/policy/recency.h"
#include "sim/policy/streaming_llm.h"

namespace tierscope {
namespace {

// What a profile without scores can answer: the decisions it holds, or nothing.
absl::Status CheckDecisionsAnswer(const ProfileHeader& header, const DemandSpec& spec) {
  if (!header.has_decisions()) {
    return absl::InvalidArgumentError(
        "the trace holds no scores of a memory indexer, which policy.kind LSA needs: set "
        "policy.kind "
        "to ORACLE, RECENCY or RANDOM, or record scores");
  }
  if (spec.policy == WantPolicy::kQuest) {
    return absl::InvalidArgumentError(
        "the trace holds decisions and no scores, which policy.kind QUEST needs for its bounds: "
        "record scores");
  }
  const auto recorded_code = static_cast<int32_t>(header.decisions().threshold_code());
  if (spec.threshold_code != recorded_code) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy.threshold ", spec.threshold_code,
                     "/256 cannot be replayed: the trace holds decisions "
                     "taken at ",
                     recorded_code, "/256 and no scores; set policy.threshold to ",
                     recorded_code / 256.0, " or record scores"));
  }
  // Recorded decisions hold the forced pages too; one more than these may be forced at an odd end.
  const int64_t forced = CeilDiv(spec.recency_entries, int64_t{kPageEntries}) + 1 +
                         CeilDiv(spec.sink_entries, int64_t{kPageEntries});
  const int64_t lacking = header.decisions().pages_max() - (spec.page_kmax + forced);
  if (lacking > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy.page_kmax ", spec.page_kmax, " and ", forced,
                     " forced pages are fewer than the ", header.decisions().pages_max(),
                     " pages of a recorded decision, and which of them a smaller "
                     "set keeps was not recorded: set policy.page_kmax to ",
                     spec.page_kmax + lacking, " or more"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAnswerable(const ProfileHeader& header, const DemandSpec& spec) {
  if (NeedsLayers(spec.policy)) return absl::OkStatus();  // hot_buffers.h asks for what it needs
  if (NeedsScores(spec.policy) && header.no_scores()) {
    if (absl::Status status = CheckDecisionsAnswer(header, spec); !status.ok()) return status;
  }
  const bool thresholds = NeedsScores(spec.policy) && spec.policy != WantPolicy::kQuest;
  if (thresholds && spec.threshold_code < static_cast<int32_t>(header.score_floor_code())) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy.threshold ", spec.threshold_code,
                     "/256 is under the trace's score floor ", header.score_floor_code(), "/256",
                     ": scores below the floor were not recorded; raise policy.threshold or record "
                     "with a lower floor"));
  }
  if (spec.tau_steps % header.tick_stride_steps() != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy.tau_steps ", spec.tau_steps,
                     " is no multiple of the trace's tick stride ", header.tick_stride_steps(),
                     ": set policy.tau_steps to a multiple of ", header.tick_stride_steps()));
  }
  const bool selects = spec.policy == WantPolicy::kOracle || spec.policy == WantPolicy::kH2o;
  if (selects && header.selections() != SELECTIONS_FULL_HISTORY) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy.kind ", spec.policy == WantPolicy::kH2o ? "H2O" : "ORACLE",
                     " needs selections of the full history, which this trace does not hold"));
  }
  return absl::OkStatus();
}

absl::Status ProfileDistiller::Begin(const ProfileHeader& header, int32_t profile_index) {
  if (absl::Status status = CheckAnswerable(header, spec_); !status.ok()) return status;
  header_ = header;
  profile_index_ = profile_index;
  demand_ = ProfileDemand();
  demand_.prompt_tokens = header.prompt_tokens();
  demand_.stride_steps = header.tick_stride_steps();
  demand_.position_count = header.step_count() / header.tick_stride_steps();
  demand_.tokens_per_page = header.tokens_per_entry() * kPageEntries;
  const int64_t prompt_entries = header.prompt_tokens() / header.tokens_per_entry();
  const int64_t pages = (EntriesAfterStep(header.step_count()) + kPageEntries - 1) / kPageEntries;
  if (pages > kPagesPerProfileMax || demand_.position_count < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "profile ", profile_index, " has ", pages, " pages and ", demand_.position_count,
        " ticks; between 1 tick and ", kPagesPerProfileMax, " pages are supported"));
  }
  demand_.page_count = static_cast<int32_t>(pages);
  demand_.prompt_page_count =
      static_cast<int32_t>((prompt_entries + kPageEntries - 1) / kPageEntries);
  demand_.lag_count = LagCount(spec_, demand_.stride_steps);
  demand_.want_begin.assign(1, 0);
  demand_.touched_begin.assign(1, 0);
  density_.assign(static_cast<size_t>(pages), 0);
  page_count_.assign(static_cast<size_t>(pages), 0);
  list_.resize(static_cast<size_t>(pages));
  open_tick_ = -1;
  open_sub_window_ = 0;
  young_.clear();
  young_begin_.assign(1, 0);
  attention_.assign(spec_.policy == WantPolicy::kH2o ? static_cast<size_t>(pages) : 0, 0);
  return absl::OkStatus();
}

ForcedPages ProfileDistiller::ForcedAt(int32_t position) const {
  return ForcedPagesOf(EntriesAfterStep(position * demand_.stride_steps), spec_.sink_entries,
                       spec_.recency_entries);
}

void ProfileDistiller::AppendWantList(const PageIndex* pages, int32_t count) {
  demand_.want_pages.insert(demand_.want_pages.end(), pages, pages + count);
  demand_.want_begin.push_back(static_cast<uint32_t>(demand_.want_pages.size()));
}

void ProfileDistiller::Tick(int32_t step, int32_t target_layer, std::span<const uint32_t> entries,
                            std::span<const uint8_t> codes) {
  if (!scored()) return;
  const int32_t position = step / demand_.stride_steps;
  if (position >= demand_.position_count) return;
  if (position != open_tick_) {
    CloseTick();
    // A tick that recorded no entry above the floor leaves no record: its want list is the forced
    // pages.
    while (static_cast<int32_t>(demand_.want_begin.size()) - 1 < position) {
      open_tick_ = static_cast<int32_t>(demand_.want_begin.size()) - 1;
      CloseTick();
    }
    open_tick_ = position;
  }
  if (spec_.policy == WantPolicy::kQuest) {
    for (size_t i = 0; i < entries.size(); ++i) {
      uint8_t& bound = density_[entries[i] / kPageEntries];
      bound = std::max(bound, codes[i]);
    }
    return;
  }
  const int32_t threshold = spec_.threshold_code;  // 256: no code reaches it
  if (target_layer < 0) {
    for (size_t i = 0; i < entries.size(); ++i) {
      density_[entries[i] / kPageEntries] =
          static_cast<uint8_t>(density_[entries[i] / kPageEntries] + (codes[i] >= threshold));
    }
    return;
  }
  wanted_bits_.resize(density_.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    if (codes[i] < threshold) continue;
    uint64_t& word = wanted_bits_[entries[i] / kPageEntries];
    const uint64_t bit = uint64_t{1} << (entries[i] % kPageEntries);
    if ((word & bit) == 0) ++density_[entries[i] / kPageEntries];
    word |= bit;
  }
}

absl::Status ProfileDistiller::Decide(int32_t step, bool is_pages, std::span<const uint32_t> ids) {
  const int32_t position = step / demand_.stride_steps;
  if (!scored() || !header_.no_scores()) return absl::OkStatus();
  if (position >= demand_.position_count) return absl::OkStatus();
  const uint32_t unit_entries = is_pages ? 1 : kPageEntries;
  int32_t count = 0;
  for (const uint32_t id : ids) {
    const uint32_t page = id / unit_entries;
    if (page >= density_.size()) {
      return absl::DataLossError(absl::StrCat("a decision for page ", page, " of a history of ",
                                              density_.size(), " pages"));
    }
    if (count > 0 && list_[static_cast<size_t>(count - 1)] == page) continue;
    list_[static_cast<size_t>(count++)] = static_cast<PageIndex>(page);
  }
  AppendWantList(list_.data(), count);
  return absl::OkStatus();
}

void ProfileDistiller::CloseTick() {
  if (open_tick_ < 0) return;
  const ForcedPages forced = ForcedAt(open_tick_);
  const int32_t kmax = spec_.page_kmax;
  const int32_t count = spec_.policy == WantPolicy::kFlashMemory
                            ? SelectExactlyKmaxPages(density_.data(), forced, kmax, list_.data())
                        : spec_.policy == WantPolicy::kQuest
                            ? SelectHighestBounds(density_.data(), forced, kmax, list_.data())
                            : SelectDensestPages(density_.data(), forced, kmax, list_.data());
  AppendWantList(list_.data(), count);
  std::fill(density_.begin(), density_.end(), uint8_t{0});
  std::fill(wanted_bits_.begin(), wanted_bits_.end(), uint64_t{0});
  open_tick_ = -1;
}

void ProfileDistiller::Select(int32_t step, std::span<const uint32_t> entries,
                              std::span<const uint8_t> votes) {
  if (step == 0) {  // runs before the first decision under every policy
    if (attention_.empty()) return;
    for (size_t i = 0; i < entries.size(); ++i) {
      attention_[entries[i] / kPageEntries] += votes.empty() ? 1u : votes[i];
    }
    return;
  }
  const int32_t sub_window = (step - 1) / demand_.stride_steps;
  if (sub_window >= demand_.position_count) return;
  while (open_sub_window_ < sub_window) CloseSubWindow();
  if (spec_.policy == WantPolicy::kFlashMemory) {
    const int32_t first_tick = std::max(0, sub_window - demand_.lag_count + 1);
    const int64_t young = EntriesAfterStep(first_tick * demand_.stride_steps);
    for (size_t i = entries.size(); i-- > 0 && entries[i] >= young;) {
      young_.push_back({entries[i], votes.empty() ? 1u : votes[i]});
    }
  }
  if (votes.empty()) {
    for (uint32_t entry : entries) ++page_count_[entry / kPageEntries];
    return;
  }
  for (size_t i = 0; i < entries.size(); ++i) page_count_[entries[i] / kPageEntries] += votes[i];
}

void ProfileDistiller::CloseSubWindow() {
  for (size_t page = 0; page < page_count_.size(); ++page) {
    if (page_count_[page] == 0) continue;
    demand_.touched_pages.push_back(static_cast<PageIndex>(page));
    demand_.touched_selections.push_back(page_count_[page]);
    page_count_[page] = 0;
  }
  demand_.touched_begin.push_back(static_cast<uint32_t>(demand_.touched_pages.size()));
  young_begin_.push_back(young_.size());
  ++open_sub_window_;
}

ProfileDemand ProfileDistiller::Finish() {
  while (open_sub_window_ < demand_.position_count) CloseSubWindow();
  switch (spec_.policy) {
    case WantPolicy::kLsa:
    case WantPolicy::kFlashMemory:
    case WantPolicy::kQuest:
      CloseTick();
      while (static_cast<int32_t>(demand_.want_begin.size()) - 1 < demand_.position_count) {
        open_tick_ = static_cast<int32_t>(demand_.want_begin.size()) - 1;
        CloseTick();
      }
      break;
    case WantPolicy::kRecency:
    case WantPolicy::kRandom:
    case WantPolicy::kStreamingLlm:
      BuildBaselineWantLists();
      break;
    case WantPolicy::kOracle:
      BuildOracleWantLists();
      break;
    case WantPolicy::kH2o:
      BuildH2oWantLists();
      break;
    case WantPolicy::kTopkSwap:
    case WantPolicy::kEss:
      TIERSCOPE_CHECK(false);
  }
  BuildMissTables();
  return std::move(demand_);
}

void ProfileDistiller::BuildBaselineWantLists() {
  for (int32_t position = 0; position < demand_.position_count; ++position) {
    const ForcedPages forced = ForcedAt(position);
    Rng rng(spec_.seed, (static_cast<uint64_t>(profile_index_) << 32) |
                            static_cast<uint64_t>(static_cast<uint32_t>(position)));
    const int32_t kmax = spec_.page_kmax;
    const int32_t count = spec_.policy == WantPolicy::kRandom
                              ? SelectRandomPages(forced, kmax, rng, list_.data())
                          : spec_.policy == WantPolicy::kStreamingLlm
                              ? SelectSinkAndWindow(forced, kmax, list_.data())
                              : SelectNewestPages(forced, kmax, list_.data());
    AppendWantList(list_.data(), count);
  }
}

// One chain from the profile's first tick: at every tick the past decides, and what it drops is
// gone for all later ones. A request that starts later finds what the chain has kept: the steps
// before its start stand for its prefill.
void ProfileDistiller::BuildH2oWantLists() {
  std::vector<uint8_t> kept(density_.size(), 1);
  std::vector<PageIndex> scratch;
  for (int32_t position = 0; position < demand_.position_count; ++position) {
    const int32_t count = KeepHeavyHitters(attention_.data(), ForcedAt(position), spec_.page_kmax,
                                           kept.data(), scratch, list_.data());
    AppendWantList(list_.data(), count);
    const auto w = static_cast<size_t>(position);
    for (uint32_t i = demand_.touched_begin[w]; i < demand_.touched_begin[w + 1]; ++i) {
      const PageIndex page = demand_.touched_pages[i];
      if (kept[page] != 0) attention_[page] += demand_.touched_selections[i];
    }
  }
}

void ProfileDistiller::BuildOracleWantLists() {
  const int32_t window = spec_.tau_steps / demand_.stride_steps;
  std::vector<uint32_t> need(density_.size());
  std::vector<PageIndex> scratch;
  for (int32_t position = 0; position < demand_.position_count; ++position) {
    std::fill(need.begin(), need.end(), 0u);
    for (int32_t lag = 0; lag < window; ++lag) {
      const auto w = static_cast<size_t>((position + lag) % demand_.position_count);
      for (uint32_t i = demand_.touched_begin[w]; i < demand_.touched_begin[w + 1]; ++i) {
        need[demand_.touched_pages[i]] += demand_.touched_selections[i];
      }
    }
    const int32_t count = SelectMostDemandedPages(need.data(), ForcedAt(position), spec_.page_kmax,
                                                  scratch, list_.data());
    AppendWantList(list_.data(), count);
  }
}

// Selections of sub-window `sub_window` from the page that was open at tick `position`, of entries
// that formed after it. (Pages that formed later are in no list of it.)
SelectionCount ProfileDistiller::LateSelections(int32_t position, int32_t sub_window) const {
  const int64_t entries = EntriesAfterStep(position * demand_.stride_steps);
  const int64_t page = entries / kPageEntries;
  const bool open = entries % kPageEntries != 0;
  if (!open || !demand_.Wants(position, static_cast<PageIndex>(page))) return {};
  SelectionCount late;
  const auto w = static_cast<size_t>(sub_window);
  for (size_t i = young_begin_[w]; i < young_begin_[w + 1]; ++i) {
    const YoungSelection& young = young_[i];
    if (young.entry < entries || young.entry / kPageEntries != page) continue;
    late += {young.votes, page < demand_.prompt_page_count ? int64_t{young.votes} : 0};
  }
  return late;
}

void ProfileDistiller::BuildMissTables() {
  const bool sees_formed = spec_.policy != WantPolicy::kFlashMemory;
  const auto row = static_cast<size_t>(demand_.lag_count) + 1;
  demand_.selections.resize(static_cast<size_t>(demand_.position_count) * row);
  demand_.inactive.resize(demand_.selections.size());
  if (!sees_formed) demand_.late.resize(demand_.selections.size());
  std::vector<uint8_t> active(density_.size());
  for (int32_t position = 0; position < demand_.position_count; ++position) {
    std::fill(active.begin(), active.end(), uint8_t{0});
    for (PageIndex page : demand_.WantList(position)) active[page] = 1;
    // Pages formed after the tick, and the one open at it, are in HBM from birth.
    const int32_t formed =
        sees_formed ? std::max(0, ForcedAt(position).page_count - 1) : demand_.page_count;
    demand_.formed_page.push_back(static_cast<PageIndex>(formed));
    std::fill(active.begin() + formed, active.end(), uint8_t{1});
    SelectionCount all, missed, late;
    for (int32_t lag = 0; lag < demand_.lag_count; ++lag) {
      const auto w = static_cast<size_t>((position + lag) % demand_.position_count);
      for (uint32_t i = demand_.touched_begin[w]; i < demand_.touched_begin[w + 1]; ++i) {
        const int64_t count = demand_.touched_selections[i];
        const PageIndex page = demand_.touched_pages[i];
        const SelectionCount add{count, page < demand_.prompt_page_count ? count : 0};
        all += add;
        if (!active[page]) missed += add;
      }
      const size_t at = static_cast<size_t>(position) * row + static_cast<size_t>(lag) + 1;
      if (!sees_formed) {
        const SelectionCount add = LateSelections(position, static_cast<int32_t>(w));
        late += add;
        missed += add;
        demand_.late[at] = late;
      }
      demand_.selections[at] = all;
      demand_.inactive[at] = missed;
    }
  }
}

}  // namespace tierscope
