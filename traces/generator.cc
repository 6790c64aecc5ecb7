#include "traces/generator.h"

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "absl/strings/str_cat.h"

#include "sim/base/rng.h"
#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/container.h"
#include "traces/generator_indexer.h"
#include "traces/generator_selection.h"
#include "traces/generator_topics.h"
#include "traces/layer_mask.h"

namespace tierscope {
namespace {

// Random streams of a profile: same for the same context and index, whatever else the file holds.
uint64_t ProfileStream(int64_t context_tokens, int32_t profile_index, uint64_t purpose) {
  return MixBits(MixBits(static_cast<uint64_t>(context_tokens)) +
                 static_cast<uint64_t>(profile_index)) +
         purpose;
}

ProfileHeader MakeHeader(const GeneratorOptions& options, int64_t context_tokens,
                         int32_t profile_index) {
  const GeneratorParameters& p = options.parameters;
  ProfileHeader header;
  header.set_model(p.preset());
  header.set_prompt_tokens(context_tokens);
  header.set_step_count(options.step_count);
  header.set_tick_stride_steps(options.tick_stride_steps);
  header.set_score_floor_code(ScoreFloorCode(p));
  header.set_tokens_per_entry(p.tokens_per_entry());
  header.set_csa_layer_count(p.csa_layer_count());
  header.set_top_k(p.top_k());
  header.set_selections(SELECTIONS_FULL_HISTORY);
  *header.mutable_target_layers() = p.target_layers();
  GeneratorParameters* synthetic = header.mutable_provenance()->mutable_synthetic();
  *synthetic = p;
  synthetic->set_profile_index(profile_index);
  return header;
}

// Generates one profile, step by step, into a writer.
class ProfileGenerator {
 public:
  ProfileGenerator(const GeneratorOptions& options, const ProfileHeader& header,
                   ContainerWriter* writer)
      : options_(options),
        header_(header),
        writer_(writer),
        topics_(options.parameters, HistoryEntries(header, 0), HistoryMax(header), Stream(0)),
        sets_(options.parameters, topics_, HistoryEntries(header, 0), HistoryMax(header),
              Stream(1)),
        indexer_(options.parameters, topics_, sets_.draws_per_window(), HistoryMax(header),
                 Stream(2)),
        layer_sums_(static_cast<size_t>(header.csa_layer_count())) {}

  absl::Status Run() {
    TraceRecord record;
    *record.mutable_profile() = header_;
    TIERSCOPE_RETURN_IF_ERROR(writer_->Append(record));
    for (int32_t step = 0; step <= header_.step_count(); ++step) {
      const int64_t history_entries = HistoryEntries(header_, step);
      if (step > 0) {
        topics_.Advance(step, history_entries);
        sets_.Advance(history_entries);
      }
      TIERSCOPE_RETURN_IF_ERROR(WriteSelections(step));
      if (step % header_.tick_stride_steps() != 0 || step == header_.step_count()) continue;
      indexer_.Tick(step, history_entries);
      FillTick(step, kAllLayers, indexer_.entries(), indexer_.codes(), &tick_record_);
      TIERSCOPE_RETURN_IF_ERROR(writer_->Append(tick_record_));
    }
    return absl::OkStatus();
  }

 private:
  static int64_t HistoryMax(const ProfileHeader& header) {
    return HistoryEntries(header, header.step_count());
  }

  uint64_t Stream(uint64_t purpose) const {
    return ProfileStream(header_.prompt_tokens(), header_.provenance().synthetic().profile_index(),
                         purpose);
  }

  // Window w is steps 64 w + 1 .. 64 (w + 1).
  bool HasWeights(int32_t step) const {
    const int32_t stride = options_.parameters.weight_window_stride();
    return stride > 0 && step > 0 && (step - 1) / kGeneratorWindowSteps % stride == 0;
  }

  absl::Status WriteSelections(int32_t step) {
    entries_.clear();
    masks_.clear();
    sets_.ForEach([this](uint32_t entry, LayerMask mask) {
      entries_.push_back(entry);
      masks_.push_back(mask);
    });
    if (HasWeights(step)) SumWeights();
    if (!options_.per_layer) return WriteVotes(step);
    for (int32_t layer = 0; layer < header_.csa_layer_count(); ++layer) {
      TIERSCOPE_RETURN_IF_ERROR(WriteLayer(step, layer));
    }
    return absl::OkStatus();
  }

  absl::Status WriteVotes(int32_t step) {
    votes_.clear();
    for (const LayerMask mask : masks_) votes_.push_back(static_cast<uint8_t>(mask.Count()));
    shares_.clear();
    if (HasWeights(step)) {
      for (size_t i = 0; i < entries_.size(); ++i) shares_.push_back(ShareOverLayers(i));
    }
    FillSelection(step, kAllLayers, entries_, votes_, QuantizedShares(), &selection_record_);
    return writer_->Append(selection_record_);
  }

  absl::Status WriteLayer(int32_t step, int32_t layer) {
    layer_entries_.clear();
    shares_.clear();
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (!masks_[i].Contains(layer)) continue;
      layer_entries_.push_back(entries_[i]);
      if (HasWeights(step)) shares_.push_back(topics_.Weight(entries_[i]));
    }
    FillSelection(step, layer, layer_entries_, {}, QuantizedShares(), &selection_record_);
    return writer_->Append(selection_record_);
  }

  // The softmax denominators of the layers.
  void SumWeights() {
    std::fill(layer_sums_.begin(), layer_sums_.end(), 0.0);
    for (size_t i = 0; i < entries_.size(); ++i) {
      const double weight = topics_.Weight(entries_[i]);
      masks_[i].ForEach([&](int layer) { layer_sums_[static_cast<size_t>(layer)] += weight; });
    }
  }

  double ShareOverLayers(size_t i) const {
    double share = 0.0;
    masks_[i].ForEach([&](int layer) { share += 1.0 / layer_sums_[static_cast<size_t>(layer)]; });
    return share * topics_.Weight(entries_[i]);
  }

  std::span<const uint8_t> QuantizedShares() {
    weights_.clear();
    double share_max = 0.0;
    for (const double share : shares_) share_max = std::max(share_max, share);
    for (const double share : shares_) {
      weights_.push_back(static_cast<uint8_t>(255.0 * share / share_max));
    }
    return weights_;
  }

  const GeneratorOptions& options_;
  const ProfileHeader& header_;
  ContainerWriter* writer_;
  TopicPool topics_;
  LayerSets sets_;
  MemoryIndexer indexer_;
  TraceRecord tick_record_, selection_record_;
  std::vector<uint32_t> entries_, layer_entries_;
  std::vector<LayerMask> masks_;  // layers that hold the entry
  std::vector<uint8_t> votes_, weights_;
  std::vector<double> shares_, layer_sums_;
};

}  // namespace

absl::Status GenerateAttentionTrace(const GeneratorOptions& options, const std::string& path) {
  TIERSCOPE_RETURN_IF_ERROR(ValidateGeneratorOptions(options));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<ContainerWriter> writer,
                             ContainerWriter::Open(path));
  const auto all =
      static_cast<int64_t>(options.context_tokens.size()) * options.profiles_per_context;
  int64_t done = 0;
  for (const int64_t context_tokens : options.context_tokens) {
    for (int32_t i = 0; i < options.profiles_per_context; ++i) {
      const ProfileHeader header = MakeHeader(options, context_tokens, i);
      TIERSCOPE_RETURN_IF_ERROR(ValidateProfileHeader(header));
      const auto profile = std::make_unique<ProfileGenerator>(options, header, writer.get());
      TIERSCOPE_RETURN_IF_ERROR(profile->Run());
      if (options.on_profile_done) options.on_profile_done(++done, all);
    }
  }
  return writer->Finish();
}

}  // namespace tierscope
