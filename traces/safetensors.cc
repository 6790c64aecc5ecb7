#include "traces/safetensors.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"

#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"
#include "traces/json_value.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kHeaderBytesMax = int64_t{16} << 20;
constexpr size_t kTensorsMax = 65'536;
constexpr int64_t kDimensionMax = int64_t{1} << 40;
constexpr size_t kDimensionsMax = 8;
constexpr size_t kNameBytesMax = 200;

// Bytes of an element; 0 for an unknown type.
int64_t ElementBytes(absl::string_view dtype) {
  static const auto& bytes = *new std::map<std::string, int64_t>{
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},   {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"U16", 2},
      {"I16", 2},  {"F16", 2}, {"BF16", 2}, {"U32", 4},     {"I32", 4},     {"F32", 4},
      {"U64", 8},  {"I64", 8}, {"F64", 8},  {"C64", 8}};
  const auto at = bytes.find(std::string(dtype));
  return at == bytes.end() ? 0 : at->second;
}

template <typename... Parts>
absl::Status Bad(const ByteSource& source, const Parts&... what) {
  return BadInput(PlaceOfOffset(source.name(), 0),
                  absl::StrCat("the safetensors header: ", what...),
                  "the file is cut or damaged; convert or copy it again");
}

absl::Status CheckTensor(const ByteSource& source, const Tensor& tensor) {
  const int64_t element_bytes = ElementBytes(tensor.dtype);
  if (element_bytes == 0)
    return Bad(source, tensor.name, " has unknown dtype ", Quoted(tensor.dtype));
  if (tensor.shape.size() > kDimensionsMax)
    return Bad(source, tensor.name, " has ", tensor.shape.size(), " dimensions");
  int64_t bytes = element_bytes;
  for (const int64_t dimension : tensor.shape) {
    if (dimension < 0 || dimension > kDimensionMax ||
        __builtin_mul_overflow(bytes, dimension, &bytes)) {
      return Bad(source, tensor.name, " has an impossible dimension ", dimension);
    }
  }
  if (bytes != tensor.bytes) {
    return Bad(source, tensor.name, " has ", tensor.bytes, " bytes, its shape needs ", bytes);
  }
  return absl::OkStatus();
}

absl::Status ReadTensor(const simdjson::dom::element& value, Tensor* tensor, bool* is_whole) {
  std::string_view dtype;
  simdjson::dom::array shape, offsets;
  *is_whole = value["dtype"].get(dtype) == simdjson::SUCCESS &&
              value["shape"].get(shape) == simdjson::SUCCESS &&
              value["data_offsets"].get(offsets) == simdjson::SUCCESS && offsets.size() == 2;
  if (!*is_whole) return absl::OkStatus();
  tensor->dtype.assign(dtype);
  int64_t number = 0;
  for (const auto dimension : shape) {
    *is_whole &= dimension.get(number) == simdjson::SUCCESS;
    tensor->shape.push_back(number);
  }
  int64_t end = 0;
  *is_whole &= offsets.at(0).get(tensor->offset) == simdjson::SUCCESS &&
               offsets.at(1).get(end) == simdjson::SUCCESS && tensor->offset >= 0 &&
               tensor->offset <= end;
  tensor->bytes = end - tensor->offset;
  return absl::OkStatus();
}

absl::Status CheckLayout(const ByteSource& source, int64_t data_begin,
                         const std::vector<Tensor>& tensors) {
  std::vector<const Tensor*> by_offset;
  std::set<std::string> names;
  for (const Tensor& tensor : tensors) {
    by_offset.push_back(&tensor);
    if (!names.insert(tensor.name).second) return Bad(source, tensor.name, " stands twice");
  }
  std::sort(by_offset.begin(), by_offset.end(),
            [](const Tensor* a, const Tensor* b) { return a->offset < b->offset; });
  int64_t at = data_begin;
  for (const Tensor* tensor : by_offset) {
    if (tensor->offset < at) return Bad(source, tensor->name, " overlaps another tensor");
    at = tensor->offset + tensor->bytes;
    if (at > source.size_bytes()) {
      return BadInput(PlaceOfOffset(source.name(), source.size_bytes()),
                      absl::StrCat("the file is cut: ", tensor->name, " ends at ", at),
                      "copy or convert it again");
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool LooksLikeSafetensors(absl::string_view head) {
  uint64_t length = 0;
  if (head.size() < 10) return false;
  std::memcpy(&length, head.data(), 8);
  return length >= 2 && length <= static_cast<uint64_t>(kHeaderBytesMax) && head[8] == '{';
}

absl::StatusOr<std::vector<Tensor>> ReadSafetensorsHeader(const ByteSource& source) {
  char prefix[8];
  TIERSCOPE_RETURN_IF_ERROR(source.ReadAt(0, prefix, 8));
  uint64_t length = 0;
  std::memcpy(&length, prefix, 8);
  const int64_t left = source.size_bytes() - 8;
  if (length > static_cast<uint64_t>(std::min(left, kHeaderBytesMax))) {
    return Bad(source, "it claims ", length, " bytes of the ", left, " that follow");
  }
  std::string text(length, '\0');
  TIERSCOPE_RETURN_IF_ERROR(source.ReadAt(8, text.data(), static_cast<int64_t>(length)));
  simdjson::dom::parser parser;
  simdjson::dom::object header;
  if (const auto error = parser.parse(text).get(header); error != simdjson::SUCCESS) {
    return At(PlaceOfOffset(source.name(), 8), BadJson(error));
  }
  const auto data_begin = static_cast<int64_t>(length) + 8;
  std::vector<Tensor> tensors;
  for (const auto field : header) {
    if (field.key == "__metadata__") continue;
    Tensor tensor;
    tensor.name.assign(field.key);
    bool is_whole = false;
    TIERSCOPE_RETURN_IF_ERROR(ReadTensor(field.value, &tensor, &is_whole));
    if (!IsPlainText(tensor.name) || tensor.name.size() > kNameBytesMax) {
      return Bad(source, "the tensor's name ", Quoted(tensor.name), " is no plain text of at most ",
                 kNameBytesMax, " bytes");
    }
    if (!is_whole) return Bad(source, tensor.name, " lacks dtype, shape or data_offsets");
    if (tensor.offset > kDimensionMax) return Bad(source, tensor.name, " lies outside the file");
    tensor.offset += data_begin;
    TIERSCOPE_RETURN_IF_ERROR(CheckTensor(source, tensor));
    tensors.push_back(std::move(tensor));
    if (tensors.size() > kTensorsMax) return Bad(source, "more than ", kTensorsMax, " tensors");
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckLayout(source, data_begin, tensors));
  return tensors;
}

}  // namespace tierscope
