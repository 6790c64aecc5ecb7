// tierscope trace import: foreign recordings and request traces into tierscope's container.
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/progress.h"
#include "cli/trace.h"
#include "cli/verb.h"

#include "sim/base/status_macros.h"
#include "traces/container.h"
#include "traces/import.h"
#include "traces/request_container.h"
#include "traces/request_trace.h"

namespace tierscope::cli {
namespace {

struct Arguments {
  std::vector<std::string> files;
  std::string out;
  bool overwrite = false;
  ImportOptions options;
};

absl::Status ImportRequests(const Arguments& arguments) {
  if (arguments.files.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(arguments.files[1], ": a request trace is imported from one file or folder"));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const RequestTrace trace,
                             LoadRequestTrace(arguments.files[0], {.load_block_ids = true}));
  TIERSCOPE_RETURN_IF_ERROR(WriteRequestContainer(trace, arguments.out));
  if (trace.failed_request_count > 0) {
    std::fprintf(stderr, "note: %lld failed requests (no response) left out\n",
                 static_cast<long long>(trace.failed_request_count));
  }
  std::fprintf(stderr, "%s: %zu requests, %lld block ids, digest %s\n", arguments.out.c_str(),
               trace.requests.size(), static_cast<long long>(trace.block_reference_count),
               trace.digest.c_str());
  return absl::OkStatus();
}

absl::Status ImportAttention(Arguments& arguments) {
  ByteProgress progress("import");
  arguments.options.on_progress = [&progress](int64_t done, int64_t all) {
    progress.Show(done, all);
  };
  TIERSCOPE_ASSIGN_OR_RETURN(
      const ImportResult result,
      ImportAttentionTrace(arguments.files, arguments.options, arguments.out));
  TIERSCOPE_ASSIGN_OR_RETURN(const auto reader, ContainerReader::Open(arguments.out));
  for (const std::string& note : result.notes) std::fprintf(stderr, "note: %s\n", note.c_str());
  std::fprintf(stderr, "%s: %s, %lld profiles, %lld records, digest %s\n", arguments.out.c_str(),
               result.format.c_str(), static_cast<long long>(result.profiles),
               static_cast<long long>(reader->record_count()), reader->digest().c_str());
  return absl::OkStatus();
}

absl::Status Import(Arguments& arguments) {
  TIERSCOPE_RETURN_IF_ERROR(CheckOutputFile(arguments.out, arguments.overwrite));
  std::error_code error;
  if (std::filesystem::is_directory(arguments.files[0], error)) return ImportRequests(arguments);
  TIERSCOPE_ASSIGN_OR_RETURN(const ImportFormat format, DetectImportFormat(arguments.files[0]));
  return format == ImportFormat::kRequestTrace ? ImportRequests(arguments)
                                               : ImportAttention(arguments);
}

void AddRecordingOptions(CLI::App& verb, ImportOptions& options) {
  verb.add_option("--model", options.model, "name of the recorded model")->capture_default_str();
  verb.add_option("--tokens-per-entry", options.tokens_per_entry,
                  "tokens that an entry holds: 4 in V4, 1 in DSA models")
      ->check(CLI::Range(1, 1024));
  verb.add_option("--prompt-tokens", options.prompt_tokens,
                  "captures: prompt length, one a file or one for all, a,b,c")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--prompt-start", options.prompt_start_tokens,
                  "captures: prompt tokens that the first row leaves out")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb.add_option("--layers", options.layers, "raw captures in responses: layers")
      ->check(CLI::Range(1, 255));
  verb.add_option("--topk", options.topk, "raw captures in responses: entries a layer takes")
      ->check(CLI::Range(1, 1 << 16));
  verb.add_option("--tick-stride", options.tick_stride_steps,
                  "recordings without ticks: steps of a sub-window")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb.add_option("--tau-steps", options.tau_steps,
                  "resident dumps: steps between decisions, else as the dump has them")
      ->check(CLI::Range(1, 1 << 20));
  verb.add_option("--threshold", options.threshold, "resident dumps: the recorded threshold")
      ->check(CLI::Range(0.0, 1.0));
  verb.add_option("--selections", options.selections, "what the recorded indexer saw")
      ->transform(CLI::CheckedTransformer(std::map<std::string, SelectionScope>{
          {"full_history", SELECTIONS_FULL_HISTORY}, {"resident_only", SELECTIONS_RESIDENT_ONLY}}));
}

}  // namespace

void AddTraceImport(CLI::App& trace, int* exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = trace.add_subcommand(
      "import", "Convert recordings and request traces of other tools into a tierscope trace");
  verb->add_option("FILE", arguments->files,
                   "recordings of one format, or a request trace (file, or a directory of WEKA "
                   "conversations)")
      ->required();
  verb->add_option("--out", arguments->out, "the trace to write")->required();
  verb->add_flag("--overwrite", arguments->overwrite, "replace an existing --out");
  AddRecordingOptions(*verb, arguments->options);
  verb->callback([arguments, exit_code] { *exit_code = ExitCode(Import(*arguments)); });
}

}  // namespace tierscope::cli
