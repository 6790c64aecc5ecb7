#include "tests/testing/simt.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sim/base/check.h"
#include "tests/testing/simt_machine.h"

namespace tierscope::simt {

Machine& M() {
  static auto& machine = *new Machine;
  return machine;
}

bool& RunsHere() {
  thread_local bool runs_here = false;
  return runs_here;
}

namespace {

constexpr size_t kViolationsMax = 20;

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

}  // namespace

void Switch() {
  const ctx::transfer_t back = ctx::jump_fcontext(M().scheduler, nullptr);
  M().scheduler = back.fctx;
}
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

namespace {

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
  m.memory_barriers.clear();
  m.runnable = 0;
  m.warp = m.rng.NextBelow(m.warps.size());
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
  RunsHere() = true;
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
  RunsHere() = false;
  m.inside = true;
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

}  // namespace tierscope::simt
