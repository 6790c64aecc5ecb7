// Checks every frame of a container and recovers what is undamaged, even where head or index are
// not. Maps the file; memory is one frame. One thread; about a second per GB.
#ifndef TIERSCOPE_TRACES_CONTAINER_VERIFY_H_
#define TIERSCOPE_TRACES_CONTAINER_VERIFY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "traces/container.h"

namespace tierscope {

struct DamagedRange {
  int64_t begin = 0;  // bytes of the file, half open
  int64_t end = 0;
  std::string what;
};

struct ContainerReport {
  int64_t file_bytes = 0;
  bool index_is_good = false;
  int64_t frames_good = 0;
  int64_t records_good = 0;
  int64_t records_expected = -1;      // -1 = unknown, the index is damaged
  std::vector<DamagedRange> damaged;  // in order; empty = the file is whole
};

// Reads every frame. `recover`, unless null, receives the records of every good frame in file
// order, with a Gap record for each damaged range that may have held records; the caller finishes
// it. Errors: no such file, empty, nothing of a container in it, or `recover` fails. Damage is no
// error.
absl::StatusOr<ContainerReport> VerifyContainer(const std::string& path, ContainerWriter* recover);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_CONTAINER_VERIFY_H_
