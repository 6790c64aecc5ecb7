#include "traces/indexer/float_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "kernels/fp8.h"
#include "reports/atomic_file.h"
#include "sim/base/status_macros.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

// IEEE 754 binary16; exact.
float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7FFF;
  if (magnitude >= 0x7C00) return FloatOfBits(sign | 0x7F800000 | (magnitude & 0x3FF) << 13);
  // The bits as a float are the value times 2^-112, subnormals included.
  return FloatOfBits(sign | magnitude << 13) * 0x1p112f;
}

float FloatAt(const std::string& dtype, const char* bytes) {
  if (dtype == "F32") {
    float value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return dtype == "BF16" ? Bf16ToFloat(bits) : HalfToFloat(bits);
}

std::string ShapeText(std::span<const int64_t> shape) {
  std::vector<std::string> dimensions;
  for (const int64_t d : shape) dimensions.push_back(d < 0 ? "any" : absl::StrCat(d));
  return absl::StrCat("[", absl::StrJoin(dimensions, ", "), "]");
}

bool Fits(std::span<const int64_t> shape, std::span<const int64_t> expected) {
  if (shape.size() != expected.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (expected[i] >= 0 && shape[i] != expected[i]) return false;
  }
  return true;
}

// Chunks keep memory small next to what they fill.
constexpr size_t kChunkElements = size_t{1} << 16;

template <typename T>
TensorView ViewOf(const std::string& name, const std::string& dtype,
                  const std::vector<int64_t>& shape, const std::vector<T>& values) {
  return {
      name, dtype, shape,
      absl::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T))};
}

}  // namespace

absl::Status CheckFloatTensor(const ByteSource& source, const Tensor& tensor,
                              std::span<const int64_t> shape) {
  const std::string& t = tensor.dtype;
  if (t == "F8_E4M3" || t == "F8_E5M2" || t == "U8") {
    return BadInput(source.name(), absl::StrCat(tensor.name, " has dtype ", t),
                    "weights in fp8 with block scales are not read: save them as F32 or BF16");
  }
  if (t != "F32" && t != "BF16" && t != "F16") {
    return BadInput(source.name(), absl::StrCat(tensor.name, " has dtype ", t),
                    "expected F32, BF16 or F16");
  }
  if (Fits(tensor.shape, shape)) return absl::OkStatus();
  return BadInput(source.name(),
                  absl::StrCat(tensor.name, " has shape ", ShapeText(tensor.shape), ", expected ",
                               ShapeText(shape)),
                  "give the files that belong together");
}

absl::Status ReadFloats(const ByteSource& source, const Tensor& tensor, int64_t begin,
                        std::span<float> out) {
  const int64_t element_bytes = tensor.dtype == "F32" ? 4 : 2;
  std::string bytes;
  for (size_t done = 0; done < out.size();) {
    const size_t count = std::min(kChunkElements, out.size() - done);
    const int64_t at = tensor.offset + (begin + static_cast<int64_t>(done)) * element_bytes;
    bytes.resize(count * static_cast<size_t>(element_bytes));
    TIERSCOPE_RETURN_IF_ERROR(source.ReadAt(at, bytes.data(), static_cast<int64_t>(bytes.size())));
    for (size_t i = 0; i < count; ++i) {
      const float value =
          FloatAt(tensor.dtype, bytes.data() + i * static_cast<size_t>(element_bytes));
      out[done + i] = value;
      if (std::isfinite(value)) continue;
      return BadInput(
          PlaceOfOffset(source.name(), at + static_cast<int64_t>(i) * element_bytes),
          absl::StrCat(tensor.name, "[", begin + static_cast<int64_t>(done + i), "] is not finite"),
          "the file is damaged, or what wrote it diverged");
    }
    done += count;
  }
  return absl::OkStatus();
}

TensorView FloatView(const std::string& name, const std::vector<int64_t>& shape,
                     const std::vector<float>& values) {
  return ViewOf(name, "F32", shape, values);
}

TensorView LongView(const std::string& name, const std::vector<int64_t>& shape,
                    const std::vector<int64_t>& values) {
  return ViewOf(name, "I64", shape, values);
}

absl::Status WriteSafetensors(const std::vector<TensorView>& tensors, const std::string& path) {
  std::vector<std::string> fields = {"\"__metadata__\":{\"format\":\"pt\"}"};
  size_t at = 0;
  for (const TensorView& tensor : tensors) {
    fields.push_back(absl::StrCat("\"", tensor.name, "\":{\"dtype\":\"", tensor.dtype,
                                  "\",\"shape\":[", absl::StrJoin(tensor.shape, ","),
                                  "],\"data_offsets\":[", at, ",", at + tensor.bytes.size(), "]}"));
    at += tensor.bytes.size();
  }
  std::string header = absl::StrCat("{", absl::StrJoin(fields, ","), "}");
  header.resize((header.size() + 7) / 8 * 8, ' ');  // tensors stand aligned
  const uint64_t length = header.size();
  AtomicFile file;
  TIERSCOPE_RETURN_IF_ERROR(file.Open(path));
  file.Append(absl::string_view(reinterpret_cast<const char*>(&length), sizeof length));
  file.Append(header);
  for (const TensorView& tensor : tensors) file.Append(tensor.bytes);
  return file.Commit();
}

}  // namespace tierscope
