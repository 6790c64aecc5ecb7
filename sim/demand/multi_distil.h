// Distils one attention trace for many specs in a single pass: what every threshold, KMAX and tau
// of a sweep needs is taken from each record while it is read, and the demand of one spec is put
// together from that without the trace.
//
// What stays of a profile: per sub-window the pages selected from with their counts; the same as
// running sums per page; and per tick and threshold the pages in the order in which KMAX takes them
// (denser first, then by page), as deep as the largest KMAX and its forced pages. Page densities at
// all thresholds come from counts by score that are dropped with the tick.
#ifndef TIERSCOPE_SIM_DEMAND_MULTI_DISTIL_H_
#define TIERSCOPE_SIM_DEMAND_MULTI_DISTIL_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "sim/demand/blob_store.h"
#include "sim/demand/demand.h"
#include "sim/demand/distil.h"
#include "traces/trace.pb.h"

namespace tierscope {

// Of one profile; numbers of arrays in the blob store.
struct ProfileDigest {
  ProfileHeader header;
  ProfileDemand frame;                 // all that does not depend on the spec and is small
  std::vector<SelectionCount> totals;  // [position_count + 1]: selections in the sub-windows before
  size_t touched_begin = 0;            // uint32 [position_count + 1]
  size_t touched_pages = 0;            // PageIndex
  size_t touched_selections = 0;       // uint32
  // uint32 [page][position_count + 1]: selections of the page in the sub-windows before.
  size_t sums = 0;
  // threshold code -> uint32 [position_count + 1] and PageIndex: pages of each tick in the order of
  // the ranking.
  std::map<int32_t, std::pair<size_t, size_t>> rankings;
};

class DistilledTrace {
 public:
  // Reads the trace once, for `specs`. At most `memory_bytes_max` stays in memory, the rest in a
  // file in `spill_folder`. Errors: those of DistilTrace that no spec would escape.
  static absl::StatusOr<DistilledTrace> Read(const std::string& path,
                                             std::span<const DemandSpec> specs,
                                             int64_t memory_bytes_max,
                                             const std::string& spill_folder);

  // Equal to DistilTrace(path, spec), error included. Precondition: `spec` was among those of Read.
  // Thread-safe. Cost: some 10 ms for 16 profiles of 512K and 1,024 steps at tau 64.
  absl::StatusOr<WindowDemand> Demand(const DemandSpec& spec) const;

  int64_t memory_bytes() const { return blobs_.memory_bytes(); }
  int64_t spilled_bytes() const { return blobs_.file_bytes(); }

 private:
  friend class DigestingVisitor;
  DistilledTrace(std::string path, int64_t memory_bytes_max, const std::string& spill_folder)
      : path_(std::move(path)), blobs_(memory_bytes_max, spill_folder) {}

  absl::StatusOr<ProfileDemand> DemandOf(const ProfileDigest& digest, int32_t profile_index,
                                         const DemandSpec& spec) const;
  absl::StatusOr<ProfileDemand> ReplayHistogram(const ProfileDigest& digest, int32_t profile_index,
                                                const DemandSpec& spec) const;
  absl::Status TakeWantLists(const ProfileDigest& digest, const DemandSpec& spec,
                             ProfileDemand* demand) const;
  absl::Status SumMisses(const ProfileDigest& digest, ProfileDemand* demand) const;

  std::string path_;
  WindowDemand frame_;  // without profiles
  std::vector<ProfileDigest> profiles_;
  BlobStore blobs_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_DEMAND_MULTI_DISTIL_H_
