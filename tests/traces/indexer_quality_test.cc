// Golden labels and the indexer's evidence against slow references, and by hand.
#include "traces/indexer_quality.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/traces/trace_testing.h"
#include "traces/attention_statistics.h"
#include "traces/attention_trace.h"
#include "traces/generator.h"

namespace tierscope {
namespace {

TEST(GoldenLabelsTest, SoftmaxIsScaledToItsLargest) {
  const float nan = std::nanf("");
  const std::vector<float> logits = {1.0f, 3.0f, 3.0f - std::log(2.0f), -1000.0f, nan};
  std::vector<uint8_t> weights(logits.size());
  SoftmaxWeights(logits, weights);
  // exp(-2) * 255 = 34.5; half of 255.
  EXPECT_EQ(weights, (std::vector<uint8_t>{34, 255, 127, 0, 0}));
  SoftmaxWeights(std::vector<float>{nan}, std::span<uint8_t>(weights.data(), 1));
  EXPECT_EQ(weights[0], 0);
}

TEST(GoldenLabelsTest, TheSmallestSetThatHoldsTopP) {
  // 200.5 + 100.5 + 2 * 50.5 = 402: 0.6 of it is 241.2, so two are needed; 0.4 takes one.
  const std::vector<uint8_t> weights = {50, 200, 100, 50};
  EXPECT_EQ(NucleusCode(weights, 0.6), 100);
  EXPECT_EQ(NucleusCode(weights, 0.4), 200);
  EXPECT_EQ(NucleusCode(weights, 1.0), 50);
  EXPECT_EQ(NucleusCode({}, 0.6), 256);
}

// Bytes instead of weights: the set differs from that of the exact softmax in entries of one code.
TEST(GoldenLabelsTest, BytesGiveNearlyTheExactSet) {
  Rng rng(7);
  double common = 0.0, either = 0.0;
  for (int row = 0; row < 200; ++row) {
    std::vector<float> logits;
    for (int i = 0; i < 512; ++i) {
      // Roughly normal with a deviation of 2.
      double sum = -6.0;
      for (int k = 0; k < 12; ++k) sum += rng.NextDouble();
      logits.push_back(static_cast<float>(2.0 * sum));
    }
    std::vector<uint8_t> weights(logits.size());
    SoftmaxWeights(logits, weights);
    const int least = NucleusCode(weights, 0.6);
    std::vector<std::pair<float, size_t>> order;
    double all = 0.0, held = 0.0;
    for (size_t i = 0; i < logits.size(); ++i) {
      order.push_back({-logits[i], i});
      all += std::exp(double{logits[i]});
    }
    std::sort(order.begin(), order.end());
    std::set<size_t> exact;
    for (size_t i = 0; held < 0.6 * all; ++i) {
      exact.insert(order[i].second);
      held += std::exp(double{-order[i].first});
    }
    for (size_t i = 0; i < logits.size(); ++i) {
      const bool a = exact.count(i) > 0, b = weights[i] >= least;
      common += a && b ? 1.0 : 0.0;
      either += a || b ? 1.0 : 0.0;
    }
  }
  EXPECT_GT(common / either, 0.95);
  EXPECT_LT(common / either, 1.0);  // so the rows do test the rounding
}

TEST(GoldenLabelsTest, ThreeLayersInAWindow) {
  GoldenLabeler labeler(100, 4, GoldenRule());
  const std::vector<uint8_t> flat = {255, 0};
  std::vector<uint32_t> golden;
  EXPECT_FALSE(labeler.EndWindow(&golden));
  labeler.Add(0, std::vector<uint32_t>{7, 8}, {}, flat);  // 7 alone is in the set
  labeler.Add(1, std::vector<uint32_t>{7, 9}, {}, flat);
  labeler.Add(1, std::vector<uint32_t>{7, 9}, {}, flat);  // a layer counts once
  labeler.Add(1, std::vector<uint32_t>{5, 9}, {}, flat);
  EXPECT_TRUE(labeler.EndWindow(&golden));
  EXPECT_TRUE(golden.empty());
  for (const int32_t layer : {0, 1, 3}) {
    labeler.Add(layer, std::vector<uint32_t>{7, 8}, {}, flat);
  }
  EXPECT_TRUE(labeler.EndWindow(&golden));
  EXPECT_EQ(golden, std::vector<uint32_t>{7});
  // Of fewer layers than three all must agree.
  GoldenLabeler two(100, 2, GoldenRule());
  two.Add(0, std::vector<uint32_t>{7, 8}, {}, flat);
  two.Add(1, std::vector<uint32_t>{7, 9}, {}, flat);
  two.EndWindow(&golden);
  EXPECT_EQ(golden, std::vector<uint32_t>{7});
}

// A small random trace, kept as it is written.
struct Recorded {
  ProfileHeader header;
  std::map<int32_t, std::map<uint32_t, int>> ticks;  // [step] entry -> code
  // [step][layer] entry -> weight
  std::map<int32_t, std::vector<std::map<uint32_t, uint8_t>>> selections;
};

constexpr int32_t kLayers = 5, kTopK = 6, kStride = 4, kSteps = 24, kFloor = 40;

Recorded WriteRandomTrace(const std::string& path, uint64_t seed) {
  Rng rng(seed);
  Recorded recorded;
  ProfileHeader& header = recorded.header;
  header.set_prompt_tokens(40 + static_cast<int64_t>(rng.NextBelow(20)));
  header.set_step_count(kSteps);
  header.set_tick_stride_steps(kStride);
  header.set_score_floor_code(kFloor);
  header.set_tokens_per_entry(1);
  header.set_csa_layer_count(kLayers);
  header.set_top_k(kTopK);
  header.set_selections(SELECTIONS_FULL_HISTORY);
  header.mutable_provenance()->set_recorded_with("a test");
  std::vector<TraceRecord> records(1);
  *records[0].mutable_profile() = header;
  for (int32_t step = 0; step <= kSteps; ++step) {
    const auto history = static_cast<uint64_t>(HistoryEntries(header, step));
    auto& layers = recorded.selections[step];
    layers.resize(kLayers);
    for (int32_t layer = 0; layer < kLayers; ++layer) {
      auto& chosen = layers[static_cast<size_t>(layer)];
      while (chosen.size() < kTopK) {
        // Skewed, so that layers agree on some.
        const uint64_t entry = rng.NextBelow(4) == 0 ? rng.NextBelow(history) : rng.NextBelow(12);
        chosen[static_cast<uint32_t>(entry)] = static_cast<uint8_t>(rng.NextBelow(256));
      }
      std::vector<uint32_t> entries;
      std::vector<uint8_t> weights;
      for (const auto& [entry, weight] : chosen) {
        entries.push_back(entry);
        weights.push_back(weight);
      }
      FillSelection(step, layer, entries, {}, weights, &records.emplace_back());
    }
    if (step % kStride != 0) continue;
    auto& tick = recorded.ticks[step];
    std::vector<uint32_t> entries;
    std::vector<uint8_t> codes;
    for (uint32_t entry = 0; entry < history; ++entry) {
      if (rng.NextBelow(3) == 0) continue;
      tick[entry] = kFloor + static_cast<int>(rng.NextBelow(256 - kFloor));
      entries.push_back(entry);
      codes.push_back(static_cast<uint8_t>(tick[entry]));
    }
    FillTick(step, kAllLayers, entries, codes, &records.emplace_back());
  }
  WriteContainer(path, records);
  return recorded;
}

// Entries in at least three layers' smallest sets of 0.6, by sorting; codes that tie count
// together.
std::set<uint32_t> SlowGolden(const Recorded& recorded, int32_t begin, int32_t end) {
  std::map<uint32_t, std::set<size_t>> layers_of;
  for (int32_t step = begin + 1; step <= end; ++step) {
    const auto& layers = recorded.selections.at(step);
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      const auto mass = [](uint8_t code) { return code == 0 ? 0.25 : code + 0.5; };
      double all = 0.0;
      for (const auto& [entry, weight] : layers[layer]) all += mass(weight);
      for (const auto& [entry, weight] : layers[layer]) {
        double above = 0.0;  // held by strictly larger weights
        for (const auto& [other, w] : layers[layer]) above += w > weight ? mass(w) : 0.0;
        if (above < 0.6 * all) layers_of[entry].insert(layer);
      }
    }
  }
  std::set<uint32_t> golden;
  for (const auto& [entry, layers] : layers_of) {
    if (layers.size() >= 3) golden.insert(entry);
  }
  return golden;
}

struct Pair {
  int code;  // -1 = not recorded
  bool needed;
};

double SlowAuc(const std::vector<Pair>& pairs) {
  double wins = 0.0, count = 0.0;
  for (const Pair& a : pairs) {
    for (const Pair& b : pairs) {
      if (!a.needed || b.needed) continue;
      wins += a.code > b.code ? 1.0 : a.code == b.code ? 0.5 : 0.0;
      count += 1.0;
    }
  }
  return wins / count;
}

void ExpectMatches(const std::vector<Pair>& pairs, const ScoreCounts& counts) {
  const std::vector<double> thresholds = {0.1, 0.2, 0.5, 0.77, 1.0};
  const IndexerEvidence evidence = EvidenceOf(counts, thresholds);
  EXPECT_NEAR(evidence.auc, SlowAuc(pairs), 1e-12);
  double error = 0.0, recorded = 0.0;
  for (int tenth = 0; tenth < 10; ++tenth) {
    double scores = 0.0, needed = 0.0, entries = 0.0;
    for (const Pair& pair : pairs) {
      if (pair.code < 0 || pair.code * 10 / 256 != tenth) continue;
      scores += (pair.code + 0.5) / 256.0;
      needed += pair.needed ? 1.0 : 0.0;
      entries += 1.0;
    }
    EXPECT_EQ(static_cast<double>(evidence.calibration[tenth].entries), entries);
    if (entries == 0.0) continue;
    EXPECT_NEAR(evidence.calibration[tenth].score_mean, scores / entries, 1e-12);
    EXPECT_NEAR(evidence.calibration[tenth].needed_fraction, needed / entries, 1e-12);
    error += std::fabs(scores - needed);
    recorded += entries;
  }
  EXPECT_NEAR(evidence.calibration_error, error / recorded, 1e-12);
  for (size_t t = 0; t < thresholds.size(); ++t) {
    const ThresholdEvidence& at = evidence.thresholds[t];
    if (256.0 * thresholds[t] < kFloor) {
      EXPECT_EQ(at.precision, -1.0);
      continue;
    }
    double wanted = 0.0, hits = 0.0, needed = 0.0;
    for (const Pair& pair : pairs) {
      const bool is_wanted = pair.code >= 256.0 * thresholds[t];
      wanted += is_wanted ? 1.0 : 0.0;
      hits += is_wanted && pair.needed ? 1.0 : 0.0;
      needed += pair.needed ? 1.0 : 0.0;
    }
    EXPECT_NEAR(at.kept_fraction, wanted / static_cast<double>(pairs.size()), 1e-12);
    EXPECT_NEAR(at.recall, hits / needed, 1e-12);
    if (wanted == 0.0) {
      EXPECT_EQ(at.precision, -1.0);
      EXPECT_EQ(at.f1, 0.0);
      continue;
    }
    const double precision = hits / wanted, recall = hits / needed;
    EXPECT_NEAR(at.precision, precision, 1e-12);
    EXPECT_NEAR(at.f1, 2.0 * precision * recall / (precision + recall), 1e-12);
  }
}

TEST(IndexerQualityTest, AgainstCountingEveryEntry) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const std::string path = TempPath("random.trace");
    const Recorded recorded = WriteRandomTrace(path, seed);
    IndexerQualityOptions options;
    options.window_steps = 7;  // raised to 8
    const auto counts = CountIndexerQuality(path, options);
    ASSERT_TRUE(counts.ok()) << counts.status();
    ASSERT_EQ(counts->size(), 1u);
    std::vector<Pair> golden_pairs, selected_pairs;
    int64_t golden_entries = 0;
    for (int32_t begin = 0; begin < kSteps; begin += 8) {
      const std::set<uint32_t> golden = SlowGolden(recorded, begin, begin + 8);
      golden_entries += static_cast<int64_t>(golden.size());
      std::set<uint32_t> selected;
      for (int32_t step = begin + 1; step <= begin + 8; ++step) {
        for (const auto& layer : recorded.selections.at(step)) {
          for (const auto& [entry, weight] : layer) selected.insert(entry);
        }
      }
      const auto& tick = recorded.ticks.at(begin);
      for (uint32_t e = 0; e < HistoryEntries(recorded.header, begin); ++e) {
        const int code = tick.count(e) > 0 ? tick.at(e) : -1;
        golden_pairs.push_back({code, golden.count(e) > 0});
        selected_pairs.push_back({code, selected.count(e) > 0});
      }
    }
    EXPECT_EQ((*counts)[0].golden.windows, 3);
    EXPECT_EQ((*counts)[0].golden_windows, 3);
    EXPECT_EQ((*counts)[0].golden_entries, golden_entries);
    ExpectMatches(golden_pairs, (*counts)[0].golden);
    ExpectMatches(selected_pairs, (*counts)[0].selected);
  }
}

// Recorded labels stand in for weights; the score tells them apart perfectly, or not at all.
TEST(IndexerQualityTest, RecordedLabels) {
  ProfileHeader header;
  header.set_prompt_tokens(99);
  header.set_step_count(8);
  header.set_tick_stride_steps(4);
  header.set_tokens_per_entry(1);
  header.set_csa_layer_count(21);
  header.set_top_k(512);
  header.mutable_provenance()->set_recorded_with("a test");
  for (const bool reversed : {false, true}) {
    std::vector<TraceRecord> records(1);
    *records[0].mutable_profile() = header;
    for (const int32_t step : {0, 4}) {
      const uint8_t needed = reversed ? 10 : 250, other = reversed ? 250 : 10;
      FillTick(step, kAllLayers, std::vector<uint32_t>{3, 4, 5},
               std::vector<uint8_t>{needed, needed, other}, &records.emplace_back());
      FillGolden(step, std::vector<uint32_t>{3, 4}, std::vector<uint8_t>{3, 21},
                 &records.emplace_back());
    }
    WriteContainer(TempPath("labels.trace"), records);
    IndexerQualityOptions options;
    options.window_steps = 4;
    const auto counts = CountIndexerQuality(TempPath("labels.trace"), options);
    ASSERT_TRUE(counts.ok()) << counts.status();
    EXPECT_EQ((*counts)[0].golden.windows, 2);
    EXPECT_EQ((*counts)[0].selected.windows, 0);
    const IndexerEvidence evidence = EvidenceOf((*counts)[0].golden, {0.5});
    EXPECT_EQ(evidence.needed, 4);
    // Reversed, needed entries lose to the recorded one and win against all others of the history.
    const double others = static_cast<double>(evidence.other);
    EXPECT_NEAR(evidence.auc, reversed ? (others - 2.0) / others : 1.0, 1e-12);
    EXPECT_EQ(evidence.thresholds[0].recall, reversed ? 0.0 : 1.0);
    EXPECT_EQ(evidence.thresholds[0].precision, reversed ? 0.0 : 1.0);
  }
}

// The same definition of golden entries as `trace info` has counted by, on a generated trace.
TEST(IndexerQualityTest, CountsTheGoldenEntriesOfTheStatistics) {
  for (const bool per_layer : {false, true}) {
    GeneratorOptions generator;
    generator.parameters = *GeneratorPreset("v4_flash");
    generator.parameters.set_weight_window_stride(1);
    generator.context_tokens = {16'384};
    generator.profiles_per_context = 1;
    generator.step_count = 128;
    generator.per_layer = per_layer;
    const std::string path = TempPath("generated.trace");
    ASSERT_TRUE(GenerateAttentionTrace(generator, path).ok());
    const auto counts = CountIndexerQuality(path, {});
    const auto statistics = ComputeAttentionStatistics(path, {});
    ASSERT_TRUE(counts.ok() && statistics.ok());
    const IndexerQualityCounts& c = (*counts)[0];
    EXPECT_EQ(c.golden_windows, 2);
    EXPECT_NEAR(static_cast<double>(c.golden_entries) / static_cast<double>(c.golden_windows),
                statistics->profiles[0].golden_entries, 1e-9);
    // The generator's indexer knows something, and golden entries are easier than mere selections.
    const IndexerEvidence golden = EvidenceOf(c.golden, {0.5});
    const IndexerEvidence selected = EvidenceOf(c.selected, {0.5});
    EXPECT_GT(golden.thresholds[0].recall, selected.thresholds[0].recall);
    EXPECT_GT(golden.auc, 0.5);
  }
}

}  // namespace
}  // namespace tierscope
