// What executes the ops of a decode step and of a level-1 job, and how long each took. One backend
// a kind of machine: cpu_backend.h. The executor runs scenarios through it, and `tierscope
// calibrate` times the same ops alone, so that what a step is predicted from is what it runs.
//
// Ops take the parameters of kernels/, pointers into memory of Allocate. An op is queued on a
// stream and done once Synchronize of that stream has returned; ops of one stream run in the order
// given. Here a "device" is what the pointers mean: the CPU backend has both arenas in host memory,
// executes an op before its call returns, and Synchronize has nothing left to do. Callers rely on
// the weaker promise alone.
//
// Threads: one thread at a time per stream; kDecode and kSideBand may run at once. Allocate,
// MakeBallast and footprint belong to one thread and come before (or after) all else.
// Errors: Internal for parameters that a kernel refuses (a bug of the caller; the kernel's words),
// ResourceExhausted where memory ends.
#ifndef TIERSCOPE_REAL_BACKEND_H_
#define TIERSCOPE_REAL_BACKEND_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/attention.h"
#include "kernels/index_score.h"
#include "kernels/page_copy.h"
#include "kernels/page_select.h"
#include "kernels/top_entries.h"
#include "real/activity.h"

namespace tierscope {

enum class Arena { kDevice, kHost };  // HBM; pinned host memory
enum class Stream { kDecode, kSideBand };
enum class RecallPath { kCopyEngine, kStaged, kGatherKernel };  // as Policy.recall_path

// Memory of one name, all calls together.
struct NamedMemory {
  std::string name;
  Arena arena = Arena::kDevice;
  int64_t bytes = 0;
};

// One product of the backbone, `groups` times with weights of their own:
// y[group][row][column] = sum over inner of x[group][row][inner] * w[group][inner][column].
struct GemmShape {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t inner = 0;
  int64_t groups = 1;
  friend bool operator==(const GemmShape&, const GemmShape&) = default;
};

// Whole pages between the cold pool and the reserve, page-major.
struct PageTransfer {
  PagePools pools;
  std::span<const PageMove> moves;  // host memory, until the transfer is done
  RecallPath path = RecallPath::kCopyEngine;
};

struct DeviceDescription {
  std::string backend;     // "cpu", "cuda"
  std::string name;        // of the processor or card
  std::string software;    // driver and libraries with their versions; "" where there are none
  int32_t core_count = 0;  // threads that ops of kDecode run on; SMs
  int32_t sideband_core_count = 0;
  int32_t attention_tile_entries = 1;  // a partly filled tile costs attention a whole one
  bool asynchronous = false;       // an op runs after its call has returned, and sequences are kept
  int64_t memory_bytes = 0;        // of the device
  std::string weight_format;       // of the ballast: "fp32", "bf16"
  double weight_bytes_each = 0.0;  // of one weight
  // What each arena can still give; 0: not known. Of one memory for both the device's says it all.
  int64_t device_bytes_free = 0;
  int64_t host_bytes_free = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual const DeviceDescription& device() const = 0;

  // 64 B-aligned, filled with zeros, until the backend ends. Several calls of one name are counted
  // together.
  virtual absl::StatusOr<uint8_t*> Allocate(const std::string& name, Arena arena,
                                            int64_t bytes) = 0;
  // In order of first allocation, the backend's own (weights, staging) included. Memory of
  // Arena::kHost is the host's to read and write while no op that touches it is in flight.
  virtual std::vector<NamedMemory> footprint() const = 0;
  // What the device's own account holds beyond `footprint`: context, modules, graphs, rounding.
  virtual std::vector<NamedMemory> footprint_beside() const { return {}; }

  // A set of products with weights of their own, allocated under `name` on the device: product i of
  // a call of Ballast takes its weights from those of product i, and is no larger in columns *
  // inner * groups nor in any of rows * inner * groups and rows * columns * groups.
  virtual absl::StatusOr<int32_t> MakeBallast(const std::string& name,
                                              std::span<const GemmShape> products_max) = 0;
  virtual absl::Status Ballast(Stream stream, int32_t ballast,
                               std::span<const GemmShape> products) = 0;

  virtual absl::Status MemoryScore(Stream stream, const MemoryScoreParams& params) = 0;
  virtual absl::Status NativeScore(Stream stream, const NativeScoreParams& params) = 0;
  virtual absl::Status SelectPages(Stream stream, const PageSelectParams& params) = 0;
  virtual absl::Status TopEntries(Stream stream, const TopEntriesParams& params) = 0;
  virtual absl::Status Attention(Stream stream, const AttentionParams& params) = 0;
  virtual absl::Status Recall(Stream stream, const PageTransfer& transfer) = 0;
  // Always by the copy engine: `path` is not read.
  virtual absl::Status Writeback(Stream stream, const PageTransfer& transfer) = 0;
  // Any direction. Memory of Allocate stays until the copy is done; a source outside it may be used
  // again when the call returns.
  virtual absl::Status Copy(Stream stream, void* target, const void* source, int64_t bytes) = 0;

  virtual absl::Status Synchronize(Stream stream) = 0;

  // From here to EndSequence the ops of the stream are one sequence: kernels, products and marks,
  // no copies. Sequences of one key are op for op and parameter for parameter the same. False: the
  // backend has kept the one of that key and plays it at EndSequence, and the caller issues
  // nothing; marks keep their numbers, which then name the times of the last play. Error or not,
  // EndSequence follows.
  virtual absl::StatusOr<bool> BeginSequence(Stream, int64_t /*key*/) { return true; }
  virtual absl::Status EndSequence(Stream) { return absl::OkStatus(); }

  // A point between two ops of a stream. Its time is known once the stream is synchronised, and
  // until it has been asked for; times of both streams are of one clock. Nanoseconds; the start is
  // arbitrary. Mark takes about a microsecond.
  virtual int64_t Mark(Stream stream) = 0;
  virtual int64_t NsOfMark(int64_t mark) = 0;
  // The host's, on the same clock.
  virtual int64_t HostNs() = 0;

  // Activity that the device itself records, from StartTrace to StopTrace; ops belong to the tag
  // (real/activity.h) that their thread set last. Sequences are not played meanwhile. Error:
  // Unavailable where there is no such record, with what is missing. What the record lacks, its
  // result counts.
  virtual absl::Status StartTrace() {
    return absl::UnavailableError("this backend has no record of activity but its marks");
  }
  virtual bool tracing() const { return false; }
  virtual void Tag(uint64_t /*tag*/) {}
  virtual absl::StatusOr<ActivityTrace> StopTrace() {
    return absl::FailedPreconditionError("no trace was started");
  }
  // Clocks, temperature and what holds them down, as one line; "" where nobody says.
  virtual std::string DeviceState() { return ""; }
};

// Weight bytes that the products read, and their multiply-adds counted as two operations.
int64_t WeightBytes(std::span<const GemmShape> products, double weight_bytes_each);
int64_t GemmFlop(std::span<const GemmShape> products);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_BACKEND_H_
