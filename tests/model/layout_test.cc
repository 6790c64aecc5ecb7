// What layouts over ranks and multi-token prediction cost, on V4-Flash and the calibrated H20.
#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"

#include "scenarios/memory.h"
#include "scenarios/presets.h"
#include "sim/model/layer_kernels.h"
#include "sim/model/layer_work.h"
#include "sim/model/step_model.h"

namespace tierscope {
namespace {

Scenario Flash(const char* model = "v4_flash") {
  Scenario scenario;
  *scenario.mutable_model() = *ModelPreset(model);
  *scenario.mutable_hardware() = *HardwarePreset("h20_141");
  return scenario;
}

BatchWork Batch(int32_t requests) {
  return {requests, requests * int64_t{225 * 64}, requests * int64_t{524288}};
}

double Ms(SimDuration d) { return static_cast<double>(d.ns) * 1e-6; }

// The bytes of a model's attention products that `ranks` split: those that change with them.
double AttentionBytes(const Model& model, int32_t ranks) {
  double bytes = 0.0;
  const auto add = [&](LayerKind kind, int32_t layers) {
    for (const GemmWork& w : AttentionGemms(model, kind, ranks, 1.0, 1.0)) {
      bytes += layers * w.n * w.k * w.groups * w.weight_bytes;
    }
  };
  add(LayerKind::kCsa, model.csa_layers());
  add(LayerKind::kHca, model.hca_layers());
  add(LayerKind::kSwa, model.swa_layers());
  return bytes;
}

// The presets' attention weights are those of the products that the kernel model times.
TEST(LayoutTest, PresetsNameTheWeightsOfTheirProducts) {
  for (const char* name : {"v4_flash", "v4_pro"}) {
    const Model model = Flash(name).model();
    const double sharded = 2.0 * (AttentionBytes(model, 1) - AttentionBytes(model, 2));
    EXPECT_EQ(static_cast<double>(model.attention_weight_bytes_sharded()), sharded) << name;
  }
}

// 8 groups of one rank hold attention whole: 3.6 + (144.8 - 5.77) / 8 + 5.77 GB.
TEST(LayoutTest, WeightsOfGroups) {
  Scenario scenario = Flash();
  EXPECT_EQ(WeightBytesPerRank(scenario.model(), scenario.engine()), 21'700'000'000);
  scenario.mutable_engine()->set_dp_attention(8);
  EXPECT_EQ(WeightBytesPerRank(scenario.model(), scenario.engine()),
            3'600'000'000 + (144'800'000'000 - 5'771'362'304) / 8 + 5'771'362'304);
}

// 64 requests: on all ranks alike, or 8 in each of 8 groups, whose scoring, top-k and attention are
// an eighth, and whose products read 8 times the weights for an eighth of the tokens.
TEST(LayoutTest, AGroupsPartIsOfItsOwnRequests) {
  Scenario scenario = Flash();
  const StepTimeModel tensor(scenario);
  scenario.mutable_engine()->set_dp_attention(8);
  const StepTimeModel groups(scenario);
  const double whole = Ms(tensor.Step(Batch(64)));
  const double spread = Ms(groups.JointPart(64, 8) + groups.GroupPart(Batch(8)));
  EXPECT_LT(spread, whole);
  // One group with 8 and one with 56 is not the mean of them.
  const double uneven = Ms(groups.JointPart(64, 56) + groups.GroupPart(Batch(56)));
  EXPECT_GT(uneven, spread + 0.5 * Ms(groups.GroupPart(Batch(56)) - groups.GroupPart(Batch(8))));
  EXPECT_EQ(groups.GroupPart(Batch(0)).ns, 0);
  // The joint part is of all requests, however they are spread.
  EXPECT_GT(groups.JointPart(512, 64), groups.JointPart(64, 64));
}

TEST(LayoutTest, WithGraphsEveryRankRunsThatOfTheFullest) {
  Scenario scenario = Flash();
  scenario.mutable_engine()->set_dp_attention(8);
  const StepTimeModel plain(scenario);
  for (const int size : {16, 32}) scenario.mutable_engine()->add_graph_batch_sizes(size);
  const StepTimeModel graphs(scenario);
  EXPECT_EQ(graphs.JointPart(20, 17).ns, plain.JointPart(8 * 32, 32).ns);
  EXPECT_EQ(graphs.JointPart(20, 9).ns, plain.JointPart(8 * 16, 16).ns);
}

// Experts 1, 1/2, 1/3, 1/4 popular, one of them a token: of 25 tokens 12, 6, 4 and 3 choose them in
// expectation. The group with the first and third has 16 rows, where an even half is 12.5.
TEST(LayoutTest, TheBusiestExpertGroup) {
  const ExpertShare skewed = BusiestExpertGroup(25.0, 4, 1, 1.0, 2);
  EXPECT_NEAR(skewed.rows, 16.0, 1e-9);
  EXPECT_NEAR(skewed.touched, 2.0 - std::pow(1.0 - 12.0 / 25, 25) - std::pow(1.0 - 4.0 / 25, 25),
              1e-9);
  const ExpertShare even = BusiestExpertGroup(25.0, 4, 1, 0.0, 2);
  EXPECT_DOUBLE_EQ(even.rows, 12.5);
  EXPECT_DOUBLE_EQ(even.touched, ExpertsTouched(25.0, 4, 1, 0.0) / 2.0);
  const ExpertShare all = BusiestExpertGroup(25.0, 4, 1, 1.0, 1);
  EXPECT_NEAR(all.rows, 25.0, 1e-9);
  EXPECT_NEAR(all.touched, ExpertsTouched(25.0, 4, 1, 1.0), 1e-12);
}

// Whole experts on an eighth of the ranks are the same bytes as an eighth of each expert; popular
// ones are not, because their group has more rows and more of them touched.
TEST(LayoutTest, ExpertParallelWaitsForThePopular) {
  const auto step = [](int32_t groups, double alpha) {
    Scenario scenario = Flash();
    scenario.mutable_engine()->set_expert_parallel(groups);
    scenario.mutable_hardware()->mutable_step_model()->set_expert_alpha(alpha);
    return Ms(StepTimeModel(scenario).Step(Batch(60)));
  };
  EXPECT_NEAR(step(8, 0.0), step(1, 0.0), 0.15 * step(1, 0.0));
  EXPECT_GT(step(8, 1.0) - step(1, 1.0), step(8, 0.0) - step(1, 0.0));
}

// With drafts a step does more, and less than as many steps more.
TEST(LayoutTest, DraftsCostAndLessThanSteps) {
  Scenario scenario = Flash();
  const StepTimeModel plain(scenario);
  double before = Ms(plain.Step(Batch(60)));
  const double one = before;
  for (int drafts = 1; drafts <= 3; ++drafts) {
    scenario.mutable_engine()->mutable_mtp()->set_draft_tokens(drafts);
    scenario.mutable_engine()->mutable_mtp()->set_acceptance(0.8);
    const StepTimeModel model(scenario);
    const double ms = Ms(model.Step(Batch(60)));
    EXPECT_GT(ms, 1.02 * before) << drafts;
    EXPECT_LT(ms, (1 + drafts) * one) << drafts;
    before = ms;
    const LayerKernels kernels(scenario);
    double sum = 0.0;
    for (const LayerKernels::Part& part : kernels.Parts(60, 60, 60 * 14400.0, 60 * 524288.0)) {
      sum += part.ns;
    }
    EXPECT_NEAR(sum, kernels.StepNs(60, 60, 60 * 14400.0, 60 * 524288.0), 1e-6 * sum);
    // Verified tokens, scoring of each, and a layer of 43 for each draft.
    EXPECT_NEAR(model.StepFlop(Batch(60)),
                60 * 26.6e9 * (1.0 + drafts + drafts / 43.0) +
                    (1.0 + drafts) * plain.ReplicatedStepFlop(Batch(60)),
                1e6);
  }
}

}  // namespace
}  // namespace tierscope
