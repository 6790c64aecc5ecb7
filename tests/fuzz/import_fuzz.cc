// `tierscope trace import` of one file, by format: an error, or a trace that reads.
#include <string>

#include "sim/base/check.h"
#include "sim/demand/distil.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"
#include "traces/import.h"

namespace tierscope::testing {
namespace {

// The two files' names may both stand in a message.
constexpr size_t kMessageWithPathsMax = kMessageBytesMax + 2 * 4096;

void CheckImported(const std::string& trace) {
  DemandSpec spec;
  spec.policy = WantPolicy::kRecency;
  const auto demand = DistilTrace(trace, spec);
  // What was written is read; only the tau of the spec need not fit the trace.
  TIERSCOPE_CHECK(demand.ok() || absl::IsInvalidArgument(demand.status()));
}

// `wanted`: inputs of other formats are left out, so that a target stays at its own.
void ImportInput(absl::string_view input, bool (*wanted)(ImportFormat)) {
  static MemoryFile file;
  static const std::string out = ScratchPath();
  const std::string& in = file.Fill(input);
  const auto format = DetectImportFormat(in);
  if (!format.ok()) return CheckMessage(format.status(), kMessageWithPathsMax);
  if (!wanted(*format)) return;
  const auto result = ImportAttentionTrace({in}, SmallImport(), out);
  if (result.ok()) return CheckImported(out);
  CheckMessage(result.status(), kMessageWithPathsMax);
}

}  // namespace

ImportOptions SmallImport() {
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

void FuzzImportNpy(absl::string_view input) {
  ImportInput(input, [](ImportFormat format) { return format == ImportFormat::kTopkCapture; });
}

void FuzzImportSafetensors(absl::string_view input) {
  ImportInput(input, [](ImportFormat format) { return format == ImportFormat::kLabelDump; });
}

void FuzzImportRecording(absl::string_view input) {
  ImportInput(input, [](ImportFormat format) { return format == ImportFormat::kRecording; });
}

void FuzzImportJsonl(absl::string_view input) {
  ImportInput(input, [](ImportFormat format) {
    return format == ImportFormat::kResidentDump || format == ImportFormat::kStepLog ||
           format == ImportFormat::kTopkResponses;
  });
}

}  // namespace tierscope::testing
