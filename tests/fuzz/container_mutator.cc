// Mutations of a container that its digests do not give away: any mutation, then in most cases the
// digests of frames and index are put right, so that what lies behind them is reached.
#include <cstring>
#include <string>

#include "tests/fuzz/mutator.h"
#include "traces/container_format.h"

namespace tierscope::testing {
namespace {

using container::DigestOf;
using container::kTrailerBytes;
using container::ReadWord64;

constexpr size_t kFrameInfoBytes = 40;

void WriteWord64(uint64_t word, char* bytes) {
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(word >> (8 * i));
}

// Every digest that the index lists, as far as what it lists lies inside the file; then its own.
void RepairDigests(std::string* file) {
  const size_t size = file->size();
  if (size < container::kHeadBytes + container::kIndexBytesMin) return;
  char* const trailer = file->data() + size - kTrailerBytes;
  const uint64_t index_bytes = ReadWord64(trailer + 8);
  if (index_bytes < container::kIndexBytesMin || index_bytes > size) return;
  char* const index = file->data() + size - index_bytes;
  for (char* info = index + 32; info + kFrameInfoBytes <= trailer; info += kFrameInfoBytes) {
    const uint64_t offset = ReadWord64(info);
    const uint64_t bytes = ReadWord64(info + 8);
    if (offset > size || bytes > size - offset) continue;
    WriteWord64(DigestOf({file->data() + offset, static_cast<size_t>(bytes)}), info + 32);
  }
  WriteWord64(DigestOf({index, static_cast<size_t>(trailer - index)}), trailer);
}

}  // namespace
}  // namespace tierscope::testing

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  using tierscope::testing::Mutate;
  std::string file(reinterpret_cast<const char*>(data), size);
  Mutate(&file);
  if (seed % 4 != 0) tierscope::testing::RepairDigests(&file);
  return tierscope::testing::Give(file, data, max_size);
}
