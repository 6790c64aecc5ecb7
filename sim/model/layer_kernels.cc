#include "sim/model/layer_kernels.h"

#include <algorithm>
#include <cstdlib>

#include "sim/base/check.h"
#include "sim/model/layer_work.h"

namespace tierscope {
namespace {

constexpr int32_t kTabulatedMin = 1024;  // batches that are tabulated whatever the graphs are
constexpr double kHeadsPerKernel = 64.0;
constexpr double kBlockEntries = 64.0;
constexpr double kBf16Bytes = 2.0;
constexpr double kFp8 = 1.0;

int32_t TabulatedMax(const Engine& engine) {
  const int graphs = engine.graph_batch_sizes_size();
  return graphs == 0 ? kTabulatedMin
                     : std::max(kTabulatedMin, engine.graph_batch_sizes(graphs - 1));
}

}  // namespace

const TopKKernel& ChooseTopK(const StepModel& step_model, int32_t top_k) {
  const TopKKernel* best = nullptr;
  for (const TopKKernel& kernel : step_model.kernels().top_k()) {
    if (kernel.version() != step_model.topk_version() ||
        kernel.scores() != step_model.topk_scores()) {
      continue;
    }
    if (best == nullptr || std::abs(kernel.k() - top_k) < std::abs(best->k() - top_k)) {
      best = &kernel;
    }
  }
  TIERSCOPE_CHECK(best != nullptr);
  return *best;
}

LayerKernels::LayerKernels(const Scenario& scenario)
    : kernels_(scenario.hardware().step_model().kernels()),
      model_(scenario.model()),
      rates_(RatesOf(scenario.hardware(), kernels_.sm_count())),
      top_k_(ChooseTopK(scenario.hardware().step_model(), model_.top_k())),
      tensor_parallel_(scenario.engine().tensor_parallel()),
      reducing_ranks_(scenario.engine().executed_ranks() == 1 ? 1 : tensor_parallel_),
      expert_alpha_(scenario.engine().executed_ranks() == 1
                        ? 0.0
                        : scenario.hardware().step_model().expert_alpha()),
      attention_copies_(std::max(
          1.0, static_cast<double>(model_.query_heads()) / tensor_parallel_ / kHeadsPerKernel)),
      window_blocks_(WindowBlocks(model_.window_tokens())),
      hca_blocks_per_token_(1.0 / (model_.hca_tokens_per_entry() * kBlockEntries)) {
  top_k_.set_k(model_.top_k());
  const int32_t batch_max = TabulatedMax(scenario.engine());
  dense_ns_.reserve(static_cast<size_t>(batch_max) + 1);
  for (int32_t batch = 0; batch <= batch_max; ++batch) {
    dense_ns_.push_back(batch == 0 ? 0.0 : Dense(batch).total_ns());
  }
}

LayerKernels::DensePart LayerKernels::Dense(int32_t batch) const {
  const double b = batch;
  const double csa = model_.csa_layers(), hca = model_.hca_layers(), swa = model_.swa_layers();
  const double layers = csa + hca + swa;
  const double dense_mlps = model_.dense_layers();
  const auto projections = [&](LayerKind kind) {
    return GemmsNs(kernels_, AttentionGemms(model_, kind, tensor_parallel_, b, kFp8), rates_);
  };
  DensePart part;
  part.projections_ns = csa * projections(LayerKind::kCsa) + hca * projections(LayerKind::kHca) +
                        swa * projections(LayerKind::kSwa);
  // A layer without an indexer costs an HCA layer's glue.
  part.glue_ns =
      csa * GlueNs(kernels_.csa_layer(), b) + (hca + swa) * GlueNs(kernels_.hca_layer(), b);
  const double touched =
      ExpertsTouched(b, model_.experts(), model_.experts_per_token(), expert_alpha_);
  part.experts_ns =
      (layers - dense_mlps) *
      (MoeNs(kernels_.moe(), RoutedExperts(model_, tensor_parallel_, b, touched), rates_) +
       GemmsNs(kernels_, SharedExpertGemms(model_, tensor_parallel_, b), rates_));
  if (dense_mlps > 0.0) {
    part.experts_ns +=
        dense_mlps * GemmsNs(kernels_, DenseMlpGemms(model_, tensor_parallel_, b), rates_);
  }
  part.all_reduce_ns =
      2.0 * layers *
      AllReduceNs(kernels_.all_reduce(), reducing_ranks_, b * model_.hidden_size() * kBf16Bytes);
  part.head_ns = GemmsNs(kernels_, {HeadGemm(model_, tensor_parallel_, b)}, rates_);
  return part;
}

double LayerKernels::ScoringNsOf(double requests, double entries) const {
  ScoringWork work;
  work.queries = requests;
  work.entries = entries;
  work.key_bytes = entries * static_cast<double>(model_.index_key_bytes());
  work.heads_x_dim = model_.index_heads() * (2.0 * model_.index_head_dim() + 2.0);
  return ScoringNs(kernels_.scoring(), work, rates_);
}

std::vector<LayerKernels::Part> LayerKernels::Parts(int32_t padded, int32_t requests,
                                                    double scored_entries,
                                                    double context_tokens) const {
  const double n = requests;
  const double entries = scored_entries / n;
  const double attended = std::min(entries, static_cast<double>(model_.top_k()));
  const double copies = attention_copies_ * n;
  const auto attention = [&](double blocks) {
    return AttentionNs(kernels_.attention(), copies, blocks, rates_);
  };
  const DensePart dense = Dense(padded);
  return {
      {"projections", dense.projections_ns},
      {"experts", dense.experts_ns},
      {"all-reduce", dense.all_reduce_ns},
      {"glue", dense.glue_ns},
      {"head", dense.head_ns},
      {"scoring", model_.csa_layers() * ScoringNsOf(n, scored_entries)},
      {"top-k", model_.csa_layers() * TopKNs(top_k_, n, entries, rates_)},
      {"CSA attention", model_.csa_layers() * attention(window_blocks_ + attended / kBlockEntries)},
      {"HCA attention", model_.hca_layers() *
                            attention(window_blocks_ + context_tokens / n * hca_blocks_per_token_)},
      {"SWA attention", model_.swa_layers() * attention(std::max(1.0, window_blocks_))}};
}

StepParts LayerKernels::PhasesOf(int32_t padded, int32_t requests, double scored_entries,
                                 double context_tokens) const {
  StepParts phases;
  if (requests <= 0) return phases;
  for (const Part& part : Parts(padded, requests, scored_entries, context_tokens)) {
    double* phase = part.name == "scoring"         ? &phases.native_score_ns
                    : part.name == "top-k"         ? &phases.native_top_k_ns
                    : part.name == "CSA attention" ? &phases.csa_attention_ns
                    : part.name == "HCA attention" ? &phases.hca_attention_ns
                    : part.name == "SWA attention" ? &phases.swa_attention_ns
                                                   : &phases.ballast_ns;
    *phase += part.ns;
  }
  return phases;
}

double LayerKernels::StepNs(int32_t padded, int32_t requests, double scored_entries,
                            double context_tokens) const {
  if (requests <= 0) return 0.0;
  const double n = requests;
  const double entries = scored_entries / n;
  const double attended = std::min(entries, static_cast<double>(model_.top_k()));
  const double copies = attention_copies_ * n;
  const AttentionKernel& attention = kernels_.attention();
  double ns = static_cast<size_t>(padded) < dense_ns_.size()
                  ? dense_ns_[static_cast<size_t>(padded)]
                  : Dense(padded).total_ns();
  ns += model_.csa_layers() *
        (ScoringNsOf(n, scored_entries) + TopKNs(top_k_, n, entries, rates_) +
         AttentionNs(attention, copies, window_blocks_ + attended / kBlockEntries, rates_));
  if (model_.hca_layers() > 0) {
    ns += model_.hca_layers() *
          AttentionNs(attention, copies,
                      window_blocks_ + context_tokens / n * hca_blocks_per_token_, rates_);
  }
  if (model_.swa_layers() > 0) {
    ns +=
        model_.swa_layers() * AttentionNs(attention, copies, std::max(1.0, window_blocks_), rates_);
  }
  return ns;
}

double LayerKernels::Level1Ns(double entries) const {
  ScoringWork work;
  work.entries = entries;
  work.key_bytes = entries * static_cast<double>(model_.index_key_bytes());
  work.heads_x_dim = model_.memory_index_heads() * 2.0 * model_.memory_index_head_dim();
  return model_.target_layers() * ScoringNs(kernels_.scoring(), work, rates_);
}

}  // namespace tierscope
