// libFuzzer target: `tierscope trace import` of recording inputs. Corpus: corpus/import_recording.
#include "tests/fuzz/import_inputs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tierscope::fuzz::ImportRecordingInput(data, size);
  return 0;
}
