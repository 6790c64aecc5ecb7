// Imports one input of any bytes, as the fuzz targets and the replay of their corpus do: an error
// or a trace that reads, and nothing else.
#ifndef TIERSCOPE_TESTS_FUZZ_IMPORT_INPUTS_H_
#define TIERSCOPE_TESTS_FUZZ_IMPORT_INPUTS_H_

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/string_view.h"

#include "sim/base/check.h"
#include "sim/demand/distil.h"
#include "traces/import.h"

namespace tierscope::fuzz {

inline std::string ScratchFile(const char* name) {
  return (std::filesystem::temp_directory_path() /
          (std::string("tierscope-fuzz-") + std::to_string(getpid()) + "-" + name))
      .string();
}

// Small limits, so that an input cannot ask for a long run.
inline ImportOptions SmallOptions() {
  ImportOptions options;
  options.tokens_per_entry = 1;
  options.prompt_tokens = {10};
  options.prompt_start_tokens = 10;
  options.tick_stride_steps = 2;
  options.threshold = 0.5;
  options.layers = 1;
  options.topk = 3;
  return options;
}

// `wanted`: inputs of other formats are left out, so that a target stays at its own.
inline void ImportInput(const uint8_t* data, size_t size, bool (*wanted)(ImportFormat)) {
  const std::string in = ScratchFile("in"), out = ScratchFile("out");
  std::ofstream(in, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const auto format = DetectImportFormat(in);
  if (format.ok() && wanted(*format)) {
    const auto result = ImportAttentionTrace({in}, SmallOptions(), out);
    if (result.ok()) {
      DemandSpec spec;
      spec.policy = WantPolicy::kRecency;
      const auto demand = DistilTrace(out, spec);
      // What was written is read; only the tau of the spec need not fit the trace.
      TIERSCOPE_CHECK(demand.ok() || absl::IsInvalidArgument(demand.status()));
    }
  }
  std::remove(in.c_str());
  std::remove(out.c_str());
}

inline void ImportNpyInput(const uint8_t* data, size_t size) {
  ImportInput(data, size, [](ImportFormat f) { return f == ImportFormat::kTopkCapture; });
}
inline void ImportSafetensorsInput(const uint8_t* data, size_t size) {
  ImportInput(data, size, [](ImportFormat f) { return f == ImportFormat::kLabelDump; });
}
inline void ImportRecordingInput(const uint8_t* data, size_t size) {
  ImportInput(data, size, [](ImportFormat f) { return f == ImportFormat::kRecording; });
}
inline void ImportJsonlInput(const uint8_t* data, size_t size) {
  ImportInput(data, size, [](ImportFormat f) {
    return f == ImportFormat::kResidentDump || f == ImportFormat::kStepLog ||
           f == ImportFormat::kTopkResponses;
  });
}

}  // namespace tierscope::fuzz

#endif  // TIERSCOPE_TESTS_FUZZ_IMPORT_INPUTS_H_
