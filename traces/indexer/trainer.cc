#include "traces/indexer/trainer.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tbb/parallel_for.h"

#include "sim/base/digest.h"
#include "sim/base/status_macros.h"
#include "traces/byte_source.h"
#include "traces/indexer/checkpoint.h"
#include "traces/indexer/hidden_dump.h"
#include "traces/indexer/row_scores.h"
#include "traces/indexer/training_state.h"
#include "traces/indexer_quality.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr double kThreshold = 0.5;

// Streams of random numbers: the order of an epoch's windows, and the examples of one of them.
Rng OrderRng(uint64_t seed, int64_t epoch) { return Rng(seed, MixBits(2 * uint64_t(epoch))); }
Rng ExampleRng(uint64_t seed, int64_t epoch, size_t window) {
  return Rng(MixBits(seed), MixBits(2 * uint64_t(epoch) + 1) ^ MixBits(window));
}

absl::Status CheckAlike(const HiddenDump& first, const HiddenDump& other) {
  if (other.layers() == first.layers() && other.hidden() == first.hidden() &&
      other.head_dim() == first.head_dim()) {
    return absl::OkStatus();
  }
  return BadInput(
      other.name(),
      absl::StrCat("its layers, hidden size or head_dim differ from those of ", first.name()),
      "train on dumps of one model; name layers that all have with --layers");
}

uint64_t DigestOf(const std::vector<std::unique_ptr<HiddenDump>>& dumps, const WindowSplit& split,
                  const TrainOptions& options, const IndexerShape& shape) {
  Digest digest;
  for (const auto& dump : dumps) {
    for (const int64_t size :
         {dump->source_bytes(), dump->rows(), dump->keys(), dump->position(0)}) {
      digest.Add(static_cast<uint64_t>(size));
    }
    for (const int layer : dump->layers()) digest.Add(static_cast<uint64_t>(layer));
  }
  for (const auto* windows : {&split.training, &split.held_out}) {
    digest.Add(windows->size());
    for (const GoldenWindow& window : *windows) {
      digest.Add(static_cast<uint64_t>(window.row));
      digest.Add(window.golden.size());
      for (const uint32_t entry : window.golden) digest.Add(entry);
    }
  }
  for (const int64_t size : {shape.hidden, shape.rank, shape.heads, shape.head_dim,
                             options.negatives, options.batch_windows}) {
    digest.Add(static_cast<uint64_t>(size));
  }
  digest.Add(
      absl::StrCat(static_cast<int>(options.loss), " ", options.learning_rate, " ", options.seed));
  return digest.value();
}

bool AllFinite(const std::vector<LayerWeights>& layers) {
  const auto finite = [](const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
  };
  return std::all_of(layers.begin(), layers.end(), [&](const LayerWeights& layer) {
    return finite(layer.wq_a) && finite(layer.q_norm) && finite(layer.wq_b) &&
           finite(layer.weights_proj);
  });
}

class Trainer {
 public:
  Trainer(const TrainOptions& options, std::string path)
      : options_(options), path_(std::move(path)) {}

  absl::StatusOr<TrainResult> Run(const std::vector<std::string>& files) {
    FixProductBlocking();
    TIERSCOPE_RETURN_IF_ERROR(OpenDumps(files));
    TIERSCOPE_ASSIGN_OR_RETURN(split_, CollectWindows(dumps_, options_.windows));
    result_.training_windows = static_cast<int64_t>(split_.training.size());
    result_.held_out_windows = static_cast<int64_t>(split_.held_out.size());
    TIERSCOPE_RETURN_IF_ERROR(MakeState());
    while (state_.epochs < options_.epochs &&
           state_.epochs - state_.best_epoch < options_.patience) {
      TIERSCOPE_RETURN_IF_ERROR(RunEpoch());
    }
    return result_;
  }

 private:
  absl::Status OpenDumps(const std::vector<std::string>& files) {
    for (const std::string& file : files) {
      TIERSCOPE_ASSIGN_OR_RETURN(auto source, OpenFileSource(file));
      TIERSCOPE_ASSIGN_OR_RETURN(
          dumps_.emplace_back(),
          HiddenDump::Open(std::move(source), options_.layers, options_.tokens_per_entry));
      TIERSCOPE_RETURN_IF_ERROR(CheckAlike(*dumps_[0], *dumps_.back()));
    }
    return absl::OkStatus();
  }

  absl::Status MakeState() {
    const HiddenDump& dump = *dumps_[0];
    IndexerShape shape = {dump.hidden(), options_.rank, options_.heads, dump.head_dim()};
    std::vector<LayerWeights> init;
    if (!options_.init.empty()) {
      TIERSCOPE_ASSIGN_OR_RETURN(const auto source, OpenFileSource(options_.init));
      TIERSCOPE_ASSIGN_OR_RETURN(init, ReadCheckpoint(*source, dump.layers()));
      TIERSCOPE_RETURN_IF_ERROR(CheckBelongTogether(dump, init));
      shape = init[0].shape;
    }
    if (absl::Status status = CheckShape(shape); !status.ok()) return At(dump.name(), status);
    const uint64_t digest = DigestOf(dumps_, split_, options_, shape);
    if (options_.resume) {
      TIERSCOPE_ASSIGN_OR_RETURN(state_, ReadState(path_, digest));
      TIERSCOPE_RETURN_IF_ERROR(CheckBelongTogether(dump, state_.best));
      return JudgeBest();
    }
    state_ =
        init.empty() ? FreshState(shape, dump.layers(), options_.seed) : StateFrom(std::move(init));
    state_.digest = digest;
    EpochReport report;
    TIERSCOPE_RETURN_IF_ERROR(Judge(state_.now, &report));
    return EndEpoch(report);
  }

  // What the checkpoint to resume scores.
  absl::Status JudgeBest() {
    result_.best.epoch = state_.best_epoch;
    result_.best.is_best = true;
    return Judge(state_.best, &result_.best);
  }

  absl::Status RunEpoch() {
    const int64_t epoch = state_.epochs + 1;
    std::vector<size_t> order(split_.training.size());
    std::iota(order.begin(), order.end(), size_t{0});
    Rng rng = OrderRng(options_.seed, epoch);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.NextBelow(i)]);
    double loss = 0.0;
    const auto batch = static_cast<size_t>(options_.batch_windows);
    size_t batches = 0;
    for (size_t begin = 0; begin < order.size(); begin += batch, ++batches) {
      const size_t count = std::min(batch, order.size() - begin);
      TIERSCOPE_ASSIGN_OR_RETURN(const double of_batch,
                                 TrainBatch(std::span(order).subspan(begin, count), epoch));
      loss += of_batch;
    }
    EpochReport report;
    report.epoch = state_.epochs = epoch;
    report.loss = loss / static_cast<double>(batches);
    if (!std::isfinite(report.loss) || !AllFinite(state_.now)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ": training diverged in epoch ", epoch,
                       "; lower --learning-rate. The checkpoint is that of the epoch before"));
    }
    TIERSCOPE_RETURN_IF_ERROR(Judge(state_.now, &report));
    return EndEpoch(report);
  }

  // One step of every layer. Returns the mean of their losses.
  absl::StatusOr<double> TrainBatch(std::span<const size_t> windows, int64_t epoch) {
    const size_t layers = state_.now.size();
    std::vector<std::vector<TrainingWindow>> batch(layers);
    for (const size_t at : windows) {
      const GoldenWindow& window = split_.training[at];
      const HiddenDump& dump = *dumps_[window.dump];
      Rng rng = ExampleRng(options_.seed, epoch, at);
      const Examples examples =
          DrawExamples(window, dump.scorable(window.row), options_.negatives, &rng);
      for (size_t layer = 0; layer < layers; ++layer) {
        TIERSCOPE_RETURN_IF_ERROR(
            ReadTrainingWindow(dump, layer, window.row, examples, &batch[layer].emplace_back()));
      }
    }
    ++state_.steps;
    std::vector<double> losses(layers);
    tbb::parallel_for(size_t{0}, layers, [&](size_t layer) {
      const LayerWeights& now = state_.now[layer];
      LayerValues gradient;
      losses[layer] =
          LossAndGradient(now.shape, ValuesOf(now), batch[layer], options_.loss, &gradient);
      AdamStep(std::move(gradient), options_.learning_rate, state_.steps, layer, &state_);
    });
    return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(layers);
  }

  // Scores the held-out windows as `indexer score` does.
  absl::Status Judge(const std::vector<LayerWeights>& layers, EpochReport* report) const {
    ScoreCounts counts;
    counts.windows = result_.held_out_windows;
    std::vector<uint8_t> codes;
    for (size_t begin = 0; begin < split_.held_out.size();) {
      const HiddenDump& dump = *dumps_[split_.held_out[begin].dump];
      const auto most = static_cast<size_t>(ChunkRows(dump, layers[0].shape, layers.size()));
      std::vector<int64_t> rows;
      size_t end = begin;
      for (; end < split_.held_out.size() && end - begin < most &&
             split_.held_out[end].dump == split_.held_out[begin].dump;
           ++end) {
        rows.push_back(split_.held_out[end].row);
      }
      TIERSCOPE_RETURN_IF_ERROR(ScoreRows(dump, layers, rows, 0.0f, /*best_only=*/true, &codes));
      for (size_t i = 0; i < rows.size(); ++i) {
        const uint8_t* row = codes.data() + i * static_cast<size_t>(dump.keys());
        Count(split_.held_out[begin + i], {row, size_t(dump.scorable(rows[i]))}, &counts);
      }
      begin = end;
    }
    const IndexerEvidence evidence = EvidenceOf(counts, {kThreshold});
    report->auc = evidence.auc;
    report->recall = evidence.thresholds[0].recall;
    report->kept = evidence.thresholds[0].kept_fraction;
    return absl::OkStatus();
  }

  static void Count(const GoldenWindow& window, std::span<const uint8_t> codes,
                    ScoreCounts* counts) {
    for (const uint8_t code : codes) ++counts->other[code + size_t{1}];
    for (const uint32_t entry : window.golden) {
      ++counts->needed[codes[entry] + size_t{1}];
      --counts->other[codes[entry] + size_t{1}];
    }
  }

  absl::Status EndEpoch(EpochReport report) {
    if (report.auc > state_.best_auc || report.epoch == 0) {
      report.is_best = true;
      state_.best_auc = report.auc;
      state_.best_epoch = report.epoch;
      state_.best = state_.now;
      result_.best = report;
    }
    TIERSCOPE_RETURN_IF_ERROR(WriteState(state_, path_));
    result_.epochs.push_back(report);
    if (options_.on_epoch) options_.on_epoch(report);
    return absl::OkStatus();
  }

  const TrainOptions& options_;
  const std::string path_;
  std::vector<std::unique_ptr<HiddenDump>> dumps_;
  WindowSplit split_;
  TrainingState state_;
  TrainResult result_;
};

}  // namespace

absl::StatusOr<TrainResult> TrainIndexer(const std::vector<std::string>& dumps,
                                         const TrainOptions& options, const std::string& path) {
  return Trainer(options, path).Run(dumps);
}

}  // namespace tierscope
