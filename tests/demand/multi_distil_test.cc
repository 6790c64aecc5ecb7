#include "sim/demand/multi_distil.h"

#include <algorithm>
#include <set>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/temp_folder.h"
#include "traces/attention_trace.h"
#include "traces/container.h"

namespace tierscope {
namespace {

// Field by field, so that a failure names what differs.
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
}

void ExpectSame(const WindowDemand& a, const WindowDemand& b) {
  EXPECT_EQ(a.trace_digest, b.trace_digest);
  EXPECT_EQ(a.trace_name, b.trace_name);
  EXPECT_EQ(a.provenance, b.provenance);
  EXPECT_EQ(a.csa_layers, b.csa_layers);
  EXPECT_EQ(a.top_k, b.top_k);
  EXPECT_EQ(a.coverage_known, b.coverage_known);
  ASSERT_EQ(a.profiles.size(), b.profiles.size());
  for (size_t i = 0; i < a.profiles.size(); ++i) ExpectSame(a.profiles[i], b.profiles[i]);
}

// A random trace: small profiles, clustered selections, ticks of all layers or of single ones, some
// ticks without a record.
void WriteRandomTrace(const std::string& path, int32_t stride, Rng& rng) {
  auto writer = ContainerWriter::Open(path);
  ASSERT_TRUE(writer.ok());
  const auto append = [&](const TraceRecord& record) {
    ASSERT_TRUE((*writer)->Append(record).ok());
  };
  const auto profiles = 1 + rng.NextBelow(3);
  for (uint64_t p = 0; p < profiles; ++p) {
    TraceRecord head;
    ProfileHeader& header = *head.mutable_profile();
    header.set_model("v4_flash");
    header.set_prompt_tokens(
        static_cast<int64_t>(256 * (1 + rng.NextBelow(20)) + rng.NextBelow(256)));
    const auto positions = static_cast<int32_t>(1 + rng.NextBelow(9));
    header.set_step_count(positions * stride);
    header.set_tick_stride_steps(stride);
    header.set_tokens_per_entry(4);
    header.set_csa_layer_count(3);
    header.set_top_k(64);
    header.set_score_floor_code(64);
    header.set_selections(SELECTIONS_FULL_HISTORY);
    const bool layered = rng.NextBelow(2) == 0;
    if (layered) {
      header.add_target_layers(0);
      header.add_target_layers(2);
    }
    header.mutable_provenance()->set_recorded_with("multi_distil_test");
    append(head);
    for (int32_t step = 0; step <= header.step_count(); ++step) {
      const auto entries = static_cast<uint64_t>(HistoryEntries(header, step));
      std::set<uint32_t> chosen;
      const uint64_t near = rng.NextBelow(entries);
      for (int i = 0; i < 12; ++i) {
        chosen.insert(static_cast<uint32_t>((near + rng.NextBelow(40)) % entries));
        chosen.insert(static_cast<uint32_t>(rng.NextBelow(entries)));
      }
      std::vector<uint8_t> votes;
      for (size_t i = 0; i < chosen.size(); ++i) {
        votes.push_back(static_cast<uint8_t>(1 + rng.NextBelow(3)));
      }
      TraceRecord record;
      FillSelection(step, kAllLayers, std::vector<uint32_t>(chosen.begin(), chosen.end()), votes,
                    {}, &record);
      append(record);
      const bool tick = step % stride == 0 && step < header.step_count();
      for (const int layer : layered ? std::vector<int>{0, 2} : std::vector<int>{kAllLayers}) {
        if (!tick) continue;
        const bool empty = rng.NextBelow(6) == 0;
        std::vector<uint32_t> scored;
        std::vector<uint8_t> codes;
        for (uint32_t entry = 0; entry < entries; ++entry) {
          if (empty || rng.NextBelow(4) != 0) continue;
          scored.push_back(entry);
          codes.push_back(static_cast<uint8_t>(64 + rng.NextBelow(192)));
        }
        TraceRecord scores;
        FillTick(step, layer, scored, codes, &scores);
        append(scores);
      }
    }
  }
  ASSERT_TRUE((*writer)->Finish().ok());
}

std::vector<DemandSpec> RandomSpecs(int32_t stride, Rng& rng) {
  std::vector<DemandSpec> specs;
  for (int i = 0; i < 24; ++i) {
    DemandSpec spec;
    const WantPolicy kinds[] = {WantPolicy::kLsa,    WantPolicy::kLsa,    WantPolicy::kLsa,
                                WantPolicy::kOracle, WantPolicy::kRandom, WantPolicy::kRecency};
    spec.policy = kinds[rng.NextBelow(6)];
    spec.tau_steps = stride * static_cast<int32_t>(1 + rng.NextBelow(6));
    const int32_t thresholds[] = {64, 100, 128, 200, 255, 256, 60};
    spec.threshold_code = thresholds[rng.NextBelow(7)];
    spec.page_kmax = static_cast<int32_t>(rng.NextBelow(9));
    spec.recency_entries = static_cast<int64_t>(rng.NextBelow(3) * 100);
    spec.sink_entries = static_cast<int64_t>(rng.NextBelow(2) * 70);
    spec.seed = rng.NextBelow(3);
    specs.push_back(spec);
  }
  return specs;
}

TEST(MultiDistilTest, EqualsDistillingEachSpecAlone) {
  Rng rng(23);
  int64_t lsa_demands = 0, refused = 0, spilled = 0;
  for (int round = 0; round < 60; ++round) {
    const testing::TempFolder folder;
    const std::string path = folder.File("t.trace");
    const auto stride = static_cast<int32_t>(1 + rng.NextBelow(4));
    WriteRandomTrace(path, stride, rng);
    const std::vector<DemandSpec> specs = RandomSpecs(stride, rng);
    // Every third trace finds no room in memory and works from the file.
    const int64_t memory_bytes = round % 3 == 0 ? 500 : int64_t{1} << 20;
    const auto trace = DistilledTrace::Read(path, specs, memory_bytes, folder.File("spill"));
    ASSERT_TRUE(trace.ok()) << trace.status();
    EXPECT_LE(trace->memory_bytes(), memory_bytes);
    spilled += trace->spilled_bytes();
    for (const DemandSpec& spec : specs) {
      const absl::StatusOr<WindowDemand> alone = DistilTrace(path, spec);
      const absl::StatusOr<WindowDemand> shared = trace->Demand(spec);
      ASSERT_EQ(alone.ok(), shared.ok()) << alone.status() << shared.status();
      if (!alone.ok()) {
        EXPECT_EQ(spec.threshold_code, 60);
        EXPECT_EQ(alone.status().code(), shared.status().code());
        ++refused;
        continue;
      }
      ExpectSame(*alone, *shared);
      lsa_demands += spec.policy == WantPolicy::kLsa;
      ASSERT_FALSE(::testing::Test::HasFailure()) << "round " << round;
    }
  }
  EXPECT_GT(lsa_demands, 300);
  EXPECT_GT(refused, 20);
  EXPECT_GT(spilled, 0);
}

TEST(MultiDistilTest, ATraceThatIsNotThereIsAnError) {
  const DemandSpec spec;
  EXPECT_FALSE(DistilledTrace::Read("/nonexistent/t.trace", {&spec, 1}, 1 << 20, "/tmp").ok());
}

}  // namespace
}  // namespace tierscope
