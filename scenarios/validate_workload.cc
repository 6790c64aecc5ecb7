// What the workload's fields say of one another.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "scenarios/validate_parts.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

std::string Element(absl::string_view list, int index, absl::string_view field) {
  return absl::StrCat(list, "[", index, "].", field);
}

bool IsOpenLoop(const Workload& workload) {
  switch (workload.arrivals()) {
    case Workload::CLOSED_LOOP:
      return false;
    case Workload::POISSON:
    case Workload::GAMMA:
    case Workload::TRACE:
      return true;
  }
  return false;
}

absl::Status CheckArrivals(const Workload& workload, const Origins& origins) {
  const std::string& arrivals = Workload::Arrivals_Name(workload.arrivals());
  const bool timed_by_rate = IsOpenLoop(workload) && workload.arrivals() != Workload::TRACE;
  if (!IsOpenLoop(workload) && workload.concurrency() < 1) {
    return origins.Error("workload.concurrency",
                         "a closed loop needs a number of users; give 1 to 1000000");
  }
  if (timed_by_rate && !workload.has_requests_per_s()) {
    return origins.Error(
        "workload.requests_per_s",
        absl::StrCat("arrivals ", arrivals, " need a rate; give workload.requests_per_s"));
  }
  if (!timed_by_rate && workload.has_requests_per_s()) {
    return origins.Error("workload.requests_per_s",
                         absl::StrCat("has no effect with arrivals ", arrivals,
                                      "; remove it or choose POISSON or GAMMA"));
  }
  if (workload.think_s() > 0 && (IsOpenLoop(workload) || workload.has_trace())) {
    return origins.Error(
        "workload.think_s",
        "has no effect: it is the pause of a closed loop without a trace; remove it");
  }
  if (workload.arrival_cv() != 1.0 && workload.arrivals() != Workload::GAMMA) {
    return origins.Error(
        "workload.arrival_cv",
        absl::StrCat("has no effect with arrivals ", arrivals, "; remove it or choose GAMMA"));
  }
  if (workload.arrivals() == Workload::TRACE && !workload.has_trace()) {
    return origins.Error(
        "workload.trace",
        "is not given, and arrivals TRACE replay one; give --set workload.trace=FILE");
  }
  return absl::OkStatus();
}

// Waiting requests are kept in memory, so an open loop has an end.
absl::Status CheckArrivalCount(const Scenario& scenario, const Origins& origins) {
  const Workload& workload = scenario.workload();
  constexpr double kArrivalsMax = 2e7;
  const double arrivals = workload.requests_per_s() * scenario.engine().simulated_s();
  if (workload.request_limit() > 0 || arrivals <= kArrivalsMax) return absl::OkStatus();
  return origins.Error(
      "workload.requests_per_s",
      absl::StrFormat("%g a second for %g s are more than %g requests; lower it, "
                      "engine.simulated_s, or set workload.request_limit",
                      workload.requests_per_s(), scenario.engine().simulated_s(), kArrivalsMax));
}

absl::Status CheckClass(const Workload& workload, int index, const Origins& origins) {
  const RequestClass& request_class = workload.classes(index);
  if (!workload.has_context_tokens() && !request_class.has_context_tokens()) {
    return origins.Error(Element("workload.classes", index, "context_tokens"),
                         "is not given; give it, or workload.context_tokens for all classes");
  }
  if (!workload.has_output_tokens() && !request_class.has_output_tokens()) {
    return origins.Error(Element("workload.classes", index, "output_tokens"),
                         "is not given; give it, or workload.output_tokens for all classes");
  }
  return absl::OkStatus();
}

// Every request has a prompt and an output from somewhere.
absl::Status CheckLengths(const Workload& workload, const Origins& origins) {
  if (workload.has_trace() && workload.classes_size() > 0) {
    return origins.Error("workload.trace",
                         "a trace and workload.classes exclude each other; remove one of them");
  }
  for (int i = 0; i < workload.classes_size(); ++i) {
    TIERSCOPE_RETURN_IF_ERROR(CheckClass(workload, i, origins));
  }
  if (workload.has_trace() || workload.classes_size() > 0) return absl::OkStatus();
  constexpr absl::string_view kMissing =
      "is not given; give it, or workload.classes, or workload.trace";
  if (!workload.has_context_tokens()) return origins.Error("workload.context_tokens", kMissing);
  if (!workload.has_output_tokens()) return origins.Error("workload.output_tokens", kMissing);
  return absl::OkStatus();
}

absl::Status CheckAttention(const Scenario& scenario, const Origins& origins) {
  const Attention& attention = scenario.workload().attention();
  if (scenario.policy().kind() == Policy::FULL || attention.has_trace()) return absl::OkStatus();
  if (!attention.has_generator_preset()) {
    return origins.Error(
        "workload.attention.trace",
        absl::StrCat("is not given, and policy ", Policy::Kind_Name(scenario.policy().kind()),
                     " needs one; give it or workload.attention.generator_preset"));
  }
  const Workload& workload = scenario.workload();
  if (workload.has_trace() && !workload.has_context_tokens() &&
      attention.context_tokens_size() == 0) {
    return origins.Error("workload.attention.context_tokens",
                         "is empty, and a request trace has too many contexts for a profile each; "
                         "give a ladder such as [8192,65536,524288]");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckWorkloadFields(const Scenario& scenario, const Origins& origins) {
  const Workload& workload = scenario.workload();
  TIERSCOPE_RETURN_IF_ERROR(CheckArrivals(workload, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckArrivalCount(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckLengths(workload, origins));
  return CheckAttention(scenario, origins);
}

}  // namespace tierscope
