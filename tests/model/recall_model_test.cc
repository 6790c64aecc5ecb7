#include "sim/model/recall_model.h"

#include "gtest/gtest.h"

#include "scenarios/presets.h"
#include "sim/base/units.h"

namespace tierscope {
namespace {

constexpr int64_t kPage = 784'896;  // of V4-Flash

// One rank with a switch of its own, so that only the path bounds the rate.
Scenario Base(Policy::RecallPath path) {
  Scenario scenario;
  *scenario.mutable_model() = ModelPreset("v4_flash").value();
  *scenario.mutable_hardware() = HardwarePreset("h20_141").value();
  *scenario.mutable_node() = NodePreset("node_8gpu").value();
  scenario.mutable_node()->set_gpus_per_switch(1);
  scenario.mutable_policy()->set_recall_path(path);
  return scenario;
}

double AloneMs(const Scenario& scenario, int64_t pages) {
  return ToMilliseconds(RecallModel(scenario).Of(pages).Alone(int64_t{1} << 60));
}

// 96 pages are 75.35 MB. Page-major: 53.66 GB/s (link_model_test.cc), 1.404 ms.
TEST(RecallModelTest, CopyEngineFollowsTheCurve) {
  Scenario scenario = Base(Policy::COPY_ENGINE);
  EXPECT_NEAR(AloneMs(scenario, 96), 1.404, 0.001);
  scenario.mutable_policy()->set_layout(Policy::LAYER_MAJOR);
  EXPECT_GT(AloneMs(scenario, 96), 75.35 / 35.0);
  const RecallWork work = RecallModel(scenario).Of(96);
  EXPECT_EQ(work.bytes, 96 * kPage);
  EXPECT_EQ(work.hbm_bytes, 96 * kPage);
  EXPECT_EQ(work.host_bytes, 0);
  EXPECT_FALSE(work.occupies_sms);
}

// 18 layers of keys go to a pool of their own: 152,064 B a page, beside 784,896 B of KV. Two pieces
// a page, so 192 descriptors for 96 pages, and each part at the rate of its own piece size.
TEST(RecallModelTest, OffloadedKeysArePiecesOfTheirOwn) {
  Scenario scenario = Base(Policy::COPY_ENGINE);
  scenario.mutable_policy()->set_index_key_offload(true);
  const int64_t keys = 152'064;
  const LinkModel link(scenario.hardware().host_link());
  const double page_major = 96.0 * (static_cast<double>(kPage) / link.BatchedCopyRate(kPage, 192) +
                                    static_cast<double>(keys) / link.BatchedCopyRate(keys, 192));
  EXPECT_EQ(RecallModel(scenario).Of(96).bytes, 96 * (kPage + keys));
  EXPECT_NEAR(AloneMs(scenario, 96), page_major * 1e3, 1e-3);
  // Layer-major: 21 pieces of 37,376 B and 18 of 8,448 B, which is below the copy's knee. Taken as
  // 21 equal pieces of 44,617 B it would be faster by a factor.
  scenario.mutable_policy()->set_layout(Policy::LAYER_MAJOR);
  const double layer_major =
      96.0 * (static_cast<double>(kPage) / link.BatchedCopyRate(kPage / 21, 96 * 39) +
              static_cast<double>(keys) / link.BatchedCopyRate(keys / 18, 96 * 39));
  EXPECT_NEAR(AloneMs(scenario, 96), layer_major * 1e3, 1e-3);
  const double equal_pieces =
      96.0 * static_cast<double>(kPage + keys) / link.BatchedCopyRate((kPage + keys) / 21, 96 * 21);
  EXPECT_GT(AloneMs(scenario, 96), 1.2e3 * equal_pieces);
  // Staged, every piece is a submit: 6 us each.
  Scenario staged = Base(Policy::STAGED);
  const double without = AloneMs(staged, 96);
  staged.mutable_policy()->set_index_key_offload(true);
  const double bytes_ratio = static_cast<double>(kPage + keys) / static_cast<double>(kPage);
  const double submits_ms = 96 * 0.006;
  EXPECT_NEAR(AloneMs(staged, 96), (without - submits_ms) * bytes_ratio + 2 * submits_ms, 0.01);
}

// 75.35 MB at 37 GB/s: 2.036 ms, whatever the layout. 584 B is no multiple of 64: 7.6 % of the
// rate.
TEST(RecallModelTest, GatherKernelDependsOnItsItems) {
  Scenario scenario = Base(Policy::GATHER_KERNEL);
  EXPECT_NEAR(AloneMs(scenario, 96), 2.036, 0.001);
  EXPECT_TRUE(RecallModel(scenario).Of(96).occupies_sms);
  scenario.mutable_policy()->set_layout(Policy::LAYER_MAJOR);
  EXPECT_NEAR(AloneMs(scenario, 96), 2.036, 0.001);
  scenario.mutable_policy()->set_gather_item_bytes(584);
  EXPECT_NEAR(AloneMs(scenario, 96), 2.036 / 0.076, 0.02);
}

// Gather and copy each 75.35 MB / 4.57 GB/s = 16.488 ms, 96 submits of 6 us = 0.576 ms, scatter
// 150.7 MB at 4.8 TB/s = 0.031 ms: 33.58 ms, published about 33. Layer-major submits 21 times as
// many: 11.52 ms more.
TEST(RecallModelTest, StagedTakesItsStagesInSeries) {
  Scenario scenario = Base(Policy::STAGED);
  EXPECT_NEAR(AloneMs(scenario, 96), 33.583, 0.005);
  const RecallWork work = RecallModel(scenario).Of(96);
  EXPECT_EQ(work.host_bytes, 2 * 96 * kPage);  // read and written
  EXPECT_EQ(work.hbm_bytes, 3 * 96 * kPage);   // arrives, is read and written
  scenario.mutable_policy()->set_layout(Policy::LAYER_MAJOR);
  EXPECT_NEAR(AloneMs(scenario, 96), 33.583 + 96 * 20 * 0.006, 0.005);
}

// FlashMemory's first version copied index by index, 207 ms published against 33 batched. By entry
// and layer: 96 x 64 x 21 submits of 6 us and 16.488 ms of copy, 790.6 ms: the order, not the
// ratio.
TEST(RecallModelTest, CopyingEntryByEntryIsSlower) {
  Scenario scenario = Base(Policy::STAGED);
  scenario.mutable_policy()->set_staged_pieces(Policy::PER_ENTRY);
  EXPECT_NEAR(AloneMs(scenario, 96), 96 * 64 * 21 * 0.006 + 16.488, 0.01);
  EXPECT_EQ(RecallModel(scenario).Of(96).host_bytes, 0);
}

// Of a page by hand on round numbers: gather 2 MB at no more than 1 GB/s of DRAM 2 ms, then 1 MB at
// 0.5 GB/s 2 ms.
TEST(RecallModelTest, HostDramBoundsTheCpuGather) {
  RecallWork work;
  work.bytes = 1'000'000;
  work.host_bytes = 2'000'000;
  work.host_bytes_per_s_max = 4'000'000'000;
  work.link_bytes_per_s_max = 500'000'000;
  EXPECT_EQ(work.Alone(1'000'000'000).ns, 4'000'000);
  EXPECT_EQ(work.Alone(8'000'000'000).ns, 500'000 + 2'000'000);
}

// A rank's share of the switch bounds every path.
TEST(RecallModelTest, TheSwitchIsShared) {
  for (const auto path : {Policy::COPY_ENGINE, Policy::GATHER_KERNEL}) {
    Scenario scenario = Base(path);
    scenario.mutable_node()->set_gpus_per_switch(4);
    EXPECT_EQ(RecallModel(scenario).Of(96).link_bytes_per_s_max, 55'600'000'000 / 4);
  }
}

}  // namespace
}  // namespace tierscope
