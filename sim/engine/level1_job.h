// The level-1 job in flight: score, select, recall, publish.
#ifndef TIERSCOPE_SIM_ENGINE_LEVEL1_JOB_H_
#define TIERSCOPE_SIM_ENGINE_LEVEL1_JOB_H_

#include <cstdint>
#include <vector>

#include "sim/base/time.h"
#include "sim/model/recall_model.h"

namespace tierscope {

// A request's tick, as long as it is still that request.
struct TickRef {
  int32_t slot;
  int32_t generation;
  int64_t window;
  bool first;
};

struct Level1Job {
  bool in_flight = false;
  int64_t number = 0;
  int64_t step = 0;  // after which it was launched
  SimTime launched;
  SimTime computed;  // until here it takes compute from the steps beside it
  SimTime scored;
  SimTime recalled;  // the last page is there
  std::vector<TickRef> ticks;
  int64_t entries = 0;
  int64_t entries_first = 0;  // of first ticks
  int64_t pages = 0;
  int64_t pages_first = 0;
  int64_t pages_wanted = 0;
  RecallWork recall;
  bool on_link = false;  // of the recall, the transfer over the link
  bool landed = false;   // the recall's last byte is in HBM
  SimTime link_begin;
  SimDuration recall_alone;  // from scored to publish on an idle node
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_LEVEL1_JOB_H_
