// Sum of the calibrated kernels of one decode step: what depends on the batch alone is tabulated
// when the object is made, what depends on contexts is computed per call. Immutable; thread-safe.
//
// engine.dp_attention = D > 1 splits a step: attention, its projections and glue of a group's own
// requests, on tensor_parallel / D ranks (RankNs); experts, dense MLPs and the head over all
// groups' requests, on all ranks (JointNs). The two all-reduces of a layer become one over a group,
// where it has several ranks, and an all-gather and a reduce-scatter over all ranks, which together
// move what an all-reduce does and are timed as one (no table has them). Source of the layout:
// SGLang's
// --enable-dp-attention, vLLM's data_parallel_deployment.md.
//
// engine.expert_parallel = E > 1: ranks form E groups, each with every E-th expert by popularity,
// cut over tensor_parallel / E ranks. The layer waits for the group with the most popular experts,
// in expectation over tokens; how a single step scatters around that is not modelled. With D > 1
// the gather becomes an all-to-all: a rank sends a token to the groups of its experts and gets it
// back, at the all-reduce's ring rate and floor (an assumption: no table has it).
//
// engine.mtp with k drafts: every request has 1 + k query tokens, so products and collectives run
// on that many tokens, each with its own top-k and attention; index keys are read once. Each draft
// is one more SWA layer with experts and the head, one token a request. Source: DeepSeek-V3's MTP
// module.
#ifndef TIERSCOPE_SIM_MODEL_LAYER_KERNELS_H_
#define TIERSCOPE_SIM_MODEL_LAYER_KERNELS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/model/kernel_model.h"

namespace tierscope {

class LayerKernels {
 public:
  // The scenario has hardware.step_model.kernels and the model's shapes.
  explicit LayerKernels(const Scenario& scenario);

  // Kernels of a step whose dense part runs at `padded` requests and whose attention serves
  // `requests`, over which entries and tokens are spread evenly. Nanoseconds.
  double StepNs(int32_t padded, int32_t requests, double scored_entries,
                double context_tokens) const;

  // With dp_attention: of a group's own requests, and of the batch of all groups.
  double RankNs(int32_t padded, int32_t requests, double scored_entries,
                double context_tokens) const;
  double JointNs(int32_t padded) const;

  // Memory indexer over `entries` of every target layer.
  double Level1Ns(double entries) const;

  // Time by family, summing to StepNs, for reports.
  struct Part {
    std::string name;
    double ns = 0.0;
  };
  std::vector<Part> Parts(int32_t padded, int32_t requests, double scored_entries,
                          double context_tokens) const;

 private:
  struct DensePart {  // of one step
    double projections_ns = 0.0;
    double experts_ns = 0.0;
    double all_reduce_ns = 0.0;    // over all ranks
    double group_reduce_ns = 0.0;  // over those of a dp_attention group
    double glue_ns = 0.0;
    double head_ns = 0.0;
    double total_ns() const {
      return projections_ns + experts_ns + all_reduce_ns + glue_ns + head_ns;
    }
    double group_ns() const { return projections_ns + group_reduce_ns + glue_ns; }
    double joint_ns() const { return experts_ns + all_reduce_ns + head_ns; }
  };
  struct LayerCounts {
    double csa = 0.0, hca = 0.0, swa = 0.0, dense_mlps = 0.0;
    double all() const { return csa + hca + swa; }
  };
  DensePart Dense(int32_t batch) const;
  DensePart Layers(const LayerCounts& layers, double tokens) const;
  double ExpertsNs(double tokens) const;
  double CollectivesNs(double tokens) const;
  double AttentionGroupNs(double tokens) const;
  double AllToAllNs(double tokens) const;
  double AttentionPartNs(int32_t requests, double scored_entries, double context_tokens,
                         double ns) const;
  double DraftAttentionNs(double requests) const;
  double ScoringNsOf(double requests, double entries) const;

  KernelCalibration kernels_;
  Model model_;
  CardRates rates_;
  TopKKernel top_k_;
  int32_t tensor_parallel_;
  int32_t attention_ranks_;  // of a dp_attention group
  int32_t expert_groups_;
  double drafts_;   // of a request and step
  double queries_;  // query tokens of a request and step
  bool collects_;   // false: one rank alone, without collectives
  double expert_alpha_;
  double attention_copies_;  // 64-head kernels that a query token's heads take
  double window_blocks_;
  double hca_blocks_per_token_;
  // By batch: all dense parts, or with dp_attention a group's and the joint ones.
  std::vector<double> dense_ns_;
  std::vector<double> joint_ns_;
};

// The calibrated top-k kernel of that version and distribution whose k is nearest to the model's.
// Precondition: there is one of them.
const TopKKernel& ChooseTopK(const StepModel& step_model, int32_t top_k);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_LAYER_KERNELS_H_
