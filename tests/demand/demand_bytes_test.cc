#include "sim/demand/demand_bytes.h"

#include <functional>

#include "gtest/gtest.h"

#include "sim/demand/distil.h"
#include "tests/testing/temp_folder.h"
#include "traces/generator.h"

namespace tierscope {
namespace {

constexpr char kKey[] = "of a trace and a spec";

void ExpectSame(const ProfileDemand& a, const ProfileDemand& b) {
  EXPECT_EQ(a.prompt_tokens, b.prompt_tokens);
  EXPECT_EQ(a.stride_steps, b.stride_steps);
  EXPECT_EQ(a.position_count, b.position_count);
  EXPECT_EQ(a.page_count, b.page_count);
  EXPECT_EQ(a.prompt_page_count, b.prompt_page_count);
  EXPECT_EQ(a.tokens_per_page, b.tokens_per_page);
  EXPECT_EQ(a.lag_count, b.lag_count);
  EXPECT_EQ(a.formed_page, b.formed_page);
  EXPECT_EQ(a.want_begin, b.want_begin);
  EXPECT_EQ(a.want_pages, b.want_pages);
  EXPECT_EQ(a.touched_begin, b.touched_begin);
  EXPECT_EQ(a.touched_pages, b.touched_pages);
  EXPECT_EQ(a.touched_selections, b.touched_selections);
  EXPECT_TRUE(a.selections == b.selections);
  EXPECT_TRUE(a.inactive == b.inactive);
  EXPECT_TRUE(a.late == b.late);
}

class DemandBytesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    GeneratorOptions generator;
    generator.parameters = *GeneratorPreset("v4_flash");
    generator.context_tokens = {16'384};
    generator.profiles_per_context = 2;
    generator.step_count = 64;
    ASSERT_TRUE(GenerateAttentionTrace(generator, folder_.File("a.trace")).ok());
  }
  WindowDemand Distilled(WantPolicy policy) const {
    DemandSpec spec;
    spec.policy = policy;
    spec.page_kmax = 24;
    spec.tau_steps = 16;
    return DistilTrace(folder_.File("a.trace"), spec).value();
  }

  testing::TempFolder folder_;
};

// `flashmemory` alone has the late tables.
TEST_F(DemandBytesTest, ComeBackFieldByField) {
  for (const WantPolicy policy : {WantPolicy::kLsa, WantPolicy::kFlashMemory}) {
    const WindowDemand demand = Distilled(policy);
    ASSERT_EQ(demand.profiles.size(), 2u);
    EXPECT_EQ(demand.profiles[0].late.empty(), policy == WantPolicy::kLsa);
    const std::optional<WindowDemand> back = ParseDemandBytes(DemandBytes(demand, kKey), kKey);
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back->first_start, demand.first_start);
    EXPECT_EQ(back->trace_digest, demand.trace_digest);
    EXPECT_EQ(back->provenance, demand.provenance);
    EXPECT_EQ(back->csa_layers, demand.csa_layers);
    EXPECT_EQ(back->top_k, demand.top_k);
    EXPECT_EQ(back->stride_steps, demand.stride_steps);
    EXPECT_EQ(back->coverage_known, demand.coverage_known);
    ASSERT_EQ(back->profiles.size(), demand.profiles.size());
    for (size_t i = 0; i < demand.profiles.size(); ++i) {
      ExpectSame(back->profiles[i], demand.profiles[i]);
    }
  }
}

TEST_F(DemandBytesTest, NothingOfWhatIsDamaged) {
  const std::string bytes = DemandBytes(Distilled(WantPolicy::kLsa), kKey);
  for (size_t at = 0; at < bytes.size(); at += at < 256 ? 1 : 997) {
    std::string flipped = bytes;
    flipped[at] ^= 4;
    EXPECT_FALSE(ParseDemandBytes(flipped, kKey).has_value()) << at;
    EXPECT_FALSE(ParseDemandBytes(absl::string_view(bytes).substr(0, at), kKey).has_value()) << at;
  }
  EXPECT_FALSE(ParseDemandBytes(bytes + "0", kKey).has_value());
}

// One that somebody renamed is of another trace or spec.
TEST_F(DemandBytesTest, NothingOfAnotherKey) {
  const std::string bytes = DemandBytes(Distilled(WantPolicy::kLsa), kKey);
  EXPECT_TRUE(ParseDemandBytes(bytes, kKey).has_value());
  EXPECT_FALSE(ParseDemandBytes(bytes, "of a trace and another spec").has_value());
  EXPECT_FALSE(ParseDemandBytes(bytes, "").has_value());
}

// A seal is no secret: what it covers is looked at too.
TEST_F(DemandBytesTest, NothingThatIsNoDemand) {
  const WindowDemand demand = Distilled(WantPolicy::kFlashMemory);
  ASSERT_TRUE(ParseDemandBytes(DemandBytes(demand, kKey), kKey).has_value());
  const std::function<void(ProfileDemand&)> damages[] = {
      [](ProfileDemand& p) { p.want_begin[1] = 400'000'000; },
      [](ProfileDemand& p) { p.want_begin.pop_back(); },
      [](ProfileDemand& p) { std::swap(p.want_begin[1], p.want_begin[2]); },
      [](ProfileDemand& p) { p.want_pages[3] = static_cast<PageIndex>(p.page_count); },
      [](ProfileDemand& p) { p.want_pages.push_back(0); },
      [](ProfileDemand& p) { p.touched_begin.back() += 1; },
      [](ProfileDemand& p) { p.touched_pages[0] = 65535; },
      [](ProfileDemand& p) { p.touched_selections.pop_back(); },
      [](ProfileDemand& p) { p.selections.pop_back(); },
      [](ProfileDemand& p) { p.inactive.clear(); },
      [](ProfileDemand& p) { p.late.pop_back(); },
      [](ProfileDemand& p) { p.formed_page.clear(); },
      [](ProfileDemand& p) { p.position_count += 1; },
      [](ProfileDemand& p) { p.position_count = -1; },
      [](ProfileDemand& p) { p.lag_count = 1 << 30; },
      [](ProfileDemand& p) { p.page_count = 70'000; },
      [](ProfileDemand& p) { p.prompt_page_count = p.page_count + 1; },
      [](ProfileDemand& p) { p.stride_steps = 0; },
      [](ProfileDemand& p) { p.tokens_per_page = 0; }};
  for (size_t i = 0; i < std::size(damages); ++i) {
    WindowDemand damaged = demand;
    damages[i](damaged.profiles[1]);
    EXPECT_FALSE(ParseDemandBytes(DemandBytes(damaged, kKey), kKey).has_value()) << i;
  }
  WindowDemand late = demand;
  late.first_start = late.profiles[0].position_count;
  EXPECT_FALSE(ParseDemandBytes(DemandBytes(late, kKey), kKey).has_value());
}

}  // namespace
}  // namespace tierscope
