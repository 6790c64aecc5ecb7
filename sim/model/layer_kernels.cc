#include "sim/model/layer_kernels.h"

#include <algorithm>
#include <cstdlib>

#include "sim/base/check.h"
#include "sim/base/det_math.h"
#include "sim/model/layer_work.h"

namespace tierscope {
namespace {

constexpr int32_t kTabulatedMost = 1024;  // batches that are tabulated where graphs end below
constexpr double kHeadsPerKernel = 64.0;
constexpr double kBlockEntries = 64.0;
constexpr double kBf16Bytes = 2.0;
constexpr double kFp8 = 1.0;

// The largest batch, padded, that requests in the system can make; no more than a table is worth.
int32_t TabulatedMax(const Scenario& scenario) {
  const auto& graphs = scenario.engine().graph_batch_sizes();
  const int64_t most = graphs.empty() ? kTabulatedMost : std::max(kTabulatedMost, *graphs.rbegin());
  int64_t batch = most;
  for (const int64_t limit :
       {int64_t{scenario.workload().concurrency()}, scenario.workload().request_limit()}) {
    if (limit > 0) batch = std::min(batch, limit);
  }
  const auto graph = std::lower_bound(graphs.begin(), graphs.end(), batch);
  if (graph != graphs.end()) batch = *graph;
  return static_cast<int32_t>(std::min(most, batch * scenario.engine().dp_attention()));
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
      attention_ranks_(tensor_parallel_ / scenario.engine().dp_attention()),
      expert_groups_(scenario.engine().expert_parallel()),
      drafts_(scenario.engine().mtp().draft_tokens()),
      queries_(1.0 + drafts_),
      collects_(scenario.engine().executed_ranks() != 1),
      expert_alpha_(collects_ ? scenario.hardware().step_model().expert_alpha() : 0.0),
      attention_copies_(std::max(
          1.0, static_cast<double>(model_.query_heads()) / attention_ranks_ / kHeadsPerKernel)),
      window_blocks_(WindowBlocks(model_.window_tokens())),
      hca_blocks_per_token_(1.0 / (model_.hca_tokens_per_entry() * kBlockEntries)) {
  top_k_.set_k(model_.top_k());
  const int32_t batch_max = TabulatedMax(scenario);
  dense_ns_.reserve(static_cast<size_t>(batch_max) + 1);
  const bool split = attention_ranks_ < tensor_parallel_;
  for (int32_t batch = 0; batch <= batch_max; ++batch) {
    const DensePart dense = batch == 0 ? DensePart() : Dense(batch);
    dense_ns_.push_back(split ? dense.group_ns() : dense.total_ns());
    if (split) joint_ns_.push_back(dense.joint_ns());
  }
}

// The verified tokens of `batch` requests, and the drafts of the next step.
LayerKernels::DensePart LayerKernels::Dense(int32_t batch) const {
  const LayerCounts all = {
      static_cast<double>(model_.csa_layers()), static_cast<double>(model_.hca_layers()),
      static_cast<double>(model_.swa_layers()), static_cast<double>(model_.dense_layers())};
  DensePart part = Layers(all, batch * queries_);
  if (drafts_ == 0.0) return part;
  const DensePart draft = Layers({.swa = 1.0}, batch);
  part.projections_ns += drafts_ * draft.projections_ns;
  part.experts_ns += drafts_ * draft.experts_ns;
  part.all_reduce_ns += drafts_ * draft.all_reduce_ns;
  part.group_reduce_ns += drafts_ * draft.group_reduce_ns;
  part.glue_ns += drafts_ * draft.glue_ns;
  part.head_ns += drafts_ * draft.head_ns;
  return part;
}

LayerKernels::DensePart LayerKernels::Layers(const LayerCounts& layers, double tokens) const {
  const auto projections = [&](LayerKind kind) {
    return GemmsNs(kernels_, AttentionGemms(model_, kind, attention_ranks_, tokens, kFp8), rates_);
  };
  DensePart part;
  part.projections_ns = layers.csa * projections(LayerKind::kCsa) +
                        layers.hca * projections(LayerKind::kHca) +
                        layers.swa * projections(LayerKind::kSwa);
  // A layer without an indexer costs an HCA layer's glue.
  part.glue_ns = layers.csa * GlueNs(kernels_.csa_layer(), tokens) +
                 (layers.hca + layers.swa) * GlueNs(kernels_.hca_layer(), tokens);
  part.experts_ns =
      (layers.all() - layers.dense_mlps) *
      (ExpertsNs(tokens) +
       GemmsNs(kernels_, SharedExpertGemms(model_, tensor_parallel_, tokens), rates_));
  if (layers.dense_mlps > 0.0) {
    part.experts_ns += layers.dense_mlps *
                       GemmsNs(kernels_, DenseMlpGemms(model_, tensor_parallel_, tokens), rates_);
  }
  part.all_reduce_ns = CollectivesNs(tokens) * layers.all();
  part.group_reduce_ns = AttentionGroupNs(tokens) * layers.all();
  part.head_ns = GemmsNs(kernels_, {HeadGemm(model_, tensor_parallel_, tokens)}, rates_);
  return part;
}

double LayerKernels::ExpertsNs(double tokens) const {
  const double touched =
      ExpertsTouched(tokens, model_.experts(), model_.experts_per_token(), expert_alpha_);
  MoeWork work = RoutedExperts(model_, tensor_parallel_, tokens, touched);
  if (expert_groups_ > 1) {
    const ExpertShare share = BusiestExpertGroup(
        tokens, model_.experts(), model_.experts_per_token(), expert_alpha_, expert_groups_);
    work.rows = share.rows;
    work.touched = share.touched;
    work.weights *= expert_groups_;
  }
  return MoeNs(kernels_.moe(), work, rates_);
}

// Of one layer, over all ranks.
double LayerKernels::CollectivesNs(double tokens) const {
  if (!collects_) return 0.0;
  const double bytes = tokens * model_.hidden_size() * kBf16Bytes;
  if (attention_ranks_ == tensor_parallel_) {
    return 2.0 * AllReduceNs(kernels_.all_reduce(), tensor_parallel_, bytes);
  }
  return expert_groups_ > 1 ? AllToAllNs(tokens)
                            : AllReduceNs(kernels_.all_reduce(), tensor_parallel_, bytes);
}

// Of one layer, over the ranks of a dp_attention group, 0 where that is one.
double LayerKernels::AttentionGroupNs(double tokens) const {
  if (attention_ranks_ == tensor_parallel_) return 0.0;
  return AllReduceNs(kernels_.all_reduce(), attention_ranks_,
                     tokens * model_.hidden_size() * kBf16Bytes);
}

// Tokens go to the groups of their experts in FP8 and come back in BF16. A rank receives those that
// chose an expert of its group, each expert in a random one, and that it does not own already.
double LayerKernels::AllToAllNs(double tokens) const {
  const double groups = expert_groups_;
  const double chosen = 1.0 - DetPow(1.0 - 1.0 / groups, model_.experts_per_token());
  const double received = tokens * chosen * (1.0 - 1.0 / groups) * model_.hidden_size();
  const AllReduceKernel& link = kernels_.all_reduce();
  return 2.0 * link.ring_floor_us() * 1e3 + received * (kFp8 + kBf16Bytes) / link.ring_gb_per_s();
}

double LayerKernels::ScoringNsOf(double requests, double entries) const {
  ScoringWork work;
  work.queries = requests * queries_;
  work.entries = entries * queries_;
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
  const double copies = attention_copies_ * n * queries_;
  const auto attention = [&](double blocks) {
    return AttentionNs(kernels_.attention(), copies, blocks, rates_);
  };
  const DensePart dense = Dense(padded);
  return {
      {"projections", dense.projections_ns},
      {"experts", dense.experts_ns},
      {"all-reduce", dense.all_reduce_ns + dense.group_reduce_ns},
      {"glue", dense.glue_ns},
      {"head", dense.head_ns},
      {"scoring", model_.csa_layers() * ScoringNsOf(n, scored_entries)},
      {"top-k", model_.csa_layers() * TopKNs(top_k_, n * queries_, entries, rates_)},
      {"CSA attention", model_.csa_layers() * attention(window_blocks_ + attended / kBlockEntries)},
      {"HCA attention", model_.hca_layers() *
                            attention(window_blocks_ + context_tokens / n * hca_blocks_per_token_)},
      {"SWA attention",
       model_.swa_layers() * attention(std::max(1.0, window_blocks_)) + DraftAttentionNs(n)}};
}

double LayerKernels::StepNs(int32_t padded, int32_t requests, double scored_entries,
                            double context_tokens) const {
  if (requests <= 0) return 0.0;
  const double dense_ns = static_cast<size_t>(padded) < dense_ns_.size()
                              ? dense_ns_[static_cast<size_t>(padded)]
                              : Dense(padded).total_ns();
  return AttentionPartNs(requests, scored_entries, context_tokens, dense_ns);
}

double LayerKernels::RankNs(int32_t padded, int32_t requests, double scored_entries,
                            double context_tokens) const {
  const double dense_ns = static_cast<size_t>(padded) < dense_ns_.size()
                              ? dense_ns_[static_cast<size_t>(padded)]
                              : Dense(padded).group_ns();
  return requests <= 0 ? dense_ns
                       : AttentionPartNs(requests, scored_entries, context_tokens, dense_ns);
}

double LayerKernels::JointNs(int32_t padded) const {
  return static_cast<size_t>(padded) < joint_ns_.size() ? joint_ns_[static_cast<size_t>(padded)]
                                                        : Dense(padded).joint_ns();
}

double LayerKernels::DraftAttentionNs(double requests) const {
  if (drafts_ == 0.0) return 0.0;
  return drafts_ * AttentionNs(kernels_.attention(), attention_copies_ * requests,
                               std::max(1.0, window_blocks_), rates_);
}

// Scoring, top-k and attention of `requests`, added to `ns`.
double LayerKernels::AttentionPartNs(int32_t requests, double scored_entries, double context_tokens,
                                     double ns) const {
  const double n = requests;
  const double entries = scored_entries / n;
  const double attended = std::min(entries, static_cast<double>(model_.top_k()));
  const double copies = attention_copies_ * n * queries_;
  const AttentionKernel& attention = kernels_.attention();
  ns += model_.csa_layers() *
        (ScoringNsOf(n, scored_entries) + TopKNs(top_k_, n * queries_, entries, rates_) +
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
  return ns + DraftAttentionNs(n);
}

double LayerKernels::Level1Ns(double entries) const {
  ScoringWork work;
  work.entries = entries;
  work.key_bytes = entries * static_cast<double>(model_.index_key_bytes());
  work.heads_x_dim = model_.memory_index_heads() * 2.0 * model_.memory_index_head_dim();
  return model_.target_layers() * ScoringNs(kernels_.scoring(), work, rates_);
}

}  // namespace tierscope
