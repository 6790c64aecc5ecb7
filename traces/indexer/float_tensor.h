// Floats of a safetensors tensor, a range at a time, and a safetensors file written whole.
#ifndef TIERSCOPE_TRACES_INDEXER_FLOAT_TENSOR_H_
#define TIERSCOPE_TRACES_INDEXER_FLOAT_TENSOR_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "traces/byte_source.h"
#include "traces/safetensors.h"

namespace tierscope {

// OK when ReadFloats can read it: F32, BF16 or F16 with the shape given (-1 = any length). Error:
// tensor, its dtype and shape, what was expected; for fp8 with block scales, to convert it.
absl::Status CheckFloatTensor(const ByteSource& source, const Tensor& tensor,
                              std::span<const int64_t> shape);

// Elements [begin, begin + out.size()) in the order of the file. Error: one that is not finite,
// with its place. Precondition: CheckFloatTensor was OK.
absl::Status ReadFloats(const ByteSource& source, const Tensor& tensor, int64_t begin,
                        std::span<float> out);

// A tensor to write: `bytes` must live until WriteSafetensors returns.
struct TensorView {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  absl::string_view bytes;
};

TensorView FloatView(const std::string& name, const std::vector<int64_t>& shape,
                     const std::vector<float>& values);
TensorView LongView(const std::string& name, const std::vector<int64_t>& shape,
                    const std::vector<int64_t>& values);

// Writes to a temporary name and renames: the old file or the new one, never half of one.
absl::Status WriteSafetensors(const std::vector<TensorView>& tensors, const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_FLOAT_TENSOR_H_
