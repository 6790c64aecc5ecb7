// A streaming JSON writer: appends to a string, nothing is held but the stack of open brackets. The
// same calls give the same bytes. Misuse (a value without its key, a number that is not finite) is
// a CHECK. One thread. Cost: linear in the output.
#ifndef TIERSCOPE_REPORTS_JSON_WRITER_H_
#define TIERSCOPE_REPORTS_JSON_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace tierscope {

// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(absl::string_view text, std::string* out);

// Appends the shortest decimal that reads back as `value`, a finite number.
void AppendJsonNumber(double value, std::string* out);

class JsonWriter {
 public:
  enum class Layout { kBlock, kInline };  // a member a line; all on the bracket's line

  // Appends to `*out`, which outlives the writer and may hold text already.
  explicit JsonWriter(std::string* out) : out_(out) {}

  JsonWriter& BeginObject(Layout layout = Layout::kBlock) { return Begin('{', layout); }
  JsonWriter& EndObject() { return End('}'); }
  JsonWriter& BeginArray(Layout layout = Layout::kBlock) { return Begin('[', layout); }
  JsonWriter& EndArray() { return End(']'); }

  JsonWriter& Key(absl::string_view key);  // inside an object, before its value
  JsonWriter& String(absl::string_view value);
  JsonWriter& Int(int64_t value);
  JsonWriter& Uint(uint64_t value);
  JsonWriter& Double(double value);
  JsonWriter& Bool(bool value);
  JsonWriter& Null();

  // True when every bracket is closed and one value was written.
  bool complete() const { return stack_.empty() && written_; }

 private:
  struct Level {
    char bracket;
    Layout layout;
    bool empty = true;
    bool has_key = false;
  };
  JsonWriter& Begin(char bracket, Layout layout);
  JsonWriter& End(char bracket);
  void BeforeValue();
  void Separate(Level* level);
  void Indent();

  std::string* out_;
  std::vector<Level> stack_;
  bool written_ = false;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_JSON_WRITER_H_
