// What the benches of ops fill their memory with: finite numbers without a pattern, that decide
// nothing. Pure functions, but for the state of PlainBytes.
#ifndef TIERSCOPE_REAL_OP_CONTENT_H_
#define TIERSCOPE_REAL_OP_CONTENT_H_

#include <cstdint>
#include <vector>

namespace tierscope {

// A sequence without a pattern that caches or compressors would find.
struct PlainBytes {
  uint32_t state = 12345;
  uint8_t Next() {
    state = state * 1664525u + 1013904223u;
    return static_cast<uint8_t>(state >> 24);
  }
};

// e4m3 of either sign and of size 1/16 to 4.
std::vector<uint8_t> Fp8Values(int64_t count);
// bf16 of either sign and of size 1/4 to 1.
std::vector<uint16_t> Bf16Values(int64_t count);
// Entries over a threshold of each page, 0 to kPageEntries.
std::vector<uint8_t> Densities(int64_t pages, PlainBytes* bytes);
// kIndexPageBytes: keys of a page and their scales.
std::vector<uint8_t> KeyPage();
// kKvPageLayerBytes: a page of one layer, rows of fp8 and bf16, then scales of 1.
std::vector<uint8_t> KvPage();

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_OP_CONTENT_H_
