// What depends on the machine that ran tierscope and so stays out of result.json: host.json.
// Plain values; filled by the command line, written by result_json.h.
#ifndef TIERSCOPE_REPORTS_HOST_RESULT_H_
#define TIERSCOPE_REPORTS_HOST_RESULT_H_

#include <cstdint>
#include <string>

#include "reports/schema/result.pb.h"

namespace tierscope {

// A value that is not finite is written as null: not measured.
struct HostResult {
  // The whole process: loading, distilling, simulating and writing the run folder, but for what
  // shows this figure (report.html, host.json); without generation.
  double sim_wall_s = 0;
  double sim_speedup = 0;       // simulated_s / sim_wall_s
  int64_t sim_events = 0;       // events taken from the queue
  double sim_events_per_s = 0;  // sim_events / time in the event loop
  double generate_wall_s = 0;   // making the attention trace, 0 when it was there
  double load_wall_s = 0;
  double distil_wall_s = 0;
  int64_t peak_rss_bytes = 0;
  std::string build_type;  // "Release"
  std::string cpu;         // model name
};

// One run as every writer takes it.
struct RunReport {
  RunResult result;
  HostResult host;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_HOST_RESULT_H_
