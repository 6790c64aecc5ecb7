// libFuzzer target: `tierscope trace import` of safetensors inputs. Corpus:
// corpus/import_safetensors.
#include "tests/fuzz/import_inputs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tierscope::fuzz::ImportSafetensorsInput(data, size);
  return 0;
}
