#include "sim/engine/arrivals.h"

namespace tierscope {

void Arrivals::Pull() {
  next_ = source_.Next();
  if (next_) queue_.Push(next_->time.ns, phase_, kNextOfSource);
}

Arrival Arrivals::Take(const Event& event) {
  if (OfSource(event)) {
    const Arrival arrival = *next_;
    Pull();
    return arrival;
  }
  returning_free_.push_back(event.subject);
  return returning_[static_cast<size_t>(event.subject)];
}

void Arrivals::SendNext(int32_t user, SimTime now) {
  const std::optional<Arrival> next = source_.AfterFinish(user, now);
  if (!next) return;
  int32_t index;
  if (returning_free_.empty()) {
    index = static_cast<int32_t>(returning_.size());
    returning_.push_back(*next);
  } else {
    index = returning_free_.back();
    returning_free_.pop_back();
    returning_[static_cast<size_t>(index)] = *next;
  }
  queue_.Push(next->time.ns, phase_, index);
}

}  // namespace tierscope
