#include "real/shared_library.h"

#include <dlfcn.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tierscope {

absl::StatusOr<SharedLibrary> SharedLibrary::Open(const std::string& what, const char* symbol,
                                                  std::initializer_list<const char*> names,
                                                  const std::string& advice) {
  SharedLibrary library;
  library.what_ = what;
  if (dlsym(RTLD_DEFAULT, symbol) != nullptr) return library;
  std::string words;
  for (const char* name : names) {
    library.handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library.handle_ != nullptr) return library;
    if (words.empty()) words = dlerror();
  }
  return absl::UnavailableError(absl::StrCat(what, ": none of ", absl::StrJoin(names, ", "),
                                             " can be loaded (", words, "); ", advice));
}

absl::Status SharedLibrary::FindSymbol(const char* symbol, void** found) const {
  *found = dlsym(handle_ == nullptr ? RTLD_DEFAULT : handle_, symbol);
  if (*found != nullptr) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(what_, ": has no ", symbol, "; it is too old"));
}

}  // namespace tierscope
