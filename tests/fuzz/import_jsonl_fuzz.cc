// libFuzzer target: `tierscope trace import` of jsonl inputs. Corpus: corpus/import_jsonl.
#include "tests/fuzz/import_inputs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tierscope::fuzz::ImportJsonlInput(data, size);
  return 0;
}
