#include "tests/testing/simt.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sim/base/check.h"
#include "sim/base/rng.h"
#include "tests/testing/simt_shadow.h"
#include <boost/context/detail/fcontext.hpp>

extern "C" char __executable_start;
extern "C" char _end;

namespace tierscope::simt {
namespace {

namespace ctx = boost::context::detail;

constexpr size_t kStackBytes = 64 * 1024;
constexpr size_t kViolationsMax = 20;
constexpr size_t kExchangeBytesMax = 64;
constexpr int kNamedBarriers = 16;
constexpr int64_t kAccessesMax = 1'000'000'000;  // of a launch

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

Machine& M() {
  static auto& machine = *new Machine;
  return machine;
}

// Stands for the time that a fiber spends in the machine. Code that both share (the standard
// library's templates) may carry the hooks.
class Inside {
 public:
  Inside() { M().inside = true; }
  ~Inside() { M().inside = false; }
};

Thread& Current() { return M().threads[static_cast<size_t>(M().current)]; }

std::string Where() {
  const Machine& m = M();
  if (m.current < 0) return "";
  const Thread& t = m.threads[static_cast<size_t>(m.current)];
  char text[256];
  std::snprintf(text, sizeof text, "%s block (%u,%u,%u) thread %d after %s:%d: ", m.launch->kernel,
                m.block.x, m.block.y, m.block.z, m.current,
                t.site.first.empty() ? "start" : t.site.first.c_str(), t.site.second);
  return text;
}

void Switch() {
  const ctx::transfer_t back = ctx::jump_fcontext(M().scheduler, nullptr);
  M().scheduler = back.fctx;
}

// The launch ends here: the fiber is never resumed.
[[noreturn]] void Abandon() {
  M().abandoned = true;
  Switch();
  std::abort();
}

void Report(const std::string& what) {
  Machine& m = M();
  if (m.violations.size() < kViolationsMax) m.violations.push_back(Where() + what);
  if (m.violations.size() == kViolationsMax && m.current >= 0) Abandon();
}

void MakeRunnable(int thread) {
  Machine& m = M();
  m.warps[static_cast<size_t>(thread) / kWarpLanes].runnable.push_back(thread);
  ++m.runnable;
}

void Release(const std::vector<int>& threads) {
  for (const int t : threads) {
    M().threads[static_cast<size_t>(t)].wait = Wait::kNone;
    if (t != M().current) MakeRunnable(t);
  }
}

// The next thread to run: mostly of the warp that runs (it is in the cache), now and then of
// another one.
int TakeRunnable() {
  Machine& m = M();
  if (m.warps[m.warp].runnable.empty() || m.rng.NextBelow(64) == 0) {
    m.warp = m.rng.NextBelow(m.warps.size());
    while (m.warps[m.warp].runnable.empty()) m.warp = (m.warp + 1) % m.warps.size();
  }
  std::vector<int>& runnable = m.warps[m.warp].runnable;
  std::swap(runnable[m.rng.NextBelow(runnable.size())], runnable.back());
  const int thread = runnable.back();
  runnable.pop_back();
  --m.runnable;
  return thread;
}

// Waits until `expected` threads have come; the last one frees the others.
void Arrive(Barrier& barrier, size_t expected, const Site& site) {
  Machine& m = M();
  m.sites.insert(site);
  if (barrier.arrived.empty()) {
    barrier.site = site;
  } else if (barrier.site != site) {
    Report("threads of a block meet in two different barriers, the other at line " +
           std::to_string(barrier.site.second));
  }
  barrier.arrived.push_back(m.current);
  Current().site = site;
  if (barrier.arrived.size() < expected) {
    Current().wait = Wait::kBarrier;
    return Switch();
  }
  std::vector<int> arrived;
  arrived.swap(barrier.arrived);
  m.clocks.Join(arrived);
  Release(arrived);
}

// Lanes of a warp meet and swap values. Only __syncwarp orders memory among them; shuffles and mma
// do not.
const void* WarpMeet(uint32_t mask, const char* what, bool orders_memory, const void* mine,
                     size_t byte_count) {
  Machine& m = M();
  TIERSCOPE_CHECK(byte_count <= kExchangeBytesMax);
  if (mask != 0xFFFFFFFFu) {
    Report(std::string(what) + " with a mask that is not the whole warp");
    Abandon();
  }
  const size_t lane = static_cast<size_t>(m.current) % kWarpLanes;
  Warp& warp = m.warps[static_cast<size_t>(m.current) / kWarpLanes];
  if (warp.arrived.empty()) {
    warp.what = what;
  } else if (warp.what != what) {
    Report("lanes of a warp meet in " + warp.what + " and in " + what);
    Abandon();
  }
  auto& values = warp.values[warp.generation & 1];
  std::memcpy(values.data() + lane * byte_count, mine, byte_count);
  warp.arrived.push_back(m.current);
  if (warp.arrived.size() < kWarpLanes) {
    Current().wait = Wait::kWarp;
    Switch();
  } else {
    ++warp.generation;
    std::vector<int> arrived;
    arrived.swap(warp.arrived);
    if (orders_memory) m.clocks.Join(arrived);
    Release(arrived);
  }
  return values.data();
}

void Entry(ctx::transfer_t from) {
  M().scheduler = from.fctx;
  M().inside = false;
  M().launch->run(M().launch->arguments);
  M().inside = true;
  Thread& thread = Current();
  thread.wait = Wait::kDone;
  ++M().done;
  Switch();
  std::abort();
}

char* StackOf(size_t thread) {
  Machine& m = M();
  while (m.stacks.size() <= thread) {
    void* memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TIERSCOPE_CHECK(memory != MAP_FAILED);
    m.stacks.push_back(static_cast<char*>(memory));
  }
  return m.stacks[thread];
}

void StartThreads() {
  Machine& m = M();
  const Index3 size = m.launch->block;
  const size_t count = size_t{size.x} * size.y * size.z;
  m.threads.assign(count, Thread{});
  m.warps.assign((count + kWarpLanes - 1) / kWarpLanes, Warp{});
  for (Barrier& barrier : m.barriers) barrier = Barrier{};
  m.runnable = 0;
  m.warp = 0;
  m.done = 0;
  m.clocks.Reset(count);
  for (size_t i = 0; i < count; ++i) {
    Thread& thread = m.threads[i];
    thread.stack = StackOf(i);
    thread.index = {static_cast<unsigned>(i % size.x), static_cast<unsigned>(i / size.x % size.y),
                    static_cast<unsigned>(i / size.x / size.y)};
    thread.context = ctx::make_fcontext(thread.stack + kStackBytes, kStackBytes, Entry);
    MakeRunnable(static_cast<int>(i));
  }
}

void ReportStuck() {
  Machine& m = M();
  m.current = -1;
  int waiting = 0;
  Site site;
  Wait wait = Wait::kNone;
  for (const Thread& thread : m.threads) {
    if (thread.wait == Wait::kDone) continue;
    ++waiting;
    site = thread.site;
    wait = thread.wait;
  }
  Report(std::string(m.launch->kernel) + ": " + std::to_string(waiting) + " of " +
         std::to_string(m.threads.size()) + " threads wait for ever " +
         (wait == Wait::kWarp ? "in a warp operation after " : "at ") + site.first + ":" +
         std::to_string(site.second));
}

void RunBlock() {
  Machine& m = M();
  ++m.block_serial;
  StartThreads();
  while (m.runnable > 0 && !m.abandoned) {
    m.current = TakeRunnable();
    Thread& thread = Current();
    const ctx::transfer_t back = ctx::jump_fcontext(thread.context, nullptr);
    m.threads[static_cast<size_t>(m.current)].context = back.fctx;
  }
  if (!m.abandoned && m.done < static_cast<int>(m.threads.size())) {
    ReportStuck();
    m.abandoned = true;
  }
  m.current = -1;
}

bool OnOwnStack(const void* memory) {
  const char* stack = Current().stack;
  return memory >= stack && memory < stack + kStackBytes;
}

// Constants of the program and the launch's arguments may be read.
bool IsReadable(const void* memory, size_t byte_count) {
  const auto* p = static_cast<const char*>(memory);
  const Launch& launch = *M().launch;
  const auto* arguments = static_cast<const char*>(launch.arguments);
  if (p >= arguments && p + byte_count <= arguments + launch.argument_bytes) return true;
  return p >= &__executable_start && p < &_end;
}

void Check(const void* memory, size_t byte_count, bool write, bool atomic) {
  Machine& m = M();
  if (m.current < 0 || OnOwnStack(memory)) return;
  char text[160];
  if (++m.access_count > kAccessesMax) {
    Report("the launch runs for ever");
    Abandon();
  }
  if (!InArena(memory)) {
    if (!write && IsReadable(memory, byte_count)) return;
    std::snprintf(text, sizeof text, "%s of %zu bytes at %p, which is no device memory",
                  write ? "write" : "read", byte_count, memory);
    Report(text);
    Abandon();
  }
  const Stamp now{m.block_serial, static_cast<uint16_t>(m.current), m.clocks.Now(m.current)};
  const Problem problem =
      NoteAccess(memory, byte_count, now, m.clocks, m.launch_first_block, write, atomic);
  if (problem == Problem::kNone) return;
  std::snprintf(text, sizeof text, "%s of %zu bytes at %s+%zu: %s", write ? "write" : "read",
                byte_count, memory >= m.shared ? "shared or later memory" : "device memory",
                OffsetInAllocation(memory), ProblemText(problem));
  Report(text);
}

}  // namespace

Options& MachineOptions() { return M().options; }

std::vector<std::string> TakeViolations() { return std::exchange(M().violations, {}); }
std::set<Site> TakeBarrierSites() { return std::exchange(M().sites, {}); }

void Fail(const std::string& what) {
  const Inside inside;
  Report(what);
  if (M().current >= 0) Abandon();
}

bool Run(const Launch& launch) {
  Machine& m = M();
  m.launch = &launch;
  m.rng = Rng(m.options.seed);
  m.abandoned = false;
  m.access_count = 0;
  m.launch_first_block = m.block_serial + 1;
  std::vector<Index3> blocks;
  for (unsigned z = 0; z < launch.grid.z; ++z)
    for (unsigned y = 0; y < launch.grid.y; ++y)
      for (unsigned x = 0; x < launch.grid.x; ++x) blocks.push_back({x, y, z});
  for (size_t i = blocks.size(); i > 1; --i) std::swap(blocks[i - 1], blocks[m.rng.NextBelow(i)]);
  for (size_t i = 0; i < blocks.size() && !m.abandoned; ++i) {
    m.block = blocks[i];
    m.shared = static_cast<uint8_t*>(Allocate(launch.shared_bytes));
    RunBlock();
    Free(m.shared);
  }
  return !m.abandoned;
}

Index3 ThreadIndex() { return Current().index; }
Index3 BlockIndex() { return M().block; }
Index3 BlockSize() { return M().launch->block; }
Index3 GridSize() { return M().launch->grid; }
void* SharedMemory() { return M().shared; }

void BlockBarrier(const char* file, int line) {
  NamedBarrier(0, static_cast<int>(M().threads.size()), file, line);
}

void NamedBarrier(int id, int thread_count, const char* file, int line) {
  const Inside inside;
  const Site site{file, line};
  if (M().options.skipped_barrier == site) return;
  Arrive(M().barriers[static_cast<size_t>(id)], static_cast<size_t>(thread_count), site);
}

void WarpBarrier(uint32_t mask, const char* file, int line) {
  const Inside inside;
  const Site site{file, line};
  if (M().options.skipped_barrier == site) return;
  M().sites.insert(site);
  const uint8_t nothing = 0;
  WarpMeet(mask, "__syncwarp", true, &nothing, 1);
  Current().site = site;
}

const void* WarpExchange(uint32_t mask, const char* what, const void* mine, size_t byte_count) {
  const Inside inside;
  return WarpMeet(mask, what, false, mine, byte_count);
}
void AsyncCopy(void* to, const void* from, size_t byte_count, size_t zero_bytes) {
  const Inside inside;
  Check(from, byte_count, false, false);
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) %
          (byte_count + zero_bytes) !=
      0) {
    Report("misaligned asynchronous copy");
  }
  Current().copies.push_back({to, from, byte_count, zero_bytes, Current().group});
}

void AsyncCommit() { ++Current().group; }

void AsyncWait(int groups_left) {
  const Inside inside;
  Thread& thread = Current();
  std::vector<PendingCopy> left;
  for (const PendingCopy& copy : thread.copies) {
    if (copy.group >= thread.group - groups_left) {
      left.push_back(copy);
      continue;
    }
    Check(copy.to, copy.byte_count + copy.zero_bytes, true, false);
    std::memcpy(copy.to, copy.from, copy.byte_count);
    std::memset(static_cast<char*>(copy.to) + copy.byte_count, 0, copy.zero_bytes);
  }
  thread.copies.swap(left);
}

void CheckAccess(const void* memory, size_t byte_count, bool write, bool atomic) {
  if (M().inside) return;
  const Inside inside;
  Check(memory, byte_count, write, atomic);
}

}  // namespace tierscope::simt

// What GCC's -fsanitize=alignment calls; again without the sanitizer's runtime.
struct MisalignedAccess {
  const char* file;
  uint32_t line;
  uint32_t column;
};
extern "C" void __ubsan_handle_type_mismatch_v1(const MisalignedAccess* access,
                                                const void* memory) {
  char text[256];
  std::snprintf(text, sizeof text, "misaligned access at %s:%u to %p", access->file, access->line,
                memory);
  tierscope::simt::Fail(text);
}

// What GCC's -fsanitize=thread calls before each load and store. No runtime of the sanitizer is
// linked.
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
#define TIERSCOPE_SIMT_HOOK(bytes)                                                           \
  void __tsan_read##bytes(void* p) { tierscope::simt::CheckAccess(p, bytes, false, false); } \
  void __tsan_write##bytes(void* p) { tierscope::simt::CheckAccess(p, bytes, true, false); } \
  void __tsan_unaligned_read##bytes(void* p) {                                               \
    tierscope::simt::CheckAccess(p, bytes, false, false);                                    \
  }                                                                                          \
  void __tsan_unaligned_write##bytes(void* p) {                                              \
    tierscope::simt::CheckAccess(p, bytes, true, false);                                     \
  }
TIERSCOPE_SIMT_HOOK(1)
TIERSCOPE_SIMT_HOOK(2)
TIERSCOPE_SIMT_HOOK(4)
TIERSCOPE_SIMT_HOOK(8)
TIERSCOPE_SIMT_HOOK(16)
#undef TIERSCOPE_SIMT_HOOK
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read_range(void* p, size_t n) { tierscope::simt::CheckAccess(p, n, false, false); }
void __tsan_write_range(void* p, size_t n) { tierscope::simt::CheckAccess(p, n, true, false); }
}
