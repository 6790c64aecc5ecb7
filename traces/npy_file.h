// NumPy's .npy format, versions 1 to 3, as far as indexer top-k captures need it: a C-ordered
// little-endian int32 array [tokens, layers, topk]. Format: numpy.lib.format.
#ifndef TIERSCOPE_TRACES_NPY_FILE_H_
#define TIERSCOPE_TRACES_NPY_FILE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "traces/byte_source.h"

namespace tierscope {

inline constexpr absl::string_view kNpyMagic = "\x93NUMPY";

// Where int32 values [tokens][layers][topk] lie in a source.
struct TopkArray {
  int64_t data_offset = 0;
  int64_t tokens = 0;
  int32_t layers = 0;
  int32_t topk = 0;
  int64_t token_bytes() const { return int64_t{4} * layers * topk; }
};

// Reads the header and checks it against the source's length. Errors name the offset: no .npy, a
// header that is cut or no Python dictionary, another dtype, byte order, dimension count or Fortran
// order, a dimension outside its limit, data that is cut or followed by more.
absl::StatusOr<TopkArray> ReadNpyHeader(const ByteSource& source);

// The same for raw values without a header, as SGLang puts them into a response. Errors: dimensions
// outside their limits, or a size that is no whole number of tokens.
absl::StatusOr<TopkArray> RawTopkArray(const ByteSource& source, int64_t layers, int64_t topk);

// A version 1 header for such an array, 64-byte aligned.
std::string NpyHeader(int64_t tokens, int32_t layers, int32_t topk);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_NPY_FILE_H_
