#include "tests/testing/simt_shadow.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "sim/base/check.h"
#include "tests/testing/simt.h"

namespace tierscope::simt {
namespace {

constexpr size_t kArenaBytes = size_t{256} << 20;
constexpr size_t kAlignment = 1024;
constexpr size_t kRedzoneBytes = 1024;

enum State : uint8_t { kOutsideState, kUnwrittenState, kWrittenState };

struct Cell {
  Stamp write;
  Stamp reads[2];  // the last reader, and the last one of another thread
  State state = kOutsideState;
  bool write_atomic = false;
};

struct Arena {
  Arena()
      : bytes(Map(kArenaBytes)), cells(reinterpret_cast<Cell*>(Map(kArenaBytes * sizeof(Cell)))) {
    holes[kRedzoneBytes] = kArenaBytes - kRedzoneBytes;
  }
  static uint8_t* Map(size_t byte_count) {
    void* memory = mmap(nullptr, byte_count, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TIERSCOPE_CHECK(memory != MAP_FAILED);
    return static_cast<uint8_t*>(memory);
  }
  uint8_t* bytes;
  Cell* cells;
  std::map<size_t, size_t> allocations;  // offset -> bytes
  std::map<size_t, size_t> holes;        // offset -> bytes
};

Arena& A() {
  static auto& arena = *new Arena;
  return arena;
}

size_t OffsetOf(const void* memory) {
  return static_cast<size_t>(static_cast<const uint8_t*>(memory) - A().bytes);
}

// Room of an allocation in the arena, the zone behind it included.
size_t RoomOf(size_t byte_count) {
  return (byte_count + kRedzoneBytes + kAlignment - 1) / kAlignment * kAlignment;
}

bool Unordered(const Stamp& before, const Stamp& now, const Clocks& clocks,
               uint32_t launch_first_block) {
  if (before.block < launch_first_block) return false;  // nobody, or an earlier launch
  if (before.block != now.block) return true;
  return before.thread != now.thread && !clocks.Saw(now.thread, before);
}

Problem NoteByte(Cell& cell, const Stamp& now, const Clocks& clocks, uint32_t launch_first_block,
                 bool write, bool atomic) {
  if (cell.state == kOutsideState) return Problem::kOutside;
  Problem problem = Problem::kNone;
  const auto races = [&](const Stamp& before) {
    return Unordered(before, now, clocks, launch_first_block);
  };
  if (!(atomic && cell.write_atomic) && races(cell.write)) problem = Problem::kRace;
  if (write) {
    if (races(cell.reads[0]) || races(cell.reads[1])) problem = Problem::kRace;
    if (atomic && cell.state == kUnwrittenState) problem = Problem::kUnwritten;
    cell.write = now;
    cell.write_atomic = atomic;
    cell.state = kWrittenState;
    return problem;
  }
  if (cell.state == kUnwrittenState) problem = Problem::kUnwritten;
  const bool same_reader = cell.reads[0].thread == now.thread && cell.reads[0].block == now.block;
  if (!same_reader) cell.reads[1] = cell.reads[0];
  cell.reads[0] = now;
  return problem;
}

}  // namespace

void Clocks::Reset(size_t thread_count) {
  count_ = thread_count;
  clocks_.assign(count_ * count_, 0);
  for (size_t t = 0; t < count_; ++t) clocks_[t * count_ + t] = 1;
}

void Clocks::Join(const std::vector<int>& threads) {
  std::vector<uint16_t> joined(count_, 0);
  for (const int t : threads) {
    const uint16_t* row = clocks_.data() + static_cast<size_t>(t) * count_;
    for (size_t i = 0; i < count_; ++i) joined[i] = std::max(joined[i], row[i]);
  }
  for (const int t : threads) {
    uint16_t* row = clocks_.data() + static_cast<size_t>(t) * count_;
    std::copy(joined.begin(), joined.end(), row);
    TIERSCOPE_CHECK(row[t] < UINT16_MAX);
    ++row[t];
  }
}

void Clocks::Release(int thread, std::vector<uint16_t>& seen) {
  uint16_t* row = clocks_.data() + static_cast<size_t>(thread) * count_;
  seen.resize(count_, 0);
  for (size_t i = 0; i < count_; ++i) seen[i] = std::max(seen[i], row[i]);
  TIERSCOPE_CHECK(row[thread] < UINT16_MAX);
  ++row[thread];
}

void Clocks::Acquire(int thread, const std::vector<uint16_t>& seen) {
  uint16_t* row = clocks_.data() + static_cast<size_t>(thread) * count_;
  for (size_t i = 0; i < seen.size(); ++i) row[i] = std::max(row[i], seen[i]);
}

const char* ProblemText(Problem problem) {
  switch (problem) {
    case Problem::kNone:
      return "fine";
    case Problem::kOutside:
      return "outside of any allocation";
    case Problem::kUnwritten:
      return "read before anything wrote it";
    case Problem::kRace:
      return "race with another thread";
  }
  return "";
}

void* Allocate(size_t byte_count) {
  Arena& a = A();
  const size_t room = RoomOf(byte_count);
  const auto hole = std::find_if(a.holes.begin(), a.holes.end(),
                                 [&](const auto& entry) { return entry.second >= room; });
  TIERSCOPE_CHECK(hole != a.holes.end());
  const size_t offset = hole->first;
  const size_t left = hole->second - room;
  a.holes.erase(hole);
  if (left > 0) a.holes[offset + room] = left;
  a.allocations[offset] = byte_count;
  std::memset(a.bytes + offset, 0xFF, byte_count);
  std::fill_n(a.cells + offset, byte_count, Cell{{}, {}, kUnwrittenState, false});
  return a.bytes + offset;
}

void Free(void* memory) {
  if (memory == nullptr) return;
  Arena& a = A();
  const auto allocation = a.allocations.find(OffsetOf(memory));
  TIERSCOPE_CHECK(allocation != a.allocations.end());
  const size_t offset = allocation->first;
  size_t room = RoomOf(allocation->second);
  std::fill_n(a.cells + offset, allocation->second, Cell{});
  a.allocations.erase(allocation);
  const auto next = a.holes.find(offset + room);
  if (next != a.holes.end()) {
    room += next->second;
    a.holes.erase(next);
  }
  const auto after = a.holes.lower_bound(offset);
  if (after != a.holes.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == offset) {
      before->second += room;
      return;
    }
  }
  a.holes[offset] = room;
}

bool InArena(const void* memory) {
  const auto* p = static_cast<const uint8_t*>(memory);
  return p >= A().bytes && p < A().bytes + kArenaBytes;
}

size_t OffsetInAllocation(const void* memory) {
  const Arena& a = A();
  const auto next = a.allocations.upper_bound(OffsetOf(memory));
  return next == a.allocations.begin() ? 0 : OffsetOf(memory) - std::prev(next)->first;
}

size_t AllocationBytes(const void* memory) {
  const auto allocation = A().allocations.find(OffsetOf(memory));
  TIERSCOPE_CHECK(allocation != A().allocations.end());
  return allocation->second;
}

bool MarkWritten(const void* memory, size_t byte_count) {
  if (!InArena(memory)) return false;
  Cell* cells = A().cells + OffsetOf(memory);
  bool inside = true;
  for (size_t i = 0; i < byte_count; ++i) {
    inside = inside && cells[i].state != kOutsideState;
    if (inside) cells[i].state = kWrittenState;
  }
  return inside;
}

size_t UnwrittenBytes(const void* memory, size_t byte_count) {
  const Cell* cells = A().cells + OffsetOf(memory);
  return static_cast<size_t>(std::count_if(
      cells, cells + byte_count, [](const Cell& cell) { return cell.state != kWrittenState; }));
}

Problem NoteAccess(const void* memory, size_t byte_count, const Stamp& now, const Clocks& clocks,
                   uint32_t launch_first_block, bool write, bool atomic) {
  Cell* cells = A().cells + OffsetOf(memory);
  Problem worst = Problem::kNone;
  for (size_t i = 0; i < byte_count; ++i) {
    const Problem problem = NoteByte(cells[i], now, clocks, launch_first_block, write, atomic);
    if (problem != Problem::kNone) worst = problem;
  }
  return worst;
}

}  // namespace tierscope::simt
