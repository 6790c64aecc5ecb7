// The header of a safetensors file: which tensors it holds and where. Format: an 8-byte
// little-endian length, that many bytes of JSON, then data; offsets count from behind the JSON.
#ifndef TIERSCOPE_TRACES_SAFETENSORS_H_
#define TIERSCOPE_TRACES_SAFETENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "traces/byte_source.h"

namespace tierscope {

struct Tensor {
  std::string name;
  std::string dtype;  // "I64", "F32", ... as the file says
  std::vector<int64_t> shape;
  int64_t offset = 0;  // of its data in the file
  int64_t bytes = 0;
  int64_t elements() const {
    int64_t product = 1;
    for (const int64_t dimension : shape) product *= dimension;
    return product;
  }
};

// Whether the first bytes of a file look like a safetensors file.
bool LooksLikeSafetensors(absl::string_view head);

// Every tensor of the file, in the order of the header. Errors: a header that is cut, too long or
// no JSON, an unknown dtype, a shape that is not its data's length, data outside the file or
// overlapping, names that repeat.
absl::StatusOr<std::vector<Tensor>> ReadSafetensorsHeader(const ByteSource& source);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_SAFETENSORS_H_
