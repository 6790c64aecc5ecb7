// One libFuzzer binary a target: TIERSCOPE_FUZZ_TARGET is its name.
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "google/protobuf/stubs/logging.h"

#include "sim/base/check.h"
#include "tests/fuzz/targets.h"

extern "C" const char* __asan_default_options() {
  // Abseil and protobuf are Debian's and not instrumented, so a std::vector or std::string that
  // grows on their side of a call is not annotated there: container-overflow would be reported
  // where nothing is wrong.
  return "detect_container_overflow=0";
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const auto& target : tierscope::testing::kFuzzTargets) {
    if (absl::string_view(target.name) != TIERSCOPE_FUZZ_TARGET) continue;
    target.run({reinterpret_cast<const char*>(data), size});
    return 0;
  }
  TIERSCOPE_CHECK(false);
}
