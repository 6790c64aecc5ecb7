#include "real/backend.h"

#include <cstring>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

#include "real/backbone.h"
#include "real/content.h"
#include "real/cpu_backend.h"
#include "real/cpu_gemm.h"
#include "sim/base/rng.h"
#include "tests/real/backend_contract.h"
#include "tests/real/real_world.h"

namespace tierscope {
namespace {

using testing::SmallBackend;
using testing::SmallScenario;

// Against the definition, on shapes around the block of columns.
TEST(CpuGemmTest, IsTheProduct) {
  Rng rng(1);
  for (const GemmShape shape : {GemmShape{1, 1, 1, 1}, GemmShape{3, 513, 7, 1},
                                GemmShape{2, 5, 9, 4}, GemmShape{4, 1030, 33, 2}}) {
    std::vector<float> x(static_cast<size_t>(shape.rows * shape.inner * shape.groups));
    std::vector<float> w(static_cast<size_t>(shape.columns * shape.inner * shape.groups));
    std::vector<float> y(static_cast<size_t>(shape.rows * shape.columns * shape.groups), 1e30f);
    for (float& value : x) value = static_cast<float>(rng.NextNormal());
    for (float& value : w) value = static_cast<float>(rng.NextNormal());
    GemmOnCpu(shape, x.data(), w.data(), y.data());
    for (int64_t g = 0; g < shape.groups; ++g) {
      for (int64_t r = 0; r < shape.rows; ++r) {
        for (int64_t c = 0; c < shape.columns; ++c) {
          double sum = 0;
          for (int64_t i = 0; i < shape.inner; ++i) {
            sum += static_cast<double>(x[(g * shape.rows + r) * shape.inner + i]) *
                   w[(g * shape.inner + i) * shape.columns + c];
          }
          ASSERT_NEAR(y[(g * shape.rows + r) * shape.columns + c], sum, 1e-4);
        }
      }
    }
  }
}

// The preset says how many weights its products have, and what a token costs.
TEST(BackboneTest, ProductsAreThoseOfTheModel) {
  const Scenario scenario =
      SmallScenario({"model.preset=v4_tiny,model.q_lora_rank=32,"
                     "model.o_lora_rank=16,model.hidden_size=256,"
                     "model.vocab_size=4096,model.expert_intermediate=128,"
                     "model.hca_layers=2"});
  const auto weights_of = [&](int64_t batch) {
    int64_t bytes = WeightBytes(HeadProducts(scenario, batch), 4);
    for (const LayerKind kind : LayerOrder(scenario.model())) {
      bytes += WeightBytes(LayerProducts(scenario, kind, batch), 4);
    }
    return bytes;
  };
  const Model& model = scenario.model();
  // A batch that touches every expert reads every weight; one request reads its two of 16 in six
  // layers.
  EXPECT_EQ(weights_of(1000), model.weight_bytes_sharded());
  const int64_t expert_bytes = int64_t{3} * 256 * 128 * 4;
  EXPECT_EQ(weights_of(1), model.weight_bytes_sharded() - 6 * (16 - 2) * expert_bytes);
  int64_t flop = GemmFlop(HeadProducts(scenario, 1));
  for (const LayerKind kind : LayerOrder(model)) flop += GemmFlop(LayerProducts(scenario, kind, 1));
  EXPECT_NEAR(static_cast<double>(flop) / 1e9, model.gflop_per_token_constant(), 1e-4);
}

TEST(BackboneTest, LayersAlternate) {
  Model model;
  model.set_swa_layers(2);
  model.set_csa_layers(3);
  model.set_hca_layers(1);
  using enum LayerKind;
  EXPECT_EQ(LayerOrder(model), (std::vector<LayerKind>{kSwa, kSwa, kCsa, kHca, kCsa, kCsa}));
}

TEST(CpuBackendTest, KeepsTheContract) { testing::CheckBackendContract(SmallBackend); }

TEST(CpuBackendTest, RefusesWhatDoesNotFit) {
  CpuBackendOptions options;
  options.memory_bytes_max = 1000;
  const auto backend = MakeCpuBackend(options).value();
  EXPECT_TRUE(backend->Allocate("a", Arena::kDevice, 600).ok());
  const absl::Status status = backend->Allocate("reserve", Arena::kDevice, 401).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_TRUE(absl::StartsWith(status.message(), "reserve: 401 bytes beside the 600 allocated"));
  options.sideband_threads = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(MakeCpuBackend(options).status()));
}

ContentShape Shape() {
  ContentShape shape;
  shape.csa_layers = 3;
  shape.target_layers = 3;
  shape.prompt_entries = 512;
  shape.entry_count = 530;
  shape.step_count = 64;
  shape.tick_stride_steps = 8;
  return shape;
}

TEST(ContentTest, IsAPureFunctionOfItsPlace) {
  const RequestContent a(Shape()), b(Shape());
  ContentShape other_profile = Shape();
  other_profile.profile = 1;
  const RequestContent c(other_profile);
  uint8_t key_a[kIndexDim], key_b[kIndexDim], key_c[kIndexDim];
  float scale;
  a.IndexKey(1, 77, key_a, &scale);
  b.IndexKey(1, 77, key_b, &scale);
  c.IndexKey(1, 77, key_c, &scale);
  EXPECT_EQ(std::memcmp(key_a, key_b, kIndexDim), 0);
  EXPECT_NE(std::memcmp(key_a, key_c, kIndexDim), 0);
  const auto same = [&](const RequestContent& x, const RequestContent& y, int32_t step) {
    return std::memcmp(x.NativeQuery(step, 2).codes, y.NativeQuery(step, 2).codes,
                       kNativeHeads * kIndexDim) == 0;
  };
  EXPECT_TRUE(same(a, b, 13));
  EXPECT_FALSE(same(a, c, 13));
  EXPECT_EQ(
      std::memcmp(a.MemoryQuery(16, 1).codes, b.MemoryQuery(16, 1).codes, kMemoryHeads * kIndexDim),
      0);
}

TEST(ContentTest, KvEntriesDifferAndAreFinite) {
  uint8_t a[kKvRowBytes], b[kKvRowBytes], scales[kKvScaleBytes];
  FillKvEntry({1, 0, 0, 0, 5}, a, scales);
  for (const KvEntryPlace& place :
       {KvEntryPlace{2, 0, 0, 0, 5}, KvEntryPlace{1, 1, 0, 0, 5}, KvEntryPlace{1, 0, 1, 0, 5},
        KvEntryPlace{1, 0, 0, 1, 5}, KvEntryPlace{1, 0, 0, 0, 6}}) {
    FillKvEntry(place, b, scales);
    EXPECT_NE(std::memcmp(a, b, kKvRowBytes), 0);
    for (int i = 0; i < kKvFp8Dim; ++i) EXPECT_NE(b[i] & 0x7F, 0x7F);
    for (const uint8_t scale : scales) EXPECT_NE(scale, 0xFF);
  }
}

}  // namespace
}  // namespace tierscope
