#include "traces/indexer/score_trace.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/byte_source.h"
#include "traces/container.h"
#include "traces/indexer/checkpoint.h"
#include "traces/indexer/hidden_dump.h"
#include "traces/indexer/row_scores.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

// Scores one dump into a profile.
class ProfileScorer {
 public:
  ProfileScorer(const HiddenDump& dump, const std::vector<LayerWeights>& layers,
                const ScoreOptions& options, ContainerWriter* writer, ScoreResult* result)
      : dump_(dump), layers_(layers), options_(options), writer_(writer), result_(result) {}

  absl::Status Run(const std::string& checkpoint) {
    TIERSCOPE_RETURN_IF_ERROR(CheckBelongTogether(dump_, layers_));
    TIERSCOPE_RETURN_IF_ERROR(WriteHeader(checkpoint));
    const int64_t chunk = ChunkRows(dump_, layers_[0].shape, layers_.size());
    const int64_t tick_bytes =
        dump_.keys() * dump_.key_bytes() * static_cast<int64_t>(layers_.size());
    for (int64_t tick = 0; tick < ticks_; tick += chunk) {
      TIERSCOPE_RETURN_IF_ERROR(WriteTicks(tick, std::min(tick + chunk, ticks_)));
      if (options_.on_progress) {
        options_.on_progress(std::min(tick + chunk, ticks_) * tick_bytes, ticks_ * tick_bytes);
      }
    }
    NoteWhatIsMissing();
    ++result_->profiles;
    return absl::OkStatus();
  }

 private:
  absl::Status CheckStride() const {
    const int64_t rows_stride = dump_.stride_steps(), stride = options_.tick_stride_steps;
    if (stride % rows_stride != 0) {
      return BadInput(dump_.name(), absl::StrCat("its rows are ", rows_stride, " steps apart"),
                      absl::StrCat("give --stride as a multiple of that, not ", stride));
    }
    const int64_t steps = dump_.rows() * rows_stride;
    if (steps >= stride && steps <= kStepCountMax) return absl::OkStatus();
    return BadInput(dump_.name(), absl::StrCat("it holds ", steps, " steps"),
                    absl::StrCat("expected ", stride, " (--stride) to ", kStepCountMax));
  }

  absl::Status WriteHeader(const std::string& checkpoint) {
    TIERSCOPE_RETURN_IF_ERROR(CheckStride());
    rows_per_tick_ = options_.tick_stride_steps / dump_.stride_steps();
    ticks_ = dump_.rows() / rows_per_tick_;
    TraceRecord record;
    ProfileHeader& header = *record.mutable_profile();
    header.set_model(options_.model);
    header.set_prompt_tokens(dump_.position(0));  // the token of row 0 runs in step 0
    header.set_step_count(static_cast<int32_t>(ticks_) * options_.tick_stride_steps);
    header.set_tick_stride_steps(options_.tick_stride_steps);
    floor_code_ = static_cast<uint32_t>(std::min(255.0, std::ceil(256.0 * options_.score_floor)));
    header.set_score_floor_code(floor_code_);
    header.set_tokens_per_entry(options_.tokens_per_entry);
    header.set_csa_layer_count(options_.csa_layers);
    header.set_top_k(options_.topk);
    header.set_selections(SELECTIONS_NONE);
    for (const LayerWeights& layer : layers_) header.add_target_layers(layer.csa_layer);
    std::string with = absl::StrCat("tierscope indexer score, ", BaseName(checkpoint), " on ",
                                    BaseName(dump_.name()));
    if (options_.logit_offset != 0.0f) {
      absl::StrAppend(&with, ", logit offset ", options_.logit_offset);
    }
    header.mutable_provenance()->set_recorded_with(with);
    if (absl::Status status = ValidateProfileHeader(header); !status.ok()) {
      return At(dump_.name(), status);
    }
    return writer_->Append(record);
  }

  absl::Status WriteTicks(int64_t begin, int64_t end) {
    std::vector<int64_t> rows;
    for (int64_t tick = begin; tick < end; ++tick) rows.push_back(tick * rows_per_tick_);
    TIERSCOPE_RETURN_IF_ERROR(ScoreRows(dump_, layers_, rows, options_.logit_offset,
                                        /*best_only=*/!options_.per_layer, &codes_));
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto step = static_cast<int32_t>(rows[i] * dump_.stride_steps());
      const size_t planes = options_.per_layer ? layers_.size() : 1;
      for (size_t plane = 0; plane < planes; ++plane) {
        const int32_t layer = options_.per_layer ? layers_[plane].csa_layer : kAllLayers;
        const size_t at = (plane * rows.size() + i) * static_cast<size_t>(dump_.keys());
        TIERSCOPE_RETURN_IF_ERROR(
            WriteTick(step, layer, {codes_.data() + at, size_t(dump_.scorable(rows[i]))}));
      }
      result_->scores += dump_.scorable(rows[i]);
      TIERSCOPE_RETURN_IF_ERROR(WriteGolden(rows[i], step));
    }
    result_->ticks += end - begin;
    return absl::OkStatus();
  }

  absl::Status WriteTick(int32_t step, int32_t layer, std::span<const uint8_t> codes) {
    entries_.clear();
    kept_.clear();
    for (size_t entry = 0; entry < codes.size(); ++entry) {
      if (codes[entry] < floor_code_) continue;
      entries_.push_back(static_cast<uint32_t>(entry));
      kept_.push_back(codes[entry]);
    }
    FillTick(step, layer, entries_, kept_, &record_);
    return writer_->Append(record_);
  }

  absl::Status WriteGolden(int64_t row, int32_t step) {
    if (!dump_.has_labels() || !dump_.WindowIsWhole(row, options_.window_steps)) {
      return absl::OkStatus();
    }
    TIERSCOPE_RETURN_IF_ERROR(
        dump_.ReadWindow(row, options_.window_steps, options_.csa_layers, &entries_, &kept_));
    const auto end = std::lower_bound(entries_.begin(), entries_.end(), dump_.keys());
    golden_without_key_ += entries_.end() - end;
    FillGolden(step, entries_, kept_, &record_);
    ++result_->golden_windows;
    ++golden_windows_;
    return writer_->Append(record_);
  }

  void NoteWhatIsMissing() {
    const int64_t history = dump_.history((ticks_ - 1) * rows_per_tick_);
    if (dump_.keys() < history) {
      result_->notes.push_back(
          absl::StrCat(dump_.name(), ": keys of ", dump_.keys(), " entries, ", history,
                       " exist at the last tick: the others have no score, ", golden_without_key_,
                       " of them golden, over all windows"));
    }
    if (!dump_.has_labels()) {
      result_->notes.push_back(
          absl::StrCat(dump_.name(), ": no label_* tensors, so the trace has no golden entries"));
    } else if (golden_windows_ == 0) {
      result_->notes.push_back(absl::StrCat(dump_.name(), ": shorter than a window of ",
                                            options_.window_steps,
                                            " steps, so the trace has no golden entries"));
    }
  }

  const HiddenDump& dump_;
  const std::vector<LayerWeights>& layers_;
  const ScoreOptions& options_;
  ContainerWriter* writer_;
  ScoreResult* result_;
  int64_t rows_per_tick_ = 0;
  int64_t ticks_ = 0;
  uint32_t floor_code_ = 0;
  int64_t golden_windows_ = 0;
  int64_t golden_without_key_ = 0;
  std::vector<uint8_t> codes_, kept_;
  std::vector<uint32_t> entries_;
  TraceRecord record_;
};

}  // namespace

absl::StatusOr<ScoreResult> ScoreDumps(const std::string& checkpoint,
                                       const std::vector<std::string>& dumps,
                                       const ScoreOptions& options, const std::string& path) {
  TIERSCOPE_ASSIGN_OR_RETURN(const auto source, OpenFileSource(checkpoint));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<LayerWeights> layers,
                             ReadCheckpoint(*source, options.layers));
  std::vector<int> layer_ids;
  for (const LayerWeights& layer : layers) layer_ids.push_back(layer.csa_layer);
  TIERSCOPE_ASSIGN_OR_RETURN(const auto writer, ContainerWriter::Open(path));
  ScoreResult result;
  for (const std::string& file : dumps) {
    TIERSCOPE_ASSIGN_OR_RETURN(auto bytes, OpenFileSource(file));
    TIERSCOPE_ASSIGN_OR_RETURN(
        const auto dump, HiddenDump::Open(std::move(bytes), layer_ids, options.tokens_per_entry));
    TIERSCOPE_RETURN_IF_ERROR(
        ProfileScorer(*dump, layers, options, writer.get(), &result).Run(checkpoint));
  }
  TIERSCOPE_RETURN_IF_ERROR(writer->Finish());
  return result;
}

}  // namespace tierscope
