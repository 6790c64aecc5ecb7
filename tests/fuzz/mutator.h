// What libFuzzer gives a custom mutator.
#ifndef TIERSCOPE_TESTS_FUZZ_MUTATOR_H_
#define TIERSCOPE_TESTS_FUZZ_MUTATOR_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

// libFuzzer's own mutations, in place; returns the new size, at most `max_size`.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// Defined by a target's mutator file; libFuzzer calls it instead of its own.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed);

namespace tierscope::testing {

// libFuzzer's mutation of a string of at most `grown` more bytes.
inline void Mutate(std::string* bytes, size_t grown = 16) {
  const size_t size = bytes->size();
  bytes->resize(size + grown);
  auto* data = reinterpret_cast<uint8_t*>(bytes->data());
  bytes->resize(LLVMFuzzerMutate(data, size, size + grown));
}

// `bytes` as the mutator's result; what does not fit is cut.
inline size_t Give(const std::string& bytes, uint8_t* data, size_t max_size) {
  const size_t size = bytes.size() < max_size ? bytes.size() : max_size;
  std::memcpy(data, bytes.data(), size);
  return size;
}

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_FUZZ_MUTATOR_H_
