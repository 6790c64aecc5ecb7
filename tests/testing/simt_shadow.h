// What the SIMT machine remembers of every byte of its arena: whether it belongs to an allocation,
// whether anything wrote it, and who touched it last, by vector clocks. Used by simt.cc alone.
#ifndef TIERSCOPE_TESTS_TESTING_SIMT_SHADOW_H_
#define TIERSCOPE_TESTS_TESTING_SIMT_SHADOW_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tierscope::simt {

// Who, and when: the `clock`-th stretch between barriers of a thread of a block.
struct Stamp {
  uint32_t block = 0;  // 0: nobody
  uint16_t thread = 0;
  uint16_t clock = 0;
};

// The vector clocks of a block's threads.
class Clocks {
 public:
  void Reset(size_t thread_count);
  // The threads met at a barrier: each has now seen all that the others did before.
  void Join(const std::vector<int>& threads);
  // The two halves of a barrier in memory: what a thread did so far is put into `seen`; another
  // takes it out.
  void Release(int thread, std::vector<uint16_t>& seen);
  void Acquire(int thread, const std::vector<uint16_t>& seen);
  uint16_t Now(int thread) const { return At(thread, thread); }
  // Did `thread` see everything up to this stamp of its own block?
  bool Saw(int thread, const Stamp& stamp) const { return At(thread, stamp.thread) >= stamp.clock; }

 private:
  uint16_t At(int thread, int other) const {
    return clocks_[static_cast<size_t>(thread) * count_ + static_cast<size_t>(other)];
  }
  size_t count_ = 0;
  std::vector<uint16_t> clocks_;  // [thread][other]
};

enum class Problem { kNone, kOutside, kUnwritten, kRace };
const char* ProblemText(Problem problem);

bool InArena(const void* memory);
// Of the allocation that begins at `memory`.
size_t AllocationBytes(const void* memory);
// Bytes from the start of the allocation that holds or precedes `memory`.
size_t OffsetInAllocation(const void* memory);
// Checks an access within the arena and remembers it. Blocks before `launch_first_block` have
// ended.
Problem NoteAccess(const void* memory, size_t byte_count, const Stamp& now, const Clocks& clocks,
                   uint32_t launch_first_block, bool write, bool atomic);

}  // namespace tierscope::simt

#endif  // TIERSCOPE_TESTS_TESTING_SIMT_SHADOW_H_
