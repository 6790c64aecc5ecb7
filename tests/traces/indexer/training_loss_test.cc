// Losses by hand, gradients against finite differences, and that training sees what scoring does.
#include "traces/indexer/training_loss.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "traces/indexer/training_state.h"

namespace tierscope {
namespace {

std::vector<double> Draw(size_t count, double deviation, Rng* rng) {
  std::vector<double> values(count);
  for (double& value : values) value = rng->NextNormal() * deviation;
  return values;
}

LayerValues DrawValues(const IndexerShape& s, Rng* rng) {
  return {Draw(size_t(s.rank * s.hidden), 0.5, rng), Draw(size_t(s.rank), 1.0, rng),
          Draw(size_t(s.query_values() * s.rank), 0.5, rng),
          Draw(size_t(s.heads * s.hidden), 0.5, rng)};
}

TrainingWindow DrawWindow(const IndexerShape& s, int64_t position, size_t examples, Rng* rng) {
  TrainingWindow window;
  window.position = position;
  for (const double value : Draw(size_t(s.hidden), 1.0, rng)) {
    window.hidden.push_back(float(value));
  }
  for (size_t n = 0; n < examples; ++n) {
    std::vector<float> key;
    for (const double value : Draw(size_t(s.head_dim), 1.0, rng)) key.push_back(float(value));
    std::vector<uint8_t> codes(key.size());
    const float scale = QuantizeHead(key, codes);
    window.keys.insert(window.keys.end(), codes.begin(), codes.end());
    const auto* bytes = reinterpret_cast<const uint8_t*>(&scale);
    window.keys.insert(window.keys.end(), bytes, bytes + sizeof scale);
    window.labels.push_back(uint8_t(n % 3 == 0));
  }
  return window;
}

constexpr IndexerShape kShape = {6, 5, 3, 8};

TEST(TrainingLossTest, ByHandWhereEveryLogitIsZero) {
  Rng rng(1);
  LayerValues weights = DrawValues(kShape, &rng);
  std::fill(weights.weights_proj.begin(), weights.weights_proj.end(), 0.0);
  const std::vector<TrainingWindow> batch = {DrawWindow(kShape, 5, 4, &rng)};
  LayerValues gradient;
  const double ln2 = std::log(2.0);
  EXPECT_NEAR(LossAndGradient(kShape, weights, batch, TrainingLoss::kBce, &gradient), ln2, 1e-12);
  EXPECT_NEAR(LossAndGradient(kShape, weights, batch, TrainingLoss::kFocal, &gradient), ln2 / 4.0,
              1e-12);
}

struct Group {
  const char* name;
  std::vector<double> LayerValues::*values;
};
constexpr Group kGroups[] = {{"wq_a", &LayerValues::wq_a},
                             {"q_norm", &LayerValues::q_norm},
                             {"wq_b", &LayerValues::wq_b},
                             {"weights_proj", &LayerValues::weights_proj}};

// Every weight of every group. Central differences of step e err by e^2 f''' / 6, about 1e-10 here,
// and by 1e-16 / e from rounding; relu bends where a dot is 0, which no step of 1e-5 around these
// values crosses.
TEST(TrainingLossTest, GradientsAreFiniteDifferences) {
  constexpr double kStep = 1e-5;
  for (const TrainingLoss loss : {TrainingLoss::kBce, TrainingLoss::kFocal}) {
    Rng rng(2);
    const LayerValues weights = DrawValues(kShape, &rng);
    const std::vector<TrainingWindow> batch = {DrawWindow(kShape, 3, 12, &rng),
                                               DrawWindow(kShape, 40001, 7, &rng)};
    LayerValues gradient, unused;
    LossAndGradient(kShape, weights, batch, loss, &gradient);
    for (const Group& group : kGroups) {
      const std::vector<double>& slopes = gradient.*group.values;
      ASSERT_EQ(slopes.size(), (weights.*group.values).size());
      double largest = 0.0;
      for (size_t i = 0; i < slopes.size(); ++i) {
        LayerValues up = weights, down = weights;
        (up.*group.values)[i] += kStep;
        (down.*group.values)[i] -= kStep;
        const double difference = (LossAndGradient(kShape, up, batch, loss, &unused) -
                                   LossAndGradient(kShape, down, batch, loss, &unused)) /
                                  (2.0 * kStep);
        EXPECT_NEAR(slopes[i], difference, 1e-8) << group.name << " " << i;
        largest = std::max(largest, std::fabs(difference));
      }
      EXPECT_GT(largest, 1e-4) << group.name;  // or the comparison above says nothing
    }
  }
}

// With one golden example BCE is ln(1 + e^-z): it tells the logit that training sees. It must be
// the one that scoring computes, but for the rounding of queries.
TEST(TrainingLossTest, LogitsAreThoseOfScoring) {
  const IndexerShape shape = {48, 16, 6, 32};
  Rng rng(3);
  const LayerValues values = DrawValues(shape, &rng);
  const auto narrow = [](const std::vector<double>& wide) {
    return std::vector<float>(wide.begin(), wide.end());
  };
  const LayerWeights weights = {10,
                                shape,
                                narrow(values.wq_a),
                                narrow(values.q_norm),
                                narrow(values.wq_b),
                                narrow(values.weights_proj)};
  for (const int64_t position : {0, 1001, 250000}) {
    TrainingWindow window = DrawWindow(shape, position, 40, &rng);
    for (size_t i = 32; i < window.keys.size(); i += 36) {  // small scales: logits within +-20
      float scale;
      std::memcpy(&scale, &window.keys[i], sizeof scale);
      scale *= 0.2f;
      std::memcpy(&window.keys[i], &scale, sizeof scale);
    }
    const IndexerQuery query = MakeQueries(weights, window.hidden, {&position, 1})[0];
    KeyTile tile(shape.head_dim);
    ASSERT_EQ(tile.Load(window.keys, 40), -1);
    std::vector<float> logits(KeyTile::kKeysMax);
    tile.Score(query, 0.0f, logits);
    double error = 0.0, size = 0.0;
    for (size_t n = 0; n < 40; ++n) {
      TrainingWindow one = window;
      one.keys.assign(window.keys.begin() + std::ptrdiff_t(n * 36),
                      window.keys.begin() + std::ptrdiff_t(n * 36 + 36));
      one.labels = {1};
      LayerValues unused;
      const double loss =
          LossAndGradient(shape, ValuesOf(weights), {&one, 1}, TrainingLoss::kBce, &unused);
      const double logit = -std::log(std::expm1(loss));
      error += (logit - logits[n]) * (logit - logits[n]);
      size += logit * logit;
    }
    // e4m3 rounds every value of a query by up to 1/16, 0.02 in the root mean square, and the
    // errors of the values of a dot are independent.
    EXPECT_LT(std::sqrt(error / size), 0.06) << position;
    EXPECT_GT(std::sqrt(size / 40), 0.1);
  }
}

TEST(TrainingLossTest, FirstStepsOfAdamByHand) {
  TrainingState state = FreshState({2, 1, 1, 4}, {10}, 1);
  const LayerWeights before = state.now[0];
  LayerValues gradient = {{0.3, -0.4}, {0.0}, {0.0, 0.0, 0.0, 0.0}, {0.0, 0.0}};
  AdamStep(gradient, 0.01, 1, 0, &state);
  // m / (1 - 0.9) = g and v / (1 - 0.999) = g^2, so every step has the learning rate's length.
  EXPECT_NEAR(state.now[0].wq_a[0], before.wq_a[0] - 0.01, 1e-7);
  EXPECT_NEAR(state.now[0].wq_a[1], before.wq_a[1] + 0.01, 1e-7);
  EXPECT_EQ(state.now[0].q_norm, before.q_norm);
  // Second step, gradient 10 times as large and so clipped from norm 5 to 1: (0.6, -0.8).
  gradient.wq_a = {3.0, -4.0};
  AdamStep(gradient, 0.01, 2, 0, &state);
  const double m = (0.9 * 0.1 * 0.3 + 0.1 * 0.6) / (1.0 - 0.81);
  const double v = (0.999 * 0.001 * 0.09 + 0.001 * 0.36) / (1.0 - 0.999 * 0.999);
  EXPECT_NEAR(state.now[0].wq_a[0], before.wq_a[0] - 0.01 - 0.01 * m / std::sqrt(v), 1e-7);
}

}  // namespace
}  // namespace tierscope
