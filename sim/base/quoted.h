// Text from outside as a message shows it.
#ifndef TIERSCOPE_SIM_BASE_QUOTED_H_
#define TIERSCOPE_SIM_BASE_QUOTED_H_

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace tierscope {

// 'text', at most 60 bytes of it, everything unprintable as \x escapes: a message stays one short
// line whatever a file holds.
inline std::string Quoted(absl::string_view text) {
  constexpr size_t kBytesMax = 60;
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, kBytesMax)),
                      text.size() > kBytesMax ? "..." : "", "'");
}

// No byte of a control character: what a name may hold that stands in messages as it is.
inline bool IsPlainText(absl::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_QUOTED_H_
