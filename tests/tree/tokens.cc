#include "tests/tree/tokens.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace tierscope::testing {
namespace {

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
}
bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

class Tokenizer {
 public:
  explicit Tokenizer(absl::string_view text) : rest_(text) {}

  std::vector<Token> Run() {
    while (!rest_.empty()) Step();
    return std::move(tokens_);
  }

 private:
  void Step() {
    const char c = rest_[0];
    if (absl::StartsWith(rest_, "//")) return Skip(rest_.find('\n'));
    if (absl::StartsWith(rest_, "/*")) return SkipPast(rest_.find("*/", 2), 2);
    if (absl::StartsWith(rest_, "R\"")) return SkipRawString();
    if (c == '"' || c == '\'') return SkipLiteral(c);
    if (IsDigit(c)) return Skip(EndOfNumber());
    if (IsNameCharacter(c)) return Take(EndOfName(), true);
    if (absl::ascii_isspace(static_cast<unsigned char>(c))) return Skip(1);
    const bool two = absl::StartsWith(rest_, "::") || absl::StartsWith(rest_, "->");
    Take(two ? 2 : 1, false);
  }

  size_t EndOfName() const {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), IsNameCharacter);
    return static_cast<size_t>(end - rest_.begin());
  }
  size_t EndOfNumber() const {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), [](char c) {
      return IsNameCharacter(c) || c == '.' || c == '\'';  // 1'000, 0x1.0p-53
    });
    return static_cast<size_t>(end - rest_.begin());
  }
  void SkipLiteral(char quote) {
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != quote && rest_[end] != '\n')
      end += rest_[end] == '\\' ? 2 : 1;
    SkipPast(end, 1);
  }
  void SkipRawString() {
    const size_t open = rest_.find('(');
    if (open == absl::string_view::npos) return Skip(open);
    const std::string close = absl::StrCat(")", rest_.substr(2, open - 2), "\"");
    SkipPast(rest_.find(close, open), close.size());
  }

  void SkipPast(size_t end, size_t length) {
    Skip(end == absl::string_view::npos ? end : end + length);
  }
  void Skip(size_t length) {
    length = std::min(length, rest_.size());
    line_ += static_cast<int>(
        std::count(rest_.begin(), rest_.begin() + static_cast<long>(length), '\n'));
    rest_.remove_prefix(length);
  }
  void Take(size_t length, bool is_name) {
    tokens_.push_back({std::string(rest_.substr(0, length)), line_, is_name});
    rest_.remove_prefix(length);
  }

  absl::string_view rest_;
  int line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Tokenize(absl::string_view text) { return Tokenizer(text).Run(); }

}  // namespace tierscope::testing
