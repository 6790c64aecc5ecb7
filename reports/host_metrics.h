// The numbers of host.json as metrics that were measured.
#ifndef TIERSCOPE_REPORTS_HOST_METRICS_H_
#define TIERSCOPE_REPORTS_HOST_METRICS_H_

#include "absl/strings/string_view.h"

namespace tierscope {

struct HostMetricDef {
  absl::string_view name;  // the key in host.json
  absl::string_view unit;
};

inline constexpr HostMetricDef kHostMetrics[] = {
    {"sim_wall_s", "s"},      {"sim_speedup", "x"},
    {"sim_events", "events"}, {"sim_events_per_s", "events/s"},
    {"generate_wall_s", "s"}, {"load_wall_s", "s"},
    {"distil_wall_s", "s"},   {"peak_rss_bytes", "bytes"},
};

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_HOST_METRICS_H_
