#include "reports/json_writer.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"

#include "reports/text.h"
#include "sim/base/check.h"

namespace tierscope {
namespace {

constexpr double kLargestPlain = 0x1.0p53;

void AppendEscaped(char c, std::string* out) {
  switch (c) {
    case '"':
      *out += "\\\"";
      return;
    case '\\':
      *out += "\\\\";
      return;
    case '\n':
      *out += "\\n";
      return;
    case '\r':
      *out += "\\r";
      return;
    case '\t':
      *out += "\\t";
      return;
  }
  if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) {
    *out += c;
    return;
  }
  char buffer[8];
  std::snprintf(buffer, sizeof(buffer), "\\u%04x", static_cast<unsigned char>(c));
  *out += buffer;
}

}  // namespace

void AppendJsonString(absl::string_view text, std::string* out) {
  *out += '"';
  for (char c : ValidUtf8(text)) AppendEscaped(c, out);
  *out += '"';
}

void AppendJsonNumber(double value, std::string* out) {
  TIERSCOPE_CHECK(std::isfinite(value));
  char buffer[32];
  // Large values get an exponent: without one they look like integers, which readers limit to 64
  // bits.
  const bool large = std::abs(value) >= kLargestPlain;
  const std::to_chars_result end =
      large ? std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific)
            : std::to_chars(buffer, buffer + sizeof(buffer), value);
  TIERSCOPE_CHECK(end.ec == std::errc());
  out->append(buffer, end.ptr);
}

JsonWriter& JsonWriter::Begin(char bracket, Layout layout) {
  BeforeValue();
  // Inside an inline object everything stays on its line.
  if (!stack_.empty() && stack_.back().layout == Layout::kInline) layout = Layout::kInline;
  stack_.push_back({bracket, layout});
  *out_ += bracket;
  return *this;
}

JsonWriter& JsonWriter::End(char bracket) {
  TIERSCOPE_CHECK(!stack_.empty() && !stack_.back().has_key);
  TIERSCOPE_CHECK(stack_.back().bracket == (bracket == '}' ? '{' : '['));
  const Level closed = stack_.back();
  stack_.pop_back();
  if (!closed.empty && closed.layout == Layout::kBlock) Indent();
  *out_ += bracket;
  return *this;
}

JsonWriter& JsonWriter::Key(absl::string_view key) {
  TIERSCOPE_CHECK(!stack_.empty() && stack_.back().bracket == '{' && !stack_.back().has_key);
  Separate(&stack_.back());
  stack_.back().has_key = true;
  AppendJsonString(key, out_);
  *out_ += ": ";
  return *this;
}

JsonWriter& JsonWriter::String(absl::string_view value) {
  BeforeValue();
  AppendJsonString(value, out_);
  return *this;
}

JsonWriter& JsonWriter::Int(int64_t value) {
  BeforeValue();
  absl::StrAppend(out_, value);
  return *this;
}

JsonWriter& JsonWriter::Uint(uint64_t value) {
  BeforeValue();
  absl::StrAppend(out_, value);
  return *this;
}

JsonWriter& JsonWriter::Double(double value) {
  BeforeValue();
  AppendJsonNumber(value, out_);
  return *this;
}

JsonWriter& JsonWriter::Bool(bool value) {
  BeforeValue();
  *out_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::Null() {
  BeforeValue();
  *out_ += "null";
  return *this;
}

void JsonWriter::BeforeValue() {
  if (stack_.empty()) {
    TIERSCOPE_CHECK(!written_);
    written_ = true;
    return;
  }
  Level& level = stack_.back();
  if (level.bracket == '[') {
    Separate(&level);
  } else {
    TIERSCOPE_CHECK(level.has_key);
    level.has_key = false;
  }
}

void JsonWriter::Separate(Level* level) {
  if (!level->empty) *out_ += level->layout == Layout::kInline ? ", " : ",";
  level->empty = false;
  if (level->layout == Layout::kBlock) Indent();
}

void JsonWriter::Indent() {
  *out_ += '\n';
  out_->append(2 * stack_.size(), ' ');
}

}  // namespace tierscope
