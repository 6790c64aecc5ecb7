// A demand as bytes and back, for whoever keeps it so that the trace need not be read again. Not a
// format for others: they are the bytes of this version on this kind of machine. Cost: a copy of
// the demand and a multiplication for each eight bytes of it.
#ifndef TIERSCOPE_SIM_DEMAND_DEMAND_BYTES_H_
#define TIERSCOPE_SIM_DEMAND_DEMAND_BYTES_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

#include "sim/demand/demand.h"

namespace tierscope {

// Everything but trace_name, sealed by a digest together with `key`, which says what the demand is
// of. Precondition: no hot_buffers.
std::string DemandBytes(const WindowDemand& demand, absl::string_view key);
// Nothing where the bytes are not whole and undamaged, are of another key, or are no demand (an
// index out of its array, an array of another length than the counts say).
std::optional<WindowDemand> ParseDemandBytes(absl::string_view bytes, absl::string_view key);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_DEMAND_DEMAND_BYTES_H_
