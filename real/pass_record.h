// What one pass over a scenario leaves behind: plain data, filled by the executor, read by
// everything that reports. Times in ns since the begin of the first step.
#ifndef TIERSCOPE_REAL_PASS_RECORD_H_
#define TIERSCOPE_REAL_PASS_RECORD_H_

#include <array>
#include <cstdint>
#include <vector>

#include "real/backend.h"
#include "real/decode_step.h"
#include "real/side_band.h"
#include "reports/schema/phase_log.h"
#include "sim/demand/demand.h"

namespace tierscope {

// Causes of a wait of the decode stream.
inline constexpr Phase kWaitPhases[] = {Phase::kWaitIndex, Phase::kWaitQueue, Phase::kWaitTransfer,
                                        Phase::kWaitJoin, Phase::kWaitAdmission};

struct StepRecord {
  int64_t begin_ns = 0;
  int64_t duration_ns = 0;  // waits before it included
  int32_t batch = 0;
  int64_t active_pages = 0;
  int64_t context_tokens = 0;
  std::array<int64_t, std::size(kWaitPhases)> wait_ns = {};
  int64_t wait_begin_ns = 0;
  KernelTimes kernels;  // zero in a pass without profiling
};

struct JobRecord {
  Job job;                    // times since the begin of the first step
  int64_t published_ns = -1;  // when the decode stream took it
  int64_t publish_step = -1;  // first batch step that decodes with it
  bool joined = false;        // a due tick waited for it
};

// The set that a request decodes with from an own step on.
struct ActiveSet {
  int64_t from_step = 0;
  std::vector<PageIndex> pages;  // rising; those formed since the tick included
  std::vector<PageIndex> lost;   // of them, without a block any more; rising
};

struct RequestRecord {
  int64_t first_token_ns = 0;
  int64_t end_ns = 0;
  int64_t step_offset = 0;  // of its own step 1 and all behind it: batch step - own step
  int64_t end_step = 0;     // batch steps when it finished
  std::vector<ActiveSet> sets;
};

struct PassRecord {
  std::vector<StepRecord> steps;
  std::vector<JobRecord> jobs;
  std::vector<RequestRecord> requests;
  std::vector<WritebackSpan> writebacks;
  int64_t pages_evicted_for_growth = 0;  // after the warm-up
  int32_t blocks_peak = 0;
  int64_t end_ns = 0;

  int64_t decode_ns() const {
    return steps.empty() ? 0 : steps.back().begin_ns + steps.back().duration_ns;
  }
};

// The rows of phases.csv, by step and tick; of a pass without profiling those of whole steps, waits
// and jobs.
std::vector<PhaseSpan> PhaseSpansOf(const PassRecord& pass, int64_t page_bytes,
                                    int64_t key_bytes_per_entry);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_PASS_RECORD_H_
