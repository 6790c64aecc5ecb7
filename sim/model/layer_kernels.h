// Sum of the calibrated kernels of one decode step: what depends on the batch alone is tabulated
// when the object is made, what depends on contexts is computed per call. Immutable; thread-safe.
#ifndef TIERSCOPE_SIM_MODEL_LAYER_KERNELS_H_
#define TIERSCOPE_SIM_MODEL_LAYER_KERNELS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/model/kernel_model.h"
#include "sim/model/step_work.h"

namespace tierscope {

class LayerKernels {
 public:
  // The scenario has hardware.step_model.kernels and the model's shapes.
  explicit LayerKernels(const Scenario& scenario);

  // Kernels of a step whose dense part runs at `padded` requests and whose attention serves
  // `requests`, over which entries and tokens are spread evenly. Nanoseconds.
  double StepNs(int32_t padded, int32_t requests, double scored_entries,
                double context_tokens) const;

  // Memory indexer over `entries` of every target layer.
  double Level1Ns(double entries) const;

  // Time by family, summing to StepNs, for reports.
  struct Part {
    std::string name;
    double ns = 0.0;
  };
  std::vector<Part> Parts(int32_t padded, int32_t requests, double scored_entries,
                          double context_tokens) const;
  // The same by phase, without the engine's.
  StepParts PhasesOf(int32_t padded, int32_t requests, double scored_entries,
                     double context_tokens) const;

 private:
  struct DensePart {  // of one step
    double projections_ns = 0.0;
    double experts_ns = 0.0;
    double all_reduce_ns = 0.0;
    double glue_ns = 0.0;
    double head_ns = 0.0;
    double total_ns() const {
      return projections_ns + experts_ns + all_reduce_ns + glue_ns + head_ns;
    }
  };
  DensePart Dense(int32_t batch) const;
  double ScoringNsOf(double requests, double entries) const;

  KernelCalibration kernels_;
  Model model_;
  CardRates rates_;
  TopKKernel top_k_;
  int32_t tensor_parallel_;
  int32_t reducing_ranks_;  // 1: nothing is reduced
  double expert_alpha_;
  double attention_copies_;  // 64-head kernels that a request's heads take
  double window_blocks_;
  double hca_blocks_per_token_;
  std::vector<double> dense_ns_;  // by batch
};

// The calibrated top-k kernel of that version and distribution whose k is nearest to the model's.
// Precondition: there is one of them.
const TopKKernel& ChooseTopK(const StepModel& step_model, int32_t top_k);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_LAYER_KERNELS_H_
