// Time of one decode step and of one level-1 job, on one rank.
//
//   step = base + per_request * batch + kernels
//
// With calibrated kernels (StepModel.kernels) the last term is the sum over the layers of each
// kernel's time (kernel_model.h, layer_work.h):
//   every layer   projections, glue (norms, rope, compressor, writes), all-reduce twice; router,
//   shared
//                 and routed experts by the number that the batch touches, or a dense MLP
//   CSA           scoring and top-k of the resident entries, attention over top_k + window
//   HCA           attention over context / hca_tokens_per_entry + window
//   SWA           attention over the window
//   once          output head
// Launch gaps inside a CUDA graph are in the kernels' floors; base and per_request are what the
// serving engine adds (scheduler, sampling, launches), fitted to published rates:
// StepModel.fitted_to.
//
// Without them, for a card that nobody calibrated, base and per_request hold all but three
// rooflines, each max(flop / (efficiency * peak), bytes / (efficiency * bandwidth)):
//   scoring  flop = csa_layers * index_heads * (2 * index_head_dim + 2) per scored entry (FP8)
//            bytes = csa_layers * index_key_bytes per scored entry
//   HCA      flop = hca_layers * query_heads * 4 * head_dim per entry (BF16; QK and PV)
//            bytes = hca_layers * kv_entry_bytes per entry
//   CSA      the same per entry over csa_layers, top_k + window_tokens entries a request
//   level 1  flop = target_layers * memory_index_heads * 2 * memory_index_head_dim per entry (FP8)
//            bytes = target_layers * index_key_bytes per entry
// Where a device was measured (Hardware.measured_ops), its ops give all of it: measured_ops.h.
// KV, indexing and attention are replicated on every tensor-parallel rank, so none of these terms
// shrinks with it.
#ifndef TIERSCOPE_SIM_MODEL_STEP_MODEL_H_
#define TIERSCOPE_SIM_MODEL_STEP_MODEL_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/base/time.h"
#include "sim/model/layer_kernels.h"
#include "sim/model/measured_ops.h"
#include "sim/model/step_work.h"

namespace tierscope {

class StepTimeModel {
 public:
  // The scenario is resolved and valid.
  explicit StepTimeModel(const Scenario& scenario);

  // Time of a step, the batch padded to the next captured CUDA-graph size. Requests of one batch
  // count as equally long. Cost: tests/bench/step_bench.cc.
  SimDuration Step(const BatchWork& work) const;
  // The same by part, in nanoseconds, summing to Step before it is rounded: what the serving engine
  // adds, then the kernel families. Empty where nobody decodes.
  std::vector<LayerKernels::Part> Parts(const BatchWork& work) const;
  // The same by phase. Not for the event loop: calibrated kernels that Step tabulates are computed
  // here.
  StepParts Phases(const BatchWork& work) const;

  // With dp_attention a step = joint part + the longest of its groups' parts. A group's: attention
  // of its own requests, and per_request where kernels are calibrated, since each rank has a
  // scheduler of its own. The joint part: base and all else over `requests` of all groups; with
  // captured graphs every rank runs the one of the fullest group's `requests_max`. Without kernels
  // per_request stands for dense products and counts all requests.
  SimDuration GroupPart(const BatchWork& work) const;
  SimDuration JointPart(int32_t requests, int32_t requests_max) const;

  // Compute of one level-1 job over the histories of its requests: launch (none where the policy
  // has a level1_fixed_ms), scoring, selection. scores = false: the policy has no indexer and only
  // the launch, or the measured selection, remains.
  SimDuration Level1(const Level1Work& work, bool scores) const;
  Level1Parts PartsOfLevel1(const Level1Work& work, bool scores) const;

  // Measured time to publish `pages` pages of `requests` requests; 0 without measured ops.
  SimDuration Publish(int64_t pages, int32_t requests) const;

  // False where a measured op is asked for outside the grid that it was measured on.
  bool Covers(const BatchWork& work) const { return !measured_ || measured_->Covers(work); }
  bool Covers(const Level1Work& work) const { return !measured_ || measured_->Covers(work); }

  // What a job takes besides, on the host: Policy.level1_fixed_ms, 0 where unset.
  SimDuration Level1Fixed() const { return level1_fixed_; }

  // HBM time that writing `bytes` of recalled pages takes.
  SimDuration HbmWrite(int64_t bytes) const;

  // Logical work in flop: what one replica computes, tensor-parallel replication left out. With mtp
  // verified tokens count whole and a draft as one layer of the model's (an assumption).
  double StepFlop(const BatchWork& work) const;
  double Level1Flop(int64_t entries) const;
  // Flop of a step that every tensor-parallel rank repeats.
  double ReplicatedStepFlop(const BatchWork& work) const;

 private:
  // Cost of one unit (an entry, a request) in nanoseconds on either roof.
  struct Roof {
    double flop = 0.0;
    double compute_ns = 0.0;
    double memory_ns = 0.0;
    double Time(double units) const;
  };
  static Roof MakeRoof(double flop, double flop_per_s, double bytes, double bytes_per_s);
  int32_t PaddedBatch(int32_t requests) const;
  double RooflinesNs(const BatchWork& work) const;

  double base_ns_;
  double per_request_ns_;
  double level1_launch_ns_;
  SimDuration level1_fixed_;
  double hbm_bytes_per_ns_;
  int32_t groups_;  // of dp_attention
  double queries_;  // query tokens of a request and step
  double constant_flop_per_request_;
  double hca_entries_per_token_;
  double csa_entries_per_request_;
  Roof scoring_, hca_, csa_, level1_;
  std::optional<LayerKernels> kernels_;
  std::optional<MeasuredOpModel> measured_;
  std::vector<int32_t> graph_batch_sizes_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_STEP_MODEL_H_
