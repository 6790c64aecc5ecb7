// libFuzzer target: `tierscope trace import` of npy inputs. Corpus: corpus/import_npy.
#include "tests/fuzz/import_inputs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tierscope::fuzz::ImportNpyInput(data, size);
  return 0;
}
