// What a page policy can get out of a generated trace: own, obvious arithmetic, no policy code. A
// tick takes page_kmax pages and is forced to take those of the newest entries; every selection of
// the window behind it on another page is a miss. Entries formed inside the window count as
// present.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/traces/trace_testing.h"
#include "traces/attention_trace.h"
#include "traces/generator.h"

namespace tierscope {
namespace {

constexpr uint32_t kPageEntries = 64;
constexpr int32_t kTauSteps = 64;

struct Window {
  int64_t history_entries = 0;
  std::map<uint32_t, int64_t> kept;   // page -> entries with code >= 128, by the tick
  std::map<uint32_t, int64_t> votes;  // page -> selections in the window
};

class WindowCollector : public AttentionVisitor {
 public:
  absl::Status OnProfile(const ProfileHeader& profile) override {
    profile_ = profile;
    return absl::OkStatus();
  }
  absl::Status OnTick(int32_t step, int32_t, std::span<const uint32_t> entries,
                      std::span<const uint8_t> codes) override {
    if (step % kTauSteps != 0) return absl::OkStatus();
    windows.emplace_back().history_entries = HistoryEntries(profile_, step);
    for (size_t i = 0; i < entries.size(); ++i) {
      if (codes[i] >= 128) ++windows.back().kept[entries[i] / kPageEntries];
    }
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t step, int32_t, std::span<const uint32_t> entries,
                           std::span<const uint8_t> votes) override {
    for (size_t i = 0; i < entries.size() && step > 0; ++i) {
      const bool is_new = entries[i] >= windows.back().history_entries;
      if (!is_new) windows.back().votes[entries[i] / kPageEntries] += votes[i];
    }
    return absl::OkStatus();
  }
  absl::Status OnProfileEnd() override { return absl::OkStatus(); }

  std::vector<Window> windows;

 private:
  ProfileHeader profile_;
};

std::set<uint32_t> Densest(const std::map<uint32_t, int64_t>& weight, size_t count) {
  std::vector<std::pair<int64_t, uint32_t>> pages;
  for (const auto& [page, w] : weight) pages.emplace_back(-w, page);
  std::sort(pages.begin(), pages.end());
  std::set<uint32_t> taken;
  for (size_t i = 0; i < std::min(count, pages.size()); ++i) taken.insert(pages[i].second);
  return taken;
}

void AddNewest(int64_t history_entries, int64_t entries, std::set<uint32_t>* pages) {
  const auto last = static_cast<uint32_t>((history_entries - 1) / kPageEntries);
  const auto first =
      static_cast<uint32_t>(std::max<int64_t>(0, history_entries - entries) / kPageEntries);
  for (uint32_t page = first; page <= last; ++page) pages->insert(page);
}

double MissRate(const std::vector<Window>& windows, const std::string& policy, size_t page_kmax,
                int64_t recency_entries) {
  Rng rng(11);
  int64_t misses = 0, all = 0;
  for (const Window& window : windows) {
    std::set<uint32_t> taken;
    if (policy == "oracle") taken = Densest(window.votes, page_kmax);
    if (policy == "lsa") taken = Densest(window.kept, page_kmax);
    while (policy == "random" && taken.size() < page_kmax) {
      taken.insert(static_cast<uint32_t>(rng.NextBelow(window.history_entries)) / kPageEntries);
    }
    const bool recency_only = policy == "recency";
    AddNewest(window.history_entries,
              recency_entries + (recency_only ? static_cast<int64_t>(page_kmax) * kPageEntries : 0),
              &taken);
    for (const auto& [page, votes] : window.votes) {
      all += votes;
      if (taken.count(page) == 0) misses += votes;
    }
  }
  return static_cast<double>(misses) / static_cast<double>(all);
}

struct Case {
  int64_t context_tokens;
  size_t page_kmax;
  int64_t recency_entries;
};

class PolicyOrderTest : public ::testing::TestWithParam<Case> {};

TEST_P(PolicyOrderTest, OracleThenLsaThenTheBlindOnes) {
  const Case& c = GetParam();
  GeneratorOptions options;
  options.parameters = *GeneratorPreset("v4_flash");
  options.context_tokens = {c.context_tokens};
  options.profiles_per_context = 2;
  options.step_count = 512;
  const std::string path = TempPath("trace");
  ASSERT_TRUE(GenerateAttentionTrace(options, path).ok());
  WindowCollector collector;
  ASSERT_TRUE(ReadAttentionTrace(path, collector).ok());
  ASSERT_EQ(collector.windows.size(), 16u);
  const auto misses = [&](const char* policy) {
    return MissRate(collector.windows, policy, c.page_kmax, c.recency_entries);
  };
  const double oracle = misses("oracle"), lsa = misses("lsa");
  const double recency = misses("recency"), random = misses("random");
  std::printf("oracle %.3f lsa %.3f recency %.3f random %.3f\n", oracle, lsa, recency, random);
  EXPECT_LT(oracle, lsa);
  // Far from both, so that neither a better guess of the newest nor luck turns the order.
  EXPECT_LT(lsa, 0.7 * recency);
  EXPECT_LT(lsa, 0.7 * random);
  // The indexer is neither perfect nor useless, and recency alone is worth something.
  EXPECT_LT(oracle, 0.9 * lsa);
  EXPECT_LT(recency, 0.8);
}

INSTANTIATE_TEST_SUITE_P(Contexts, PolicyOrderTest,
                         ::testing::Values(Case{524288, 192, 2048}, Case{131072, 64, 2048}));

}  // namespace
}  // namespace tierscope
