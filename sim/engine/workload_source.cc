#include "sim/engine/workload_source.h"

#include <algorithm>
#include <numeric>

#include "sim/base/check.h"
#include "sim/base/units.h"

namespace tierscope {

WorkloadSource::WorkloadSource(const Scenario& scenario, const RequestTrace* trace)
    : workload_(scenario.workload()), trace_(trace), rng_(scenario.seed(), /*stream=*/0x776f726b) {
  for (const RequestClass& c : workload_.classes()) class_weight_total_ += c.weight();
  if (trace_ == nullptr) return;
  if (!closed()) {
    ScheduleTrace();
    return;
  }
  if (trace_->conversation_count == 0) return;
  conversations_.resize(static_cast<size_t>(trace_->conversation_count));
  for (size_t i = 0; i < trace_->requests.size(); ++i) {
    const int32_t conversation = trace_->requests[i].conversation;
    TIERSCOPE_CHECK(conversation >= 0);
    conversations_[static_cast<size_t>(conversation)].push_back(static_cast<uint32_t>(i));
  }
}

// Own times; under POISSON or GAMMA the process gives the start of each conversation, or of each
// request where the trace has no conversations, and a conversation keeps its own times from there.
void WorkloadSource::ScheduleTrace() {
  const size_t count = trace_->requests.size();
  trace_times_.resize(count);
  std::vector<SimDuration> shift(
      static_cast<size_t>(std::max<int64_t>(1, trace_->conversation_count)));
  const bool own_times = workload_.arrivals() == Workload::TRACE;
  SimDuration drawn;
  if (!own_times && trace_->conversation_count > 0) {
    for (SimDuration& s : shift) s = drawn = std::min(drawn + DrawGap(), kLongest);
  }
  for (size_t i = 0; i < count; ++i) {
    const TraceRequest& request = trace_->requests[i];
    if (own_times) {
      trace_times_[i] = request.arrival;
    } else if (request.conversation >= 0) {
      trace_times_[i] = request.arrival + shift[static_cast<size_t>(request.conversation)];
    } else {
      drawn = std::min(drawn + DrawGap(), kLongest);
      trace_times_[i] = SimTime{} + drawn;
    }
  }
  trace_order_.resize(count);
  std::iota(trace_order_.begin(), trace_order_.end(), 0u);
  std::stable_sort(trace_order_.begin(), trace_order_.end(),
                   [&](uint32_t a, uint32_t b) { return trace_times_[a] < trace_times_[b]; });
}

SimDuration WorkloadSource::DrawGap() {
  const double mean_s = 1.0 / workload_.requests_per_s();
  if (workload_.arrivals() == Workload::POISSON) {
    return DurationFromSeconds(mean_s * rng_.NextExponential());
  }
  const double shape = 1.0 / (workload_.arrival_cv() * workload_.arrival_cv());
  return DurationFromSeconds(mean_s / shape * rng_.NextGamma(shape));
}

// A request of the scenario's own making: its class by weight, its lengths from the workload where
// set.
Arrival WorkloadSource::Shape(SimTime time, int32_t user) {
  Arrival arrival{time, workload_.context_tokens(), workload_.output_tokens(), user};
  if (workload_.classes_size() == 0) return arrival;
  double ticket = rng_.NextDouble() * class_weight_total_;
  int index = 0;
  while (index + 1 < workload_.classes_size() && ticket >= workload_.classes(index).weight()) {
    ticket -= workload_.classes(index++).weight();
  }
  const RequestClass& c = workload_.classes(index);
  if (!workload_.has_context_tokens()) arrival.context_tokens = c.context_tokens();
  if (!workload_.has_output_tokens()) arrival.output_tokens = c.output_tokens();
  return arrival;
}

std::optional<Arrival> WorkloadSource::FromTrace(size_t index, SimTime time, int32_t user) {
  const TraceRequest& request = trace_->requests[index];
  Arrival arrival{time, request.input_tokens, request.output_tokens, user,
                  static_cast<int64_t>(index)};
  if (workload_.has_context_tokens()) arrival.context_tokens = workload_.context_tokens();
  if (workload_.has_output_tokens()) arrival.output_tokens = workload_.output_tokens();
  return arrival;
}

std::optional<Arrival> WorkloadSource::Next() {
  if (LimitReached()) return std::nullopt;
  std::optional<Arrival> arrival;
  if (closed()) {
    if (users_started_ == workload_.concurrency()) return std::nullopt;
    const int32_t user = users_started_++;
    places_.push_back({conversation_next_++, 0});
    arrival = NextOfUser(user, SimTime{});
    if (arrival && trace_ == nullptr && workload_.ramp_start()) RampOutput(*arrival);
  } else if (trace_ != nullptr) {
    if (trace_next_ == trace_order_.size()) return std::nullopt;
    const uint32_t index = trace_order_[trace_next_++];
    arrival = FromTrace(index, trace_times_[index], -1);
  } else {
    last_ = last_ + DrawGap();
    arrival = Shape(last_, -1);
  }
  if (arrival) ++sent_;
  return arrival;
}

// User u of N starts (u + 1) / N of the way from the end of its first request.
void WorkloadSource::RampOutput(Arrival& arrival) const {
  arrival.output_tokens =
      CeilDiv(arrival.output_tokens * (arrival.user + 1), workload_.concurrency());
}

std::optional<Arrival> WorkloadSource::NextOfUser(int32_t user, SimTime now) {
  if (trace_ == nullptr) return Shape(now, user);
  if (conversations_.empty()) {
    if (trace_next_ == trace_->requests.size()) return std::nullopt;
    return FromTrace(trace_next_++, now, user);
  }
  Place& place = places_[static_cast<size_t>(user)];
  while (place.conversation < conversations_.size()) {
    const std::vector<uint32_t>& turns = conversations_[place.conversation];
    if (place.request < turns.size()) {
      const uint32_t index = turns[place.request++];
      const SimDuration think = place.request == 1 ? SimDuration{} : trace_->requests[index].think;
      return FromTrace(index, now + think, user);
    }
    place = {conversation_next_++, 0};
  }
  return std::nullopt;
}

std::optional<Arrival> WorkloadSource::AfterFinish(int32_t user, SimTime now) {
  if (!closed() || LimitReached()) return std::nullopt;
  const SimDuration think = DurationFromSeconds(trace_ == nullptr ? workload_.think_s() : 0.0);
  std::optional<Arrival> arrival = NextOfUser(user, now + think);
  if (arrival) ++sent_;
  return arrival;
}

}  // namespace tierscope
