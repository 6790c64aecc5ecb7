#include "sim/base/digest.h"

#include <cstring>

#include "absl/strings/str_cat.h"

#include "sim/base/rng.h"

namespace tierscope {

void Digest::Add(absl::string_view bytes) {
  const char* p = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    Add(word);
  }
  uint64_t tail = 0;
  if (left > 0) std::memcpy(&tail, p, left);  // an empty view may point nowhere
  Add(tail);
  Add(static_cast<uint64_t>(bytes.size()));
}

uint64_t Digest::value() const { return MixBits(state_); }

std::string Digest::hex() const { return absl::StrCat(absl::Hex(value(), absl::kZeroPad16)); }

}  // namespace tierscope
