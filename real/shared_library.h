// A library that a machine may lack, looked up while the program runs. Stays loaded.
#ifndef TIERSCOPE_REAL_SHARED_LIBRARY_H_
#define TIERSCOPE_REAL_SHARED_LIBRARY_H_

#include <initializer_list>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tierscope {

class SharedLibrary {
 public:
  // What the process already has, if it has `symbol`; else the first of `names` that loads. Error:
  // Unavailable, "<what>: none of ... can be loaded: <the loader's words>; <advice>".
  static absl::StatusOr<SharedLibrary> Open(const std::string& what, const char* symbol,
                                            std::initializer_list<const char*> names,
                                            const std::string& advice);

  // Sets `*function` to the symbol. Error: Unavailable, the library does not have it.
  template <typename Function>
  absl::Status Find(const char* symbol, Function** function) const {
    void* found = nullptr;
    absl::Status status = FindSymbol(symbol, &found);
    *function = reinterpret_cast<Function*>(found);
    return status;
  }

 private:
  absl::Status FindSymbol(const char* symbol, void** found) const;

  std::string what_;
  void* handle_ = nullptr;  // null: the process itself
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_SHARED_LIBRARY_H_
