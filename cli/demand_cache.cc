#include "cli/demand_cache.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/kept_file.h"
#include "cli/source_digest.h"

#include "sim/base/digest.h"
#include "sim/base/status_macros.h"
#include "sim/demand/demand_bytes.h"
#include "traces/container.h"

namespace tierscope::cli {
namespace {

// Of all that a demand depends on, the sources that distil it included: no kept file is ever stale.
std::string KeyOf(absl::string_view trace_digest, const DemandSpec& spec) {
  // Every field: one more does not compile.
  const auto& [policy, tau, threshold, kmax, recency, sink, seed, slots, parts, warmup] = spec;
  Digest digest;
  digest.Add(TIERSCOPE_SOURCE_DIGEST);
  digest.Add(trace_digest);
  for (const int64_t value :
       {int64_t{static_cast<int>(policy)}, int64_t{tau}, int64_t{threshold}, int64_t{kmax}, recency,
        sink, static_cast<int64_t>(seed), int64_t{slots}, parts, int64_t{warmup}}) {
    digest.Add(static_cast<uint64_t>(value));
  }
  return digest.hex();
}

}  // namespace

absl::StatusOr<WindowDemand> DemandOf(const std::string& path, const DemandSpec& spec,
                                      const std::filesystem::path& folder) {
  if (NeedsLayers(spec.policy)) return DistilTrace(path, spec);
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<ContainerReader> reader,
                             ContainerReader::Open(path));
  const std::string key = KeyOf(reader->digest(), spec);
  const std::filesystem::path kept = folder / absl::StrCat("demand-", key, ".bin");
  if (const std::optional<std::string> bytes = ReadKept(kept)) {
    if (std::optional<WindowDemand> demand = ParseDemandBytes(*bytes, key)) {
      TIERSCOPE_RETURN_IF_ERROR(reader->CheckFrames());
      demand->trace_name = std::filesystem::path(path).filename().string();
      return *std::move(demand);
    }
  }
  TIERSCOPE_ASSIGN_OR_RETURN(WindowDemand demand, DistilTrace(path, spec));
  Keep(kept, DemandBytes(demand, key));
  return demand;
}

}  // namespace tierscope::cli
