#include "traces/attention_trace.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "sim/base/status_macros.h"
#include "traces/container.h"
#include "traces/profile_checker.h"
#include "traces/wire_record.h"

namespace tierscope {
namespace {

using Deltas = google::protobuf::RepeatedField<uint32_t>;

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat(parts...));
}

absl::Status InRange(const char* field, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return Wrong("header field ", field, " = ", value, ", expected ", least, " to ", most);
}

absl::Status ValidateTargets(const ProfileHeader& profile) {
  int32_t previous = -1;
  for (const int32_t layer : profile.target_layers()) {
    TIERSCOPE_RETURN_IF_ERROR(
        InRange("target_layers", layer, previous + 1, profile.csa_layer_count() - 1));
    previous = layer;
  }
  return absl::OkStatus();
}

absl::Status CheckLength(const char* what, size_t length, size_t expected) {
  if (length == expected) return absl::OkStatus();
  return Wrong(length, " ", what, " for ", expected, " entries");
}

std::span<const uint8_t> AsSpan(absl::string_view bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

void EncodeDeltas(std::span<const uint32_t> entries, Deltas* deltas) {
  deltas->Resize(static_cast<int>(entries.size()), 0);
  uint32_t* out = deltas->mutable_data();
  uint32_t previous = 0;
  for (const uint32_t entry : entries) {
    *out++ = entry - previous;
    previous = entry;
  }
}

// Turns records into visits; holds one profile's state.
class RecordVisitor {
 public:
  explicit RecordVisitor(AttentionVisitor* visitor) : visitor_(visitor) {}

  // `bytes` is one serialized record, or damage.
  absl::Status Visit(absl::string_view bytes) {
    WireRecord wire;
    if (ParseWireRecord(bytes, &wire)) return VisitWire(wire);
    TraceRecord record;
    if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return Wrong("not a trace record");
    }
    // A record that another writer encoded in its own way: into the usual one.
    if (record.has_tick() || record.has_selection() || record.has_decision()) {
      record.DiscardUnknownFields();
      const std::string usual = record.SerializeAsString();
      if (ParseWireRecord(usual, &wire)) return VisitWire(wire);
    }
    return VisitOther(record);
  }

  absl::Status EndProfile() {
    if (!checker_.has_value()) return absl::OkStatus();
    TIERSCOPE_RETURN_IF_ERROR(checker_->CheckEnd());
    checker_.reset();
    return visitor_->OnProfileEnd();
  }

 private:
  absl::Status VisitWire(const WireRecord& record) {
    if (!checker_.has_value()) return Wrong("no profile header before the first record");
    switch (record.kind) {
      case WireRecord::Kind::kTick:
        return VisitTick(record);
      case WireRecord::Kind::kSelection:
        return VisitSelection(record);
      case WireRecord::Kind::kDecision:
        return VisitDecision(record);
    }
    return Wrong("a record of no known kind");
  }

  absl::Status VisitOther(const TraceRecord& record) {
    if (record.record_case() == TraceRecord::kProfile) return VisitProfile(record.profile());
    if (record.record_case() == TraceRecord::kGap) {
      return Wrong("records were lost here when the file was recovered");
    }
    if (record.record_case() == TraceRecord::kRequests ||
        record.record_case() == TraceRecord::kRequest) {
      return Wrong("this is a request trace, expected an attention trace");
    }
    if (record.has_recording_end()) {
      return has_profile_ ? EndProfile() : Wrong("a recording without a profile");
    }
    if (!checker_.has_value()) return Wrong("no profile header before the first record");
    if (record.has_golden()) return VisitGolden(record.golden());
    return Wrong("a record of no known kind; a newer tierscope may have written it");
  }

  absl::Status VisitProfile(const ProfileHeader& profile) {
    TIERSCOPE_RETURN_IF_ERROR(EndProfile());
    TIERSCOPE_RETURN_IF_ERROR(ValidateProfileHeader(profile));
    profile_ = profile;
    checker_.emplace(profile);
    has_profile_ = true;
    return visitor_->OnProfile(profile_);
  }

  absl::Status VisitTick(const WireRecord& tick) {
    TIERSCOPE_RETURN_IF_ERROR(checker_->CheckTick(tick.step, tick.layer));
    TIERSCOPE_RETURN_IF_ERROR(
        DecodeDeltas(tick.deltas, HistoryEntries(profile_, tick.step), &buffer_, &entries_));
    TIERSCOPE_RETURN_IF_ERROR(CheckLength("codes", tick.codes.size(), entries_.size()));
    const std::span<const uint8_t> codes = AsSpan(tick.codes);
    uint8_t least = 255;
    for (const uint8_t code : codes) least = std::min(least, code);
    if (!codes.empty() && least < profile_.score_floor_code()) {
      return Wrong("score code ", static_cast<int>(least), " below the header's floor ",
                   profile_.score_floor_code());
    }
    return visitor_->OnTick(tick.step, tick.layer, entries_, codes);
  }

  absl::Status VisitSelection(const WireRecord& selection) {
    const int32_t step = selection.step, layer = selection.layer;
    TIERSCOPE_RETURN_IF_ERROR(checker_->CheckSelection(step, layer));
    TIERSCOPE_RETURN_IF_ERROR(
        DecodeDeltas(selection.deltas, HistoryEntries(profile_, step), &buffer_, &entries_));
    TIERSCOPE_RETURN_IF_ERROR(CheckVotes(layer, AsSpan(selection.codes)));
    TIERSCOPE_RETURN_IF_ERROR(
        visitor_->OnSelection(step, layer, entries_, AsSpan(selection.codes)));
    if (selection.weights.empty()) return absl::OkStatus();
    TIERSCOPE_RETURN_IF_ERROR(CheckLength("weights", selection.weights.size(), entries_.size()));
    return visitor_->OnWeights(step, layer, entries_, AsSpan(selection.weights));
  }

  absl::Status CheckVotes(int32_t layer, std::span<const uint8_t> votes) const {
    TIERSCOPE_RETURN_IF_ERROR(
        CheckLength("votes", votes.size(), layer == kAllLayers ? entries_.size() : 0));
    const auto layers = static_cast<uint8_t>(profile_.csa_layer_count());
    uint32_t sum = 0;  // of a byte for each of at most kHistoryEntriesMax entries
    uint8_t least = 1, largest = 1;
    for (const uint8_t vote : votes) {
      sum += vote;
      least = std::min(least, vote);
      largest = std::max(largest, vote);
    }
    if (least < 1 || largest > layers) {
      return Wrong("a vote outside 1 to ", static_cast<int>(layers));
    }
    const int64_t selections =
        layer == kAllLayers ? int64_t{sum} : static_cast<int64_t>(entries_.size());
    const int64_t most = int64_t{profile_.top_k()} * (layer == kAllLayers ? layers : 1);
    return selections <= most ? absl::OkStatus()
                              : Wrong(selections, " selections, top_k of the header allows ", most);
  }

  absl::Status VisitDecision(const WireRecord& decision) {
    TIERSCOPE_RETURN_IF_ERROR(checker_->CheckDecision(decision.step));
    TIERSCOPE_RETURN_IF_ERROR(DecodeDeltas(decision.deltas, HistoryEntries(profile_, decision.step),
                                           &buffer_, &entries_));
    const bool is_pages = decision.layer != 0;
    return visitor_->OnDecision(decision.step, is_pages, entries_);
  }

  absl::Status VisitGolden(const GoldenLabels& golden) {
    TIERSCOPE_RETURN_IF_ERROR(checker_->CheckGolden(golden.step()));
    buffer_.clear();
    uint64_t entry = 0;
    const auto history = static_cast<uint64_t>(HistoryEntries(profile_, golden.step()));
    for (const uint32_t delta : golden.entry_delta()) {
      if (delta == 0 && !buffer_.empty()) return Wrong("golden entries do not rise");
      entry += delta;
      if (entry >= history) return Wrong("golden entry ", entry, " of a history of ", history);
      buffer_.push_back(static_cast<uint32_t>(entry));
    }
    entries_ = buffer_;
    const std::span<const uint8_t> votes = AsSpan(golden.votes());
    TIERSCOPE_RETURN_IF_ERROR(CheckLength("votes", votes.size(), entries_.size()));
    return visitor_->OnGolden(golden.step(), entries_, votes);
  }

  AttentionVisitor* visitor_;
  ProfileHeader profile_;
  bool has_profile_ = false;               // of any
  std::optional<ProfileChecker> checker_;  // of the open profile
  std::vector<uint32_t> buffer_;
  std::span<const uint32_t> entries_;  // of the record being visited
};

// Adds file and record. Only damage (not a visitor's own refusal) gets the advice to replace the
// file.
absl::Status AtRecord(const ContainerReader& reader, int64_t record, const absl::Status& status) {
  if (status.ok()) return status;
  const absl::string_view advice =
      absl::IsDataLoss(status) ? "; see it with `tierscope trace cat`, record or generate it again"
                               : "";
  return absl::Status(status.code(), absl::StrCat(reader.path(), ": record ", record, ": ",
                                                  absl::string_view(status.message()), advice));
}

}  // namespace

absl::Status ValidateProfileHeader(const ProfileHeader& profile) {
  TIERSCOPE_RETURN_IF_ERROR(InRange("tokens_per_entry", profile.tokens_per_entry(), 1, 1024));
  TIERSCOPE_RETURN_IF_ERROR(InRange("step_count", profile.step_count(), 1, kStepCountMax));
  TIERSCOPE_RETURN_IF_ERROR(InRange("prompt_tokens", profile.prompt_tokens(), 0,
                                    kHistoryEntriesMax * profile.tokens_per_entry()));
  TIERSCOPE_RETURN_IF_ERROR(InRange("prompt_tokens + step_count, in entries,",
                                    HistoryEntries(profile, profile.step_count()), 1,
                                    kHistoryEntriesMax));
  TIERSCOPE_RETURN_IF_ERROR(
      InRange("tick_stride_steps", profile.tick_stride_steps(), 1, profile.step_count()));
  if (profile.step_count() % profile.tick_stride_steps() != 0) {
    return Wrong("header field step_count = ", profile.step_count(),
                 ", expected a multiple of tick_stride_steps = ", profile.tick_stride_steps());
  }
  TIERSCOPE_RETURN_IF_ERROR(InRange("score_floor_code", profile.score_floor_code(), 0, 255));
  TIERSCOPE_RETURN_IF_ERROR(
      InRange("csa_layer_count", profile.csa_layer_count(), 1, kLayerCountMax));
  TIERSCOPE_RETURN_IF_ERROR(InRange("top_k", profile.top_k(), 1, kTopKMax));
  TIERSCOPE_RETURN_IF_ERROR(
      InRange("selections", profile.selections(), 0, SelectionScope_ARRAYSIZE - 1));
  if (profile.provenance().source_case() == Provenance::SOURCE_NOT_SET) {
    return Wrong(
        "header field provenance is missing, expected the recording tool or the generator");
  }
  if (profile.has_decisions() && profile.decisions().threshold_code() > 256) {
    return Wrong("header field decisions.threshold_code = ", profile.decisions().threshold_code(),
                 ", expected 0 to 256");
  }
  return ValidateTargets(profile);
}

absl::Status ReadAttentionTrace(const std::string& path, AttentionVisitor& visitor) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<ContainerReader> reader,
                             ContainerReader::Open(path));
  RecordVisitor records(&visitor);
  absl::string_view bytes;
  for (;;) {
    TIERSCOPE_ASSIGN_OR_RETURN(const bool more, reader->NextBytes(&bytes));
    if (!more) break;
    TIERSCOPE_RETURN_IF_ERROR(AtRecord(*reader, reader->records_read() - 1, records.Visit(bytes)));
  }
  TIERSCOPE_RETURN_IF_ERROR(AtRecord(*reader, reader->records_read(), records.EndProfile()));
  if (reader->records_read() == 0) {
    return absl::DataLossError(
        absl::StrCat(path, ": the trace has no records; record or generate it again"));
  }
  visitor.OnTraceEnd(reader->digest());
  return absl::OkStatus();
}

void FillTick(int32_t step, int32_t layer, std::span<const uint32_t> entries,
              std::span<const uint8_t> codes, TraceRecord* record) {
  TIERSCOPE_CHECK(codes.size() == entries.size());
  ScoreTick* tick = record->mutable_tick();
  tick->set_step(step);
  tick->set_target_layer(layer);
  EncodeDeltas(entries, tick->mutable_entry_delta());
  tick->mutable_codes()->assign(reinterpret_cast<const char*>(codes.data()), codes.size());
}

void FillSelection(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                   std::span<const uint8_t> votes, std::span<const uint8_t> weights,
                   TraceRecord* record) {
  TIERSCOPE_CHECK(votes.size() == (layer == kAllLayers ? entries.size() : 0));
  TIERSCOPE_CHECK(weights.empty() || weights.size() == entries.size());
  Selection* selection = record->mutable_selection();
  selection->set_step(step);
  selection->set_layer(layer);
  EncodeDeltas(entries, selection->mutable_entry_delta());
  selection->mutable_votes()->assign(reinterpret_cast<const char*>(votes.data()), votes.size());
  selection->mutable_weights()->assign(reinterpret_cast<const char*>(weights.data()),
                                       weights.size());
}

void FillDecision(int32_t step, bool is_pages, std::span<const uint32_t> ids, TraceRecord* record) {
  Decision* decision = record->mutable_decision();
  decision->set_step(step);
  decision->set_is_pages(is_pages);
  EncodeDeltas(ids, decision->mutable_id_delta());
}

void FillGolden(int32_t step, std::span<const uint32_t> entries, std::span<const uint8_t> votes,
                TraceRecord* record) {
  TIERSCOPE_CHECK(votes.size() == entries.size());
  GoldenLabels* golden = record->mutable_golden();
  golden->set_step(step);
  EncodeDeltas(entries, golden->mutable_entry_delta());
  golden->mutable_votes()->assign(reinterpret_cast<const char*>(votes.data()), votes.size());
}

}  // namespace tierscope
