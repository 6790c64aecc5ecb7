// A 64-bit digest of a sequence of words or bytes: tells runs and inputs apart, not adversaries.
#ifndef TIERSCOPE_SIM_BASE_DIGEST_H_
#define TIERSCOPE_SIM_BASE_DIGEST_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace tierscope {

class Digest {
 public:
  // One multiply per word, so it can run over every semantic event of a simulation.
  void Add(uint64_t word) {
    state_ ^= word;
    state_ *= 0x9fb21c651e98df25ULL;
    state_ ^= state_ >> 32;
  }
  void Add(absl::string_view bytes);  // eight bytes at a time, then the length

  uint64_t value() const;
  std::string hex() const;  // 16 lower-case digits

 private:
  uint64_t state_ = 0x2545f4914f6cdd1dULL;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_DIGEST_H_
