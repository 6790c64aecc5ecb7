// tierscope indexer: a memory indexer from a checkpoint scores a dump, is trained on one, or is
// tried on a synthetic one.
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/progress.h"
#include "cli/rows.h"
#include "cli/trace.h"
#include "cli/verb.h"

#include "sim/base/status_macros.h"
#include "traces/container.h"
#include "traces/indexer/planted_dump.h"
#include "traces/indexer/score_trace.h"
#include "traces/indexer/trainer.h"

namespace tierscope::cli {
namespace {

struct ScoreArguments {
  std::string checkpoint;
  std::vector<std::string> dumps;
  std::string out;
  bool overwrite = false;
  ScoreOptions options;
};

absl::Status Score(ScoreArguments& arguments) {
  TIERSCOPE_RETURN_IF_ERROR(CheckOutputFile(arguments.out, arguments.overwrite));
  ByteProgress progress("score");
  arguments.options.on_progress = [&progress](int64_t done, int64_t all) {
    progress.Show(done, all);
  };
  TIERSCOPE_ASSIGN_OR_RETURN(
      const ScoreResult result,
      ScoreDumps(arguments.checkpoint, arguments.dumps, arguments.options, arguments.out));
  TIERSCOPE_ASSIGN_OR_RETURN(const auto reader, ContainerReader::Open(arguments.out));
  for (const std::string& note : result.notes) std::fprintf(stderr, "note: %s\n", note.c_str());
  absl::FPrintF(stderr, "%s: %d profiles, %d ticks, %d scores, %d golden windows, digest %s\n",
                arguments.out, result.profiles, result.ticks, result.scores, result.golden_windows,
                reader->digest());
  return absl::OkStatus();
}

void AddScore(CLI::App& indexer, int* exit_code) {
  auto arguments = std::make_shared<ScoreArguments>();
  ScoreOptions& o = arguments->options;
  CLI::App* verb = indexer.add_subcommand(
      "score", "Score dumps of hidden states and keys with a checkpoint: an attention trace");
  verb->add_option("CHECKPOINT", arguments->checkpoint,
                   "safetensors with retrievers.lL.* (traces/indexer/README.md)")
      ->required();
  verb->add_option("DUMP", arguments->dumps, "safetensors with hidden_layer_L, compk_layer_L")
      ->required();
  verb->add_option("-o,--out", arguments->out, "the trace to write")->required();
  verb->add_flag("--overwrite", arguments->overwrite, "replace an existing --out");
  verb->add_option("--layers", o.layers, "target layers, CSA indices a,b,c; else all it has")
      ->delimiter(',')
      ->check(CLI::Range(0, 254));
  verb->add_option("--stride", o.tick_stride_steps, "steps between ticks")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_option("--window", o.window_steps, "steps that golden labels are gathered over")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_option("--score-floor", o.score_floor, "leave out scores below")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("--logit-offset", o.logit_offset, "added to every logit")
      ->check(CLI::Range(-100.0, 100.0))
      ->capture_default_str();
  verb->add_flag("--per-layer", o.per_layer, "a tick a target layer, not their maximum");
  verb->add_option("--model", o.model, "name of the dumped model")->capture_default_str();
  verb->add_option("--tokens-per-entry", o.tokens_per_entry, "tokens that an entry holds")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb->add_option("--csa-layers", o.csa_layers, "layers of the model that select")
      ->check(CLI::Range(1, 255))
      ->capture_default_str();
  verb->add_option("--topk", o.topk, "entries that a layer of the model selects")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  verb->callback([arguments, exit_code] { *exit_code = ExitCode(Score(*arguments)); });
}

struct TrainArguments {
  std::vector<std::string> dumps;
  std::string out;
  bool overwrite = false;
  std::string format = "table";
  TrainOptions options;
};

Cell Fraction(double value) { return value < 0.0 ? Cell::Absent() : Cell::Number(value, 4); }

std::vector<Cell> CellsOf(const EpochReport& report) {
  return {
      Cell::Count(report.epoch), report.loss < 0.0 ? Cell::Absent() : Cell::Number(report.loss, 5),
      Fraction(report.auc),      Fraction(report.recall),
      Fraction(report.kept),     Cell::String(report.is_best ? "best" : "")};
}

std::string EpochsText(const Rows& rows, OutputFormat format) {
  if (format == OutputFormat::kTable) return TableText(rows);
  if (format == OutputFormat::kCsv) return CsvText(rows);
  std::vector<std::string> objects;
  for (size_t i = 0; i < rows.cells.size(); ++i) objects.push_back(JsonObject(rows, i));
  return absl::StrCat("{\"epochs\":[", absl::StrJoin(objects, ","), "]}\n");
}

void ShowEpoch(const EpochReport& report) {
  absl::FPrintF(
      stderr, "epoch %d: loss %s, held out: AUC %.4f, at 0.5 recall %.4f of golden, %.4f kept%s\n",
      report.epoch, report.loss < 0.0 ? "-" : absl::StrFormat("%.5f", report.loss), report.auc,
      report.recall, report.kept, report.is_best ? ", best" : "");
}

absl::Status Train(TrainArguments& arguments) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(arguments.format));
  if (!arguments.options.resume) {
    TIERSCOPE_RETURN_IF_ERROR(CheckOutputFile(arguments.out, arguments.overwrite));
  }
  arguments.options.on_epoch = ShowEpoch;
  TIERSCOPE_ASSIGN_OR_RETURN(const TrainResult result,
                             TrainIndexer(arguments.dumps, arguments.options, arguments.out));
  Rows rows = {.columns = {"epoch", "loss", "auc", "recall", "kept", "best"}, .cells = {}};
  for (const EpochReport& report : result.epochs) rows.cells.push_back(CellsOf(report));
  std::fputs(EpochsText(rows, format).c_str(), stdout);
  absl::FPrintF(stderr, "%s: epoch %d, held-out AUC %.4f; %d windows trained on, %d held out\n",
                arguments.out, result.best.epoch, result.best.auc, result.training_windows,
                result.held_out_windows);
  return absl::OkStatus();
}

void AddTrainOptions(CLI::App& verb, TrainOptions& o) {
  verb.add_option("--loss", o.loss, "bce or focal")
      ->transform(CLI::CheckedTransformer(std::map<std::string, TrainingLoss>{
          {"bce", TrainingLoss::kBce}, {"focal", TrainingLoss::kFocal}}))
      ->default_str("focal");
  verb.add_option("--layers", o.layers,
                  "target layers, CSA indices a,b,c; else all that the dumps have")
      ->delimiter(',')
      ->check(CLI::Range(0, 254));
  verb.add_option("--heads", o.heads, "heads of the indexer")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb.add_option("--rank", o.rank, "rank of its query projection")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  verb.add_option("--negatives", o.negatives, "other entries drawn for each golden one")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb.add_option("--batch", o.batch_windows, "windows of a step")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  verb.add_option("--learning-rate", o.learning_rate, "of Adam")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str();
  verb.add_option("--epochs", o.epochs, "at most")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  verb.add_option("--patience", o.patience, "epochs without a better one before it stops")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb.add_option("--held-out", o.windows.held_out_share, "part of each dump's windows, its last")
      ->check(CLI::Range(0.01, 0.9))
      ->capture_default_str();
  verb.add_option("--stride", o.windows.stride_steps, "steps between windows")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb.add_option("--window", o.windows.window_steps, "steps that golden labels are gathered over")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb.add_option("--tokens-per-entry", o.tokens_per_entry, "tokens that an entry holds")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb.add_option("--seed", o.seed, "of weights, order and examples")->capture_default_str();
}

void AddTrain(CLI::App& indexer, int* exit_code) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* verb = indexer.add_subcommand(
      "train", "Train a memory indexer on dumps with golden labels: a checkpoint");
  verb->add_option("DUMP", arguments->dumps, "safetensors with hidden states, keys and labels")
      ->required();
  verb->add_option("-o,--out", arguments->out, "the checkpoint, written after every epoch")
      ->required();
  verb->add_flag("--overwrite", arguments->overwrite, "replace an existing --out");
  AddTrainOptions(*verb, arguments->options);
  CLI::Option* init = verb->add_option("--init", arguments->options.init,
                                       "a checkpoint to start from; its heads and rank count");
  verb->add_flag("--resume", arguments->options.resume, "go on with the training in --out")
      ->excludes(init);
  verb->add_option("--format", arguments->format, "table, csv or json")->capture_default_str();
  verb->callback([arguments, exit_code] { *exit_code = ExitCode(Train(*arguments)); });
}

struct SampleArguments {
  std::string out;
  std::string checkpoint;
  bool overwrite = false;
  PlantedOptions options;
};

absl::Status Sample(const SampleArguments& arguments) {
  TIERSCOPE_RETURN_IF_ERROR(CheckOutputFile(arguments.out, arguments.overwrite));
  if (!arguments.checkpoint.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(CheckOutputFile(arguments.checkpoint, arguments.overwrite));
  }
  TIERSCOPE_RETURN_IF_ERROR(
      WritePlantedDump(arguments.options, arguments.out, arguments.checkpoint));
  absl::FPrintF(stderr, "%s: %.1f MB, synthetic: its labels are those of a random indexer\n",
                arguments.out,
                static_cast<double>(std::filesystem::file_size(arguments.out)) * 1e-6);
  return absl::OkStatus();
}

void AddSample(CLI::App& indexer, int* exit_code) {
  auto arguments = std::make_shared<SampleArguments>();
  PlantedOptions& o = arguments->options;
  CLI::App* verb = indexer.add_subcommand(
      "sample", "Write a synthetic dump whose labels a planted indexer made");
  verb->add_option("-o,--out", arguments->out, "the dump to write")->required();
  verb->add_option("--checkpoint-out", arguments->checkpoint, "the planted indexer to write");
  verb->add_flag("--overwrite", arguments->overwrite, "replace existing files");
  verb->add_option("--layers", o.layers, "target layers, CSA indices a,b,c")
      ->delimiter(',')
      ->check(CLI::Range(0, 254))
      ->capture_default_str();
  verb->add_option("--hidden", o.shape.hidden, "hidden size")->capture_default_str();
  verb->add_option("--rank", o.shape.rank, "rank of the planted indexer")->capture_default_str();
  verb->add_option("--heads", o.shape.heads, "heads of the planted indexer")->capture_default_str();
  verb->add_option("--head-dim", o.shape.head_dim, "values of a key, a power of two")
      ->capture_default_str();
  verb->add_option("--prompt-tokens", o.prompt_tokens, "tokens in front of the first row")
      ->check(CLI::Range(1, 1 << 26))
      ->capture_default_str();
  verb->add_option("--rows", o.rows, "rows of hidden states")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_option("--row-stride", o.row_stride_steps, "steps between rows: the labels' window")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  verb->add_option("--golden-share", o.golden_share, "part of the history that is golden")
      ->check(CLI::Range(0.0001, 0.5))
      ->capture_default_str();
  verb->add_option("--noise", o.noise, "of hidden states and keys")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str();
  verb->add_option("--document", o.document, "others hold other states and keys, the same indexer")
      ->capture_default_str();
  verb->add_option("--seed", o.seed, "random seed")->capture_default_str();
  verb->callback([arguments, exit_code] { *exit_code = ExitCode(Sample(*arguments)); });
}

}  // namespace

void AddIndexerVerb(CLI::App& app, int* exit_code) {
  CLI::App* indexer = app.add_subcommand(
      "indexer", "Score dumps with a memory indexer's checkpoint, or train one on them");
  indexer->require_subcommand(1);
  AddScore(*indexer, exit_code);
  AddTrain(*indexer, exit_code);
  AddSample(*indexer, exit_code);
}

}  // namespace tierscope::cli
