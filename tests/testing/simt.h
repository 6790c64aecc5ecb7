// A small SIMT machine for tests: runs the project's .cu sources, compiled as C++, on the CPU.
//
// The threads of a block are fibers on one OS thread, resumed in a random order; they switch only
// at barriers and warp operations. Blocks run one after the other, in a random order. Device and
// shared memory lie in one arena with a shadow record per byte, and the .cu sources are compiled
// with GCC's thread-sanitizer instrumentation, whose callbacks this file's source defines itself:
// every load and store of a kernel is seen, through plain pointers. Reported are: bytes outside an
// allocation, misaligned accesses, bytes read before anything wrote them, and races (two threads,
// one of them writing, with no barrier between: vector clocks, so whether it is found does not hang
// on the order of one run).
//
// Not modelled: memory ordering weaker than barriers, divergence below a full warp (every warp
// operation needs all 32 lanes), timing. Evidence of logic, never of speed. One machine per
// process, one launch at a time (tests/testing/simt_runtime.h has the lock).
#ifndef TIERSCOPE_TESTS_TESTING_SIMT_H_
#define TIERSCOPE_TESTS_TESTING_SIMT_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tierscope::simt {

inline constexpr int kWarpLanes = 32;

struct Index3 {
  unsigned x = 1, y = 1, z = 1;
};

// A barrier as it stands in a source.
using Site = std::pair<std::string, int>;  // file, line

// What a test may set before a launch.
struct Options {
  uint64_t seed = 1;              // of the order of blocks and threads
  int sm_count = 3;               // few, so that persistent grids go round more than once
  int capability = 90;            // what cudaDeviceGetAttribute reports, 10 * major + minor
  int shared_bytes_max = 232448;  // opt-in shared memory of a block
  Site skipped_barrier;           // this barrier does nothing: a planted missing barrier
};
Options& MachineOptions();

// What kernels did wrong since the last call; empty when nothing. The launch of the 20th line is
// abandoned.
std::vector<std::string> TakeViolations();
// Barriers (block and warp) that were passed since the last call.
std::set<Site> TakeBarrierSites();

// --- Memory. Allocate poisons with 0xFF (NaN in every float format) and marks the bytes unwritten.
void* Allocate(size_t byte_count);
void Free(void* memory);
// The host wrote (or will have written) these bytes; false: they lie outside the arena's
// allocations.
bool MarkWritten(const void* memory, size_t byte_count);
// Bytes of [memory, memory + byte_count) that nothing has written.
size_t UnwrittenBytes(const void* memory, size_t byte_count);

// --- Called by the stand-in for cuda_runtime.h.
struct Launch {
  const char* kernel = "kernel";
  Index3 grid, block;
  size_t shared_bytes = 0;
  void (*run)(const void* arguments) = nullptr;
  const void* arguments = nullptr;
  size_t argument_bytes = 0;
};
// False when the launch was abandoned: a wild access, many violations, threads that wait or run for
// ever.
bool Run(const Launch& launch);

Index3 ThreadIndex();
Index3 BlockIndex();
Index3 BlockSize();
Index3 GridSize();
void* SharedMemory();
void BlockBarrier(const char* file, int line);
// Barrier `id` among `thread_count` threads (whole warps); 0 is the block's.
void NamedBarrier(int id, int thread_count, const char* file, int line);
void WarpBarrier(uint32_t mask, const char* file, int line);
// Every lane gives `byte_count` bytes (at most 64) and gets those of all lanes, lane-major, valid
// until its next warp operation. `what` names the operation: lanes that meet in different
// operations are reported.
const void* WarpExchange(uint32_t mask, const char* what, const void* mine, size_t byte_count);
// A copy that becomes visible at AsyncWait: a missing wait reads unwritten bytes.
void AsyncCopy(void* to, const void* from, size_t byte_count, size_t zero_bytes);
void AsyncCommit();
void AsyncWait(int groups_left);
// --- Hopper. Barriers in shared memory (mbarrier): a phase ends when `arrivals` threads have
// arrived and the bytes expected have been copied. Bulk copies happen at once, ordered only through
// their barrier. Not modelled: the asynchronous proxy and its fence, and matrix products that run
// on after they are issued.
void MemoryBarrierInit(uint64_t* barrier, int arrivals);
void MemoryBarrierArrive(uint64_t* barrier, size_t expected_bytes);
// Returns when the phase of this parity has ended.
void MemoryBarrierWait(uint64_t* barrier, unsigned parity);
void BulkCopy(void* to, const void* from, size_t byte_count, uint64_t* barrier);
// The copy of `row_count` rows of 128 B to a 128 B-swizzled tile, which starts at a multiple of
// 1,024 B.
void BulkCopySwizzled(void* to, const void* from, int row_count, uint64_t* barrier);

// Checks an access the compiler's instrumentation cannot see, or that is atomic.
void CheckAccess(const void* memory, size_t byte_count, bool write, bool atomic);
// Reports a violation of the running thread and abandons the launch.
void Fail(const std::string& what);

}  // namespace tierscope::simt

#endif  // TIERSCOPE_TESTS_TESTING_SIMT_H_
