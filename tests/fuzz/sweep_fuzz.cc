// A sweep file over a small scenario: axes, ranges, goals.
#include <cstring>
#include <string>

#include "absl/status/statusor.h"

#include "sim/base/check.h"
#include "sim/planner/sweep_plan.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"
#include "tests/scenarios/scenario_text.h"

namespace tierscope::testing {

// "scenario.txtpb" in the text is the small scenario.
void FuzzSweep(absl::string_view input) {
  static MemoryFile scenario, sweep;
  static const std::string scenario_path = scenario.Fill(SmallScenario());
  std::string text(input);
  const size_t at = text.find("scenario.txtpb");
  if (at != std::string::npos) text.replace(at, strlen("scenario.txtpb"), scenario_path);
  const absl::StatusOr<SweepPlan> plan = LoadSweep(sweep.Fill(text), {});
  if (!plan.ok()) return CheckMessage(plan.status(), kMessageBytesMax + 2 * 4096);
  TIERSCOPE_CHECK(plan->point_count() > 0 && plan->point_count() <= kSweepPointsUnasked);
  for (const int64_t point : {int64_t{0}, plan->point_count() - 1}) {
    for (size_t axis = 0; axis < plan->axes.size(); ++axis) {
      const int32_t value = plan->ValueAt(point / plan->repeats, axis);
      TIERSCOPE_CHECK(value >= 0 && value < static_cast<int32_t>(plan->axes[axis].values.size()));
    }
    const absl::StatusOr<Scenario> resolved = ResolvePoint(*plan, PointSets(*plan, point));
    if (!resolved.ok()) CheckMessage(resolved.status(), kMessageBytesMax + 2 * 4096);
  }
}

}  // namespace tierscope::testing
