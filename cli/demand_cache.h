// What a trace demands under a spec (sim/demand), kept in the cache folder: distilling takes as
// long as the simulation of an hour, reading the demand back a hundredth of that.
#ifndef TIERSCOPE_CLI_DEMAND_CACHE_H_
#define TIERSCOPE_CLI_DEMAND_CACHE_H_

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

#include "sim/demand/distil.h"

namespace tierscope::cli {

// As DistilTrace, from `folder` or distilled and left there. The trace is known by the digest in
// its index; of one whose demand is kept the frames are read against their digests and not
// decompressed, so that a damaged trace is refused as ever. A kept file that is damaged, or not of
// this trace, spec and version, is made anew. Demand of policies that fetch entries is not kept.
absl::StatusOr<WindowDemand> DemandOf(const std::string& path, const DemandSpec& spec,
                                      const std::filesystem::path& folder);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_DEMAND_CACHE_H_
