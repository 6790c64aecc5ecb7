#include "sim/demand/hot_buffers.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "sim/base/units.h"
#include "sim/policy/hot_buffer.h"
#include "traces/attention_trace.h"

namespace tierscope {

HotBuffers::Fetch HotBuffers::At(size_t profile, int32_t position, int64_t step) const {
  const ProfileStepDemand& demand = profiles[profile];
  const int64_t at = int64_t{position} * demand.stride_steps() + step;
  if (at <= demand.step_count()) {
    const auto now = static_cast<int32_t>(at);
    const int32_t empty_at = std::max(0, position - warmup_positions);
    return {demand.Selections(now), demand.MissesSince(0, empty_at, now, now + 1)};
  }
  const auto wrapped = static_cast<int32_t>((at - 1) % demand.step_count() + 1);
  return {demand.Selections(wrapped), demand.Misses(0, wrapped)};
}

namespace {

class HotBufferVisitor : public AttentionVisitor {
 public:
  explicit HotBufferVisitor(const DemandSpec& spec)
      : spec_(spec), buffers_(std::make_shared<HotBuffers>()) {}

  absl::Status OnProfile(const ProfileHeader& header) override {
    TIERSCOPE_RETURN_IF_ERROR(AddProfileHeader(header, &demand_));
    TIERSCOPE_ASSIGN_OR_RETURN(const int32_t slots, SlotsOf(header));
    TIERSCOPE_RETURN_IF_ERROR(CheckWarmup(header));
    bytes_ += ProfileStepDemand::ByteCount(header, 1);
    if (bytes_ > kStepDemandBytesMax) {
      return absl::ResourceExhaustedError(absl::StrCat("step demand would take ", bytes_,
                                                       " bytes, more than ", kStepDemandBytesMax,
                                                       "; use a trace of fewer steps or profiles"));
    }
    buffers_->slots.push_back(slots);
    distiller_.emplace(std::vector<int32_t>{slots});
    demand_.profiles.push_back(Frame(header));
    return distiller_->Begin(header);
  }
  absl::Status OnTick(int32_t, int32_t, std::span<const uint32_t>,
                      std::span<const uint8_t>) override {
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                           std::span<const uint8_t>) override {
    return distiller_->Select(step, layer, entries);
  }
  absl::Status OnProfileEnd() override {
    buffers_->profiles.push_back(distiller_->Finish());
    return absl::OkStatus();
  }
  void OnTraceEnd(const std::string& digest) override { demand_.trace_digest = digest; }

  WindowDemand Take() {
    demand_.first_start = buffers_->warmup_positions;
    demand_.hot_buffers = std::move(buffers_);
    return std::move(demand_);
  }

 private:
  absl::StatusOr<int32_t> SlotsOf(const ProfileHeader& header) const {
    if (spec_.policy == WantPolicy::kTopkSwap) return spec_.hot_buffer_entries;
    const int64_t entries = header.prompt_tokens() / header.tokens_per_entry();
    const int64_t slots = PoolEntries(entries, spec_.pool_parts);
    if (slots >= header.top_k()) return static_cast<int32_t>(slots);
    return absl::InvalidArgumentError(absl::StrCat(
        "policy.pool_ratio leaves ", slots, " of a profile's ", entries,
        " entries, fewer than a layer takes in one step (", header.top_k(), "); raise it"));
  }

  // The steps before a request's start stand for the last windows of its prefill.
  absl::Status CheckWarmup(const ProfileHeader& header) {
    const int32_t stride = header.tick_stride_steps();
    const auto positions = static_cast<int32_t>(CeilDiv(spec_.pool_warmup_steps, stride));
    if (positions >= header.step_count() / stride) {
      return absl::InvalidArgumentError(
          absl::StrCat("policy.pool_warmup_steps ", spec_.pool_warmup_steps, " leave nothing of ",
                       header.step_count(), " recorded steps; lower it or record more"));
    }
    buffers_->warmup_positions = positions;
    return absl::OkStatus();
  }

  // What an engine asks of a profile besides its want lists.
  static ProfileDemand Frame(const ProfileHeader& header) {
    ProfileDemand frame;
    frame.prompt_tokens = header.prompt_tokens();
    frame.stride_steps = header.tick_stride_steps();
    frame.position_count = header.step_count() / header.tick_stride_steps();
    frame.tokens_per_page = header.tokens_per_entry() * kPageEntries;
    const auto pages = [](int64_t entries) {
      return static_cast<int32_t>(CeilDiv(entries, int64_t{kPageEntries}));
    };
    frame.page_count = pages(HistoryEntries(header, header.step_count()));
    frame.prompt_page_count = pages(header.prompt_tokens() / header.tokens_per_entry());
    return frame;
  }

  DemandSpec spec_;
  std::shared_ptr<HotBuffers> buffers_;
  std::optional<ProfileStepDistiller> distiller_;
  WindowDemand demand_;
  int64_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<WindowDemand> DistilHotBuffers(const std::string& path, const DemandSpec& spec) {
  HotBufferVisitor visitor(spec);
  TIERSCOPE_RETURN_IF_ERROR(ReadAttentionTrace(path, visitor));
  WindowDemand demand = visitor.Take();
  if (demand.profiles.empty()) return NoProfile(path);
  demand.trace_name = std::filesystem::path(path).filename().string();
  return demand;
}

}  // namespace tierscope
