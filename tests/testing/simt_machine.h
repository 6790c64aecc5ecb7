// The SIMT machine's inside, shared by its two sources: simt.cc runs threads, simt_access.cc
// watches memory.
#ifndef TIERSCOPE_TESTS_TESTING_SIMT_MACHINE_H_
#define TIERSCOPE_TESTS_TESTING_SIMT_MACHINE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/base/rng.h"
#include "tests/testing/simt.h"
#include "tests/testing/simt_shadow.h"
#include <boost/context/detail/fcontext.hpp>

namespace tierscope::simt {

namespace ctx = boost::context::detail;

inline constexpr size_t kStackBytes = 64 * 1024;
inline constexpr size_t kExchangeBytesMax = 64;
inline constexpr int kNamedBarriers = 16;

enum class Wait { kNone, kBarrier, kWarp, kDone };

struct PendingCopy {
  void* to;
  const void* from;
  size_t byte_count;
  size_t zero_bytes;
  int group;
};

struct Thread {
  ctx::fcontext_t context = nullptr;
  char* stack = nullptr;
  Index3 index;
  Wait wait = Wait::kNone;
  Site site;  // the barrier it waits at, or passed last
  std::vector<PendingCopy> copies;
  int group = 0;
};

struct Barrier {
  std::vector<int> arrived;
  Site site;
};

struct MemoryBarrier {
  Stamp initialised;
  int arrivals = 0;
  int arrivals_left = 0;
  int64_t bytes_left = 0;
  unsigned phase = 0;
  std::vector<uint16_t> seen;        // by those who have arrived in this phase
  std::vector<uint16_t> seen_ended;  // in the phases before
};

struct Warp {
  std::vector<int> runnable;
  std::string what;
  std::vector<int> arrived;
  unsigned generation = 0;
  alignas(16) std::array<std::array<uint8_t, kExchangeBytesMax * kWarpLanes>, 2> values;
};

struct Machine {
  Options options;
  std::vector<std::string> violations;
  std::set<Site> sites;
  Rng rng{1};

  const Launch* launch = nullptr;
  uint32_t block_serial = 0;  // of all launches, so that a stamp names its block
  uint32_t launch_first_block = 1;
  Index3 block;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  int runnable = 0;
  size_t warp = 0;  // the one that runs
  std::array<Barrier, kNamedBarriers> barriers;
  std::map<const uint64_t*, MemoryBarrier> memory_barriers;
  std::vector<char*> stacks;
  uint8_t* shared = nullptr;
  int current = -1;
  int done = 0;
  int64_t access_count = 0;
  bool inside = true;  // the machine itself runs: its accesses are not a kernel's
  bool abandoned = false;
  ctx::fcontext_t scheduler = nullptr;
  Clocks clocks;
};

Machine& M();
// Whether this OS thread is the one that runs a launch: what others do is no kernel's.
bool& RunsHere();
inline Thread& Current() { return M().threads[static_cast<size_t>(M().current)]; }

// Stands for the time that a fiber spends in the machine. Code that both share (the standard
// library's templates) may carry the hooks.
class Inside {
 public:
  Inside() { M().inside = true; }
  ~Inside() { M().inside = false; }
};

// Back to the scheduler, until somebody makes this thread runnable.
void Switch();
void MakeRunnable(int thread);
// The launch ends here: the fiber is never resumed.
[[noreturn]] void Abandon();
void Report(const std::string& what);
// CheckAccess, from within the machine.
void Check(const void* memory, size_t byte_count, bool write, bool atomic);

}  // namespace tierscope::simt

#endif  // TIERSCOPE_TESTS_TESTING_SIMT_MACHINE_H_
