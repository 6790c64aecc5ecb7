// What the SIMT machine does about memory: checks of every access, asynchronous copies, barriers in
// memory.
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/testing/simt_machine.h"

extern "C" char __executable_start;
extern "C" char _end;

namespace tierscope::simt {
namespace {

constexpr int64_t kPollsMax = 1'000'000;
constexpr int64_t kAccessesMax = 1'000'000'000;  // of a launch

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

}  // namespace

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

namespace {

MemoryBarrier& MemoryBarrierAt(const uint64_t* address) {
  const auto barrier = M().memory_barriers.find(address);
  if (barrier == M().memory_barriers.end()) {
    Report("a barrier in memory that nothing initialised");
    Abandon();
  }
  const Stamp& stamp = barrier->second.initialised;
  if (stamp.thread != M().current && !M().clocks.Saw(M().current, stamp)) {
    Report("a barrier in memory is used with no barrier after its initialisation");
  }
  return barrier->second;
}

void EndPhaseIfComplete(MemoryBarrier& barrier) {
  if (barrier.arrivals_left > 0 || barrier.bytes_left != 0) return;
  barrier.arrivals_left = barrier.arrivals;
  barrier.seen_ended = barrier.seen;
  ++barrier.phase;
}

void CopyBytes(void* to, const void* from, size_t byte_count) {
  Check(from, byte_count, false, false);
  Check(to, byte_count, true, false);
  std::memcpy(to, from, byte_count);
}

void CompleteBytes(uint64_t* address, size_t byte_count) {
  MemoryBarrier& barrier = MemoryBarrierAt(address);
  M().clocks.Release(M().current, barrier.seen);
  barrier.bytes_left -= static_cast<int64_t>(byte_count);
  EndPhaseIfComplete(barrier);
}

}  // namespace

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

void MemoryBarrierInit(uint64_t* barrier, int arrivals) {
  const Inside inside;
  Check(barrier, sizeof *barrier, true, false);
  M().memory_barriers[barrier] = MemoryBarrier{
      Stamp{M().block_serial, static_cast<uint16_t>(M().current), M().clocks.Now(M().current)},
      arrivals,
      arrivals,
      0,
      0,
      {},
      {}};
}

void MemoryBarrierArrive(uint64_t* address, size_t expected_bytes) {
  const Inside inside;
  MemoryBarrier& barrier = MemoryBarrierAt(address);
  M().clocks.Release(M().current, barrier.seen);
  barrier.bytes_left += static_cast<int64_t>(expected_bytes);
  --barrier.arrivals_left;
  EndPhaseIfComplete(barrier);
}

void MemoryBarrierWait(uint64_t* address, unsigned parity) {
  const Inside inside;
  const MemoryBarrier& barrier = MemoryBarrierAt(address);
  for (int64_t polls = 0; (barrier.phase & 1) == parity; ++polls) {
    if (polls == kPollsMax) {
      Report("waits for ever at a barrier in memory");
      Abandon();
    }
    MakeRunnable(M().current);
    Switch();
  }
  M().clocks.Acquire(M().current, barrier.seen_ended);
}

void BulkCopy(void* to, const void* from, size_t byte_count, uint64_t* barrier) {
  const Inside inside;
  CopyBytes(to, from, byte_count);
  CompleteBytes(barrier, byte_count);
}

void BulkCopySwizzled(void* to, const void* from, int row_count, uint64_t* barrier) {
  const Inside inside;
  for (int row = 0; row < row_count; ++row) {
    for (int chunk = 0; chunk < 8; ++chunk) {
      CopyBytes(static_cast<char*>(to) + row * 128 + (chunk ^ row % 8) * 16,
                static_cast<const char*>(from) + row * 128 + chunk * 16, 16);
    }
  }
  CompleteBytes(barrier, static_cast<size_t>(row_count) * 128);
}

void CheckAccess(const void* memory, size_t byte_count, bool write, bool atomic) {
  if (!RunsHere() || M().inside) return;
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
// linked; in a build that is itself under it (preset tsan) these would be taken for it.
#ifndef TIERSCOPE_SIMT_WITHOUT_HOOKS
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
#endif
