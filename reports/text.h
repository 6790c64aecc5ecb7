// Text that comes from users made safe to print: strings reach reports through these functions
// only. Pure functions; cost linear in the input.
#ifndef TIERSCOPE_REPORTS_TEXT_H_
#define TIERSCOPE_REPORTS_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace tierscope {

// `text` with every byte that is not part of valid UTF-8 replaced by U+FFFD. Overlong forms,
// surrogates and values above U+10FFFF are not valid.
std::string ValidUtf8(absl::string_view text);

// Valid UTF-8 on one line: every control character, line break or escape sequence's start, becomes
// a space, and bidirectional overrides become U+FFFD, so that a name cannot redraw the terminal.
std::string OneLine(absl::string_view text);

// Valid UTF-8 with & < > " ' as entities and control characters but newline and tab as U+FFFD: safe
// as HTML text and inside a quoted attribute.
std::string HtmlEscaped(absl::string_view text);

// Valid UTF-8 on one line with what Markdown, and the HTML in it, give a meaning taken away from
// it: safe as a paragraph and in the cell of a table.
std::string MarkdownEscaped(absl::string_view text);

// Code points in valid UTF-8: columns on a terminal, wide characters aside.
size_t ColumnsOf(absl::string_view text);

// The first `columns` code points of `text`, the last an ellipsis when some were left off.
std::string Shortened(absl::string_view text, size_t columns);

// Words of `text` in lines of at most `columns`, longer words cut.
std::string Wrapped(absl::string_view text, size_t columns, absl::string_view indent);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_TEXT_H_
