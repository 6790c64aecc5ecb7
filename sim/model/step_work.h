// What a step and a level-1 job have to do, and the parts that their times are made of.
#ifndef TIERSCOPE_SIM_MODEL_STEP_WORK_H_
#define TIERSCOPE_SIM_MODEL_STEP_WORK_H_

#include <cstdint>

namespace tierscope {

// The batch of one step, summed over its requests.
struct BatchWork {
  int32_t requests = 0;
  int64_t scored_entries = 0;  // entries the native indexer scores
  int64_t context_tokens = 0;  // history behind HCA
};

// The histories that one level-1 job scores.
struct Level1Work {
  int32_t requests = 0;
  int64_t entries = 0;  // CSA entries, summed over the requests
};

// Nanoseconds of a step, all layers, by the phases of reports/schema/phase_log.h.
struct StepParts {
  double ballast_ns = 0.0;  // projections, experts, head and what else no history enters
  double native_score_ns = 0.0;
  double native_top_k_ns = 0.0;
  double csa_attention_ns = 0.0;
  double hca_attention_ns = 0.0;
  double swa_attention_ns = 0.0;
  double engine_ns = 0.0;  // what the serving engine adds
  double total_ns() const {
    return ballast_ns + native_score_ns + native_top_k_ns + csa_attention_ns + hca_attention_ns +
           swa_attention_ns + engine_ns;
  }
};

// Nanoseconds of the compute of a level-1 job.
struct Level1Parts {
  double score_ns = 0.0;
  double select_ns = 0.0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_STEP_WORK_H_
