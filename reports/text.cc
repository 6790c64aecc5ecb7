#include "reports/text.h"

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tierscope {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";
constexpr absl::string_view kEllipsis = "\xE2\x80\xA6";

struct CodePoint {
  uint32_t value = 0;
  size_t bytes = 0;  // 0: not valid
};

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

// The code point at the start of `text`, which is not empty.
CodePoint Decode(absl::string_view text) {
  const uint8_t lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  uint32_t value = lead & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if (!IsContinuation(text[i])) return {};
    value = value << 6 | (static_cast<uint8_t>(text[i]) & 0x3Fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < kLeast[bytes] || value > 0x10FFFF || surrogate) return {};
  return {value, bytes};
}

// Calls visit(code point, its bytes) for each; an invalid byte is shown as U+FFFD.
template <typename Visit>
void ForEachCodePoint(absl::string_view text, Visit visit) {
  while (!text.empty()) {
    const CodePoint point = Decode(text);
    if (point.bytes == 0) {
      visit(uint32_t{0xFFFD}, kReplacement);
      text.remove_prefix(1);
    } else {
      visit(point.value, text.substr(0, point.bytes));
      text.remove_prefix(point.bytes);
    }
  }
}

bool IsControl(uint32_t value) { return value < 0x20 || (value >= 0x7F && value < 0xA0); }

bool IsLineSeparator(uint32_t value) { return value == 0x2028 || value == 0x2029; }

bool IsBidiControl(uint32_t value) {
  return (value >= 0x202A && value <= 0x202E) || (value >= 0x2066 && value <= 0x2069);
}

absl::string_view HtmlEntity(uint32_t value) {
  switch (value) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
  }
  return "";
}

}  // namespace

std::string ValidUtf8(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  ForEachCodePoint(text, [&](uint32_t, absl::string_view bytes) { absl::StrAppend(&out, bytes); });
  return out;
}

std::string OneLine(absl::string_view text) {
  std::string out;
  ForEachCodePoint(text, [&](uint32_t value, absl::string_view bytes) {
    if (IsControl(value) || IsLineSeparator(value)) {
      out += ' ';
    } else {
      absl::StrAppend(&out, IsBidiControl(value) ? kReplacement : bytes);
    }
  });
  return out;
}

std::string HtmlEscaped(absl::string_view text) {
  std::string out;
  ForEachCodePoint(text, [&](uint32_t value, absl::string_view bytes) {
    const bool hidden =
        (IsControl(value) && value != '\n' && value != '\t') || IsBidiControl(value);
    const absl::string_view entity = HtmlEntity(value);
    absl::StrAppend(&out, hidden ? kReplacement : entity.empty() ? bytes : entity);
  });
  return out;
}

std::string MarkdownEscaped(absl::string_view text) {
  std::string out;
  for (const char c : HtmlEscaped(OneLine(text))) {
    if (absl::string_view("\\`*_{}[]|!~").find(c) != absl::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

size_t ColumnsOf(absl::string_view text) {
  size_t columns = 0;
  for (char c : text) columns += IsContinuation(c) ? 0 : 1;
  return columns;
}

std::string Shortened(absl::string_view text, size_t columns) {
  if (ColumnsOf(text) <= columns) return std::string(text);
  std::string out;
  size_t taken = 0;
  ForEachCodePoint(text, [&](uint32_t, absl::string_view bytes) {
    if (++taken < columns) absl::StrAppend(&out, bytes);
  });
  return columns == 0 ? "" : absl::StrCat(out, kEllipsis);
}

std::string Wrapped(absl::string_view text, size_t columns, absl::string_view indent) {
  std::string out, line;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    const std::string cut = Shortened(word, columns);
    if (!line.empty() && ColumnsOf(line) + 1 + ColumnsOf(cut) > columns) {
      absl::StrAppend(&out, line, "\n", indent);
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? "" : " ", cut);
  }
  return absl::StrCat(out, line);
}

}  // namespace tierscope
