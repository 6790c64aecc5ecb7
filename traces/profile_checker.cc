#include "traces/profile_checker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat(parts...));
}

}  // namespace

absl::Status ProfileChecker::CheckSelection(int32_t step, int32_t layer) {
  if (profile_.selections() == SELECTIONS_NONE) {
    return Wrong("a selection in a profile whose header says it has none");
  }
  TIERSCOPE_RETURN_IF_ERROR(EnterStep("selection", step));
  TIERSCOPE_RETURN_IF_ERROR(CheckLayer("selection", layer, /*must_be_target=*/false));
  if (ticked_) return Wrong("a selection of step ", step, " behind the tick of that step");
  return Advance("selection", step, layer, 1, &selections_);
}

absl::Status ProfileChecker::CheckTick(int32_t step, int32_t layer) {
  if (profile_.no_scores()) return Wrong("a tick in a profile whose header says it has no scores");
  TIERSCOPE_RETURN_IF_ERROR(EnterStep("tick", step));
  TIERSCOPE_RETURN_IF_ERROR(CheckLayer("tick", layer, /*must_be_target=*/true));
  if (profile_.selections() != SELECTIONS_NONE && selections_.step != step) {
    return Wrong("a tick at step ", step, " before the selections of that step");
  }
  ticked_ = true;
  return Advance("tick", step, layer, profile_.tick_stride_steps(), &ticks_);
}

absl::Status ProfileChecker::CheckDecision(int32_t step) {
  decided_ = true;
  TIERSCOPE_RETURN_IF_ERROR(EnterStep("decision", step));
  const int32_t expected = decision_step_ < 0 ? 0 : decision_step_ + profile_.tick_stride_steps();
  if (profile_.has_decisions() && step != expected) {
    return Wrong("a decision of step ", step, ", expected one at step ", expected);
  }
  decision_step_ = step;
  return absl::OkStatus();
}

absl::Status ProfileChecker::CheckGolden(int32_t step) {
  TIERSCOPE_RETURN_IF_ERROR(EnterStep("golden record", step));
  if (step <= golden_step_ || step % profile_.tick_stride_steps() != 0) {
    return Wrong("golden labels of step ", step, ", expected one record at each multiple of ",
                 profile_.tick_stride_steps(), " at most");
  }
  golden_step_ = step;
  return absl::OkStatus();
}

absl::Status ProfileChecker::CheckEnd() const {
  const int32_t last = profile_.step_count();
  if (profile_.selections() != SELECTIONS_NONE &&
      (selections_.step != last || !selections_.complete())) {
    return Wrong("the profile ends with the selections of step ", selections_.step,
                 ", its header promises step ", last);
  }
  const int32_t last_tick = last - profile_.tick_stride_steps();
  if (ticks_.step >= 0 && (ticks_.step < last_tick || !ticks_.complete())) {
    return Wrong("the profile ends with the tick of step ", ticks_.step,
                 ", the last one needed is at step ", last_tick);
  }
  if (profile_.has_decisions() && decision_step_ < last_tick) {
    return Wrong("the profile ends with the decision of step ", decision_step_,
                 ", the last one needed is at step ", last_tick);
  }
  const bool empty =
      profile_.selections() == SELECTIONS_NONE && ticks_.step < 0 && !decided_ && golden_step_ < 0;
  return empty ? Wrong("the profile holds nothing") : absl::OkStatus();
}

absl::Status ProfileChecker::EnterStep(const char* kind, int32_t step) {
  if (step > step_ && step <= profile_.step_count()) {
    step_ = step;
    ticked_ = false;
  }
  if (step == step_) return absl::OkStatus();
  return Wrong("a ", kind, " of step ", step, ", expected ", step_, " to ", profile_.step_count());
}

absl::Status ProfileChecker::CheckLayer(const char* kind, int32_t layer,
                                        bool must_be_target) const {
  if (layer == kAllLayers) return absl::OkStatus();
  const auto& targets = profile_.target_layers();
  const bool found = must_be_target
                         ? std::find(targets.begin(), targets.end(), layer) != targets.end()
                         : layer >= 0 && layer < profile_.csa_layer_count();
  if (found) return absl::OkStatus();
  return Wrong("a ", kind, " of layer ", layer, ", expected ", kAllLayers, " or ",
               must_be_target ? "a target layer of the header" : "a CSA index of the header");
}

absl::Status ProfileChecker::Advance(const char* kind, int32_t step, int32_t layer, int32_t stride,
                                     Series* series) {
  const bool is_new_step = step != series->step;
  if (is_new_step) {
    const int32_t expected = series->step < 0 ? 0 : series->step + stride;
    if (step != expected || !series->complete()) {
      return Wrong("a ", kind, " of step ", step, ", but step ",
                   series->complete() ? expected : series->step, " is not complete");
    }
    series->layers_known = series->step >= 0;
    series->step = step;
    series->position = 0;
  }
  const bool is_first_step = !series->layers_known;
  const bool rises = series->layers.empty() || layer > series->layers.back();
  const bool is_over = !series->layers.empty() && series->layers[0] == kAllLayers;
  if (is_first_step ? !rises || is_over : series->complete()) {
    return Wrong("a second ", kind, " of step ", step, ", layer ", layer);
  }
  if (is_first_step) {
    series->layers.push_back(layer);
    return absl::OkStatus();
  }
  if (series->layers[series->position] != layer) {
    return Wrong("a ", kind, " of step ", step, ", layer ", layer,
                 ": the layers of every step must be those of step 0, in the same order");
  }
  ++series->position;
  return absl::OkStatus();
}

}  // namespace tierscope
