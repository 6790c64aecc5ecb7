#include "traces/npy_file.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kPreludeBytes = 12;  // magic, version, header length of versions 2 and 3
constexpr int64_t kHeaderBytesMax = 64 * 1024;
constexpr int64_t kTokensMax = int64_t{1} << 28;

int64_t LittleEndian(absl::string_view bytes) {
  int64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// The value of 'key' in the header's dictionary: a word, a quoted text or a tuple.
absl::string_view ValueOf(absl::string_view header, absl::string_view key) {
  size_t at = header.find(absl::StrCat("'", key, "'"));
  if (at == absl::string_view::npos) return "";
  at = header.find(':', at);
  if (at == absl::string_view::npos) return "";
  absl::string_view rest = absl::StripLeadingAsciiWhitespace(header.substr(at + 1));
  if (rest.empty()) return "";
  const bool is_word = rest[0] != '(' && rest[0] != '\'';
  const size_t end = rest.find_first_of(is_word ? ",}" : rest[0] == '(' ? ")" : "'", 1);
  if (end == absl::string_view::npos) return "";
  return absl::StripAsciiWhitespace(rest.substr(0, is_word ? end : end + 1));
}

absl::Status BadHeader(const ByteSource& source, absl::string_view what, absl::string_view mend) {
  return BadInput(PlaceOfOffset(source.name(), 0), what, mend);
}

absl::Status CheckDtype(const ByteSource& source, absl::string_view header) {
  absl::string_view dtype = ValueOf(header, "descr");
  if (dtype == "'<i4'") return absl::OkStatus();
  if (dtype.empty()) {
    return BadHeader(source, "the .npy header names no dtype", "save the array again");
  }
  absl::ConsumePrefix(&dtype, "'");
  absl::ConsumeSuffix(&dtype, "'");
  return BadHeader(source, absl::StrCat("dtype ", Quoted(dtype), ", expected '<i4'"),
                   "save it as little-endian int32: numpy.save(f, a.astype('<i4'))");
}

absl::Status CheckOrder(const ByteSource& source, absl::string_view header) {
  const absl::string_view order = ValueOf(header, "fortran_order");
  if (order == "False") return absl::OkStatus();
  if (order == "True") {
    return BadHeader(source, "the array is in Fortran order",
                     "save it in C order: numpy.save(f, numpy.ascontiguousarray(a))");
  }
  return BadHeader(source, "the .npy header does not say fortran_order", "save the array again");
}

absl::StatusOr<std::vector<int64_t>> Shape(const ByteSource& source, absl::string_view header) {
  absl::string_view tuple = ValueOf(header, "shape");
  std::vector<int64_t> shape;
  bool whole = absl::ConsumePrefix(&tuple, "(") && absl::ConsumeSuffix(&tuple, ")");
  for (const absl::string_view part : absl::StrSplit(tuple, ',')) {
    const absl::string_view number = absl::StripAsciiWhitespace(part);
    if (number.empty()) continue;
    whole &= absl::SimpleAtoi(number, &shape.emplace_back());
  }
  if (!whole) return BadHeader(source, "the .npy header's shape is no tuple", "save it again");
  if (shape.size() != 3) {
    return BadHeader(source, absl::StrCat("an array of ", shape.size(), " dimensions, expected 3"),
                     "give [tokens, layers, topk]; reshape before saving");
  }
  return shape;
}

absl::Status CheckDimension(const ByteSource& source, const char* name, int64_t value,
                            int64_t most) {
  if (value >= 1 && value <= most) return absl::OkStatus();
  return BadHeader(source, absl::StrCat(name, " dimension ", value, ", expected 1 to ", most),
                   "give [tokens, layers, topk] of one request");
}

absl::StatusOr<TopkArray> MakeArray(const ByteSource& source, int64_t offset, int64_t tokens,
                                    int64_t layers, int64_t topk) {
  TIERSCOPE_RETURN_IF_ERROR(CheckDimension(source, "tokens", tokens, kTokensMax));
  TIERSCOPE_RETURN_IF_ERROR(CheckDimension(source, "layers", layers, kLayerCountMax));
  TIERSCOPE_RETURN_IF_ERROR(CheckDimension(source, "topk", topk, kTopKMax));
  return TopkArray{offset, tokens, static_cast<int32_t>(layers), static_cast<int32_t>(topk)};
}

// The header's text; `data_offset` is set to what follows it.
absl::StatusOr<std::string> HeaderText(const ByteSource& source, int64_t* data_offset) {
  std::string prelude(static_cast<size_t>(std::min(kPreludeBytes, source.size_bytes())), '\0');
  TIERSCOPE_RETURN_IF_ERROR(source.ReadAt(0, prelude.data(), static_cast<int64_t>(prelude.size())));
  if (prelude.substr(0, kNpyMagic.size()) != kNpyMagic) {
    return BadHeader(source, "this is no .npy file", "save the capture with numpy.save");
  }
  const int version = prelude.size() > 6 ? prelude[6] : 0;
  if (static_cast<int64_t>(prelude.size()) < kPreludeBytes || version < 1 || version > 3) {
    return BadHeader(source, "the .npy header is cut or of an unknown version",
                     "save the array again with numpy.save");
  }
  const int64_t begin = version == 1 ? 10 : 12;
  const int64_t length =
      LittleEndian(absl::string_view(prelude).substr(8, static_cast<size_t>(begin - 8)));
  if (length > kHeaderBytesMax || begin + length > source.size_bytes()) {
    return BadHeader(source, absl::StrCat("the .npy header claims ", length, " bytes"),
                     "the file is cut or damaged; copy or save it again");
  }
  std::string text(static_cast<size_t>(length), '\0');
  TIERSCOPE_RETURN_IF_ERROR(source.ReadAt(begin, text.data(), length));
  *data_offset = begin + length;
  return text;
}

}  // namespace

absl::StatusOr<TopkArray> ReadNpyHeader(const ByteSource& source) {
  int64_t offset = 0;
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string header, HeaderText(source, &offset));
  TIERSCOPE_RETURN_IF_ERROR(CheckDtype(source, header));
  TIERSCOPE_RETURN_IF_ERROR(CheckOrder(source, header));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, Shape(source, header));
  TIERSCOPE_ASSIGN_OR_RETURN(const TopkArray array,
                             MakeArray(source, offset, shape[0], shape[1], shape[2]));
  const int64_t expected = offset + array.tokens * array.token_bytes();
  if (expected == source.size_bytes()) return array;
  const bool is_cut = source.size_bytes() < expected;
  return BadInput(PlaceOfOffset(source.name(), std::min(expected, source.size_bytes())),
                  absl::StrCat(is_cut ? "the file is cut: " : "bytes behind the array: ",
                               source.size_bytes(), " bytes, the header promises ", expected),
                  "copy or save it again");
}

absl::StatusOr<TopkArray> RawTopkArray(const ByteSource& source, int64_t layers, int64_t topk) {
  TIERSCOPE_ASSIGN_OR_RETURN(TopkArray array, MakeArray(source, 0, 1, layers, topk));
  if (source.size_bytes() == 0 || source.size_bytes() % array.token_bytes() != 0) {
    return BadHeader(source,
                     absl::StrCat(source.size_bytes(), " bytes are no whole number of tokens of ",
                                  layers, " layers and top ", topk),
                     "correct --layers and --topk, or fetch the response again");
  }
  return MakeArray(source, 0, source.size_bytes() / array.token_bytes(), layers, topk);
}

std::string NpyHeader(int64_t tokens, int32_t layers, int32_t topk) {
  std::string dictionary = absl::StrCat("{'descr': '<i4', 'fortran_order': False, 'shape': (",
                                        tokens, ", ", layers, ", ", topk, "), }");
  while ((10 + dictionary.size() + 1) % 64 != 0) dictionary.push_back(' ');
  dictionary.push_back('\n');
  std::string header(kNpyMagic);
  header.append({'\x01', '\x00', static_cast<char>(dictionary.size() & 0xff),
                 static_cast<char>(dictionary.size() >> 8)});
  return header + dictionary;
}

}  // namespace tierscope
