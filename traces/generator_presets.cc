#include <initializer_list>

#include "absl/strings/str_cat.h"

#include "traces/generator.h"

namespace tierscope {
namespace {

// What each value stands on: traces/trace.proto, traces/README.md.
GeneratorParameters V4Flash() {
  GeneratorParameters p;
  p.set_preset("v4_flash");
  p.set_seed(1);
  p.set_tokens_per_entry(4);
  p.set_csa_layer_count(21);
  p.set_top_k(512);
  for (const int layer : {10, 12, 20}) p.add_target_layers(layer);
  // ESS figure 2 by relative depth, its layer 0 left out: V4's first CSA layer is its third.
  for (const int layers : {6, 6, 6, 3}) p.add_layer_group_layers(layers);
  for (const double overlap : {0.72, 0.56, 0.54, 0.68}) p.add_layer_group_overlap(overlap);
  p.set_layer_overlap(0.85);
  p.set_recency_share(0.3);
  p.set_recency_near_share(0.5);
  p.set_recency_near_entries(40.0);
  p.set_recency_far_entries(600.0);
  p.set_sink_share(0.01);
  p.set_sink_entries(4);
  p.set_pool_entries(7500.0);
  p.set_pool_exponent(0.75);
  p.set_dense_share(0.6);
  p.set_dense_run_entries(96.0);
  p.set_dense_topic_runs(1.5);
  p.set_dense_popularity(2.0);
  p.set_scattered_run_entries(2.0);
  p.set_scattered_topic_runs(24.0);
  p.set_popularity_sigma(0.8);
  p.set_window_churn(0.2);
  p.set_medium_share(0.3);
  p.set_short_share(0.2);
  p.set_kept_fraction(0.125);
  p.set_indexer_midpoint(0.1);
  p.set_indexer_gain(1.0);
  p.set_indexer_noise(1.0);
  p.set_indexer_noise_persistence(0.8);
  p.set_background_slope(0.9);
  p.set_background_persistence(0.9);
  p.set_score_floor(0.25);
  p.set_weight_sigma(2.0);
  p.set_weight_window_stride(16);
  return p;
}

// Models with DeepSeek's sparse attention: every layer selects 2,048 tokens. Pool and returns are
// fitted to HiSparse's miss rates; what nobody has published for such models is carried over from
// v4_flash, the distances of recency and the sink in tokens.
GeneratorParameters Dsa() {
  GeneratorParameters p = V4Flash();
  p.set_tokens_per_entry(1);
  p.set_top_k(2048);
  p.clear_target_layers();
  p.clear_layer_group_layers();
  p.clear_layer_group_overlap();
  p.set_recency_near_entries(160.0);
  p.set_recency_far_entries(2400.0);
  p.set_sink_entries(16);
  p.set_pool_entries(14000.0);
  p.set_pool_exponent(0.25);
  p.set_return_share(0.42);
  p.set_return_distance(0.25);
  return p;
}

// Held to the adjacent-step overlap of ESS figure 2: means over the layers of a band.
GeneratorParameters DsaV32() {
  GeneratorParameters p = Dsa();
  p.set_preset("dsa_v32");
  p.set_csa_layer_count(61);
  for (const int layer : {30, 36, 60}) p.add_target_layers(layer);
  for (const int layers : {1, 17, 34, 9}) p.add_layer_group_layers(layers);
  struct Row {
    int history_entries;
    double overlap[4];
  };
  for (const Row& row : std::initializer_list<Row>{{16 << 10, {0.11, 0.73, 0.58, 0.73}},
                                                   {32 << 10, {0.04, 0.71, 0.49, 0.63}},
                                                   {48 << 10, {0.02, 0.74, 0.59, 0.71}},
                                                   {64 << 10, {0.01, 0.72, 0.53, 0.69}},
                                                   {96 << 10, {0.01, 0.70, 0.50, 0.68}},
                                                   {128 << 10, {0.01, 0.71, 0.50, 0.65}}}) {
    p.add_overlap_history_entries(row.history_entries);
    for (const double overlap : row.overlap) p.add_layer_group_overlap(overlap);
  }
  return p;
}

// Held to the miss rates of HiSparse's hot buffer on GLM-5.1: 30 % at 2,048 slots, 13.4 % at 4,096.
GeneratorParameters DsaGlm51() {
  GeneratorParameters p = Dsa();
  p.set_preset("dsa_glm51");
  p.set_csa_layer_count(78);
  for (const int layer : {38, 46, 77}) p.add_target_layers(layer);
  for (int group = 0; group < 6; ++group) {
    p.add_layer_group_layers(13);
    p.add_layer_group_overlap(0.70);
  }
  return p;
}

}  // namespace

absl::StatusOr<GeneratorParameters> GeneratorPreset(absl::string_view name) {
  if (name == "v4_flash") return V4Flash();
  if (name == "dsa_v32") return DsaV32();
  if (name == "dsa_glm51") return DsaGlm51();
  return absl::InvalidArgumentError(absl::StrCat(
      "generator preset \"", name, "\" is not known; give v4_flash, dsa_v32 or dsa_glm51"));
}

}  // namespace tierscope
