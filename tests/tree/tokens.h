// C++ as a flat list of names and marks, without comments, numbers and the insides of literals.
#ifndef TIERSCOPE_TESTS_TREE_TOKENS_H_
#define TIERSCOPE_TESTS_TREE_TOKENS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace tierscope::testing {

struct Token {
  std::string text;  // a name, "::", "->", or one character
  int line;          // from 1
  bool is_name;
};

std::vector<Token> Tokenize(absl::string_view text);

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TREE_TOKENS_H_
