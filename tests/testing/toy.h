// A world with round numbers, so that the times of a test can be worked out by hand:
//   a step takes 10 ms whatever the batch, a level-1 job scores for 1 ms, a page is 1 MB, the host
//   link moves 1 page per ms, host DRAM 2 pages per ms, 4 tokens make an entry and 256 a page; one
//   rank.
#ifndef TIERSCOPE_TESTS_TESTING_TOY_H_
#define TIERSCOPE_TESTS_TESTING_TOY_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"
#include "sim/demand/distil.h"
#include "sim/engine/fleet.h"
#include "sim/engine/memory_plan.h"
#include "sim/engine/observer.h"

namespace tierscope::testing {

// The toy world with `more`, a Scenario in text format, merged over it.
Scenario ToyScenario(const std::string& more);

// One profile, described per sub-window: the pages scored high at its tick and the selections in
// it.
struct ToyWindow {
  std::vector<PageIndex> scored_pages;
  std::vector<std::pair<PageIndex, int>> selections;  // page, count per step
};

// A profile of `windows` sub-windows of `stride` steps behind a prompt of whole pages, distilled
// under the scenario's policy.
WindowDemand ToyDemand(const Scenario& scenario, int32_t prompt_pages, int32_t stride,
                       const std::vector<ToyWindow>& windows);

// Writes down what it sees, one line an event, times in ms.
class Diary : public Observer {
 public:
  const std::vector<std::string>& lines() const { return lines_; }
  std::string text() const;

  void Progress(SimTime) override {}
  void WarmupEnded(SimTime now) override;
  void Step(SimTime begin, SimDuration length, SimDuration interference, int64_t requests) override;
  void Wait(SimTime begin, SimTime end, const char* cause) override;
  void Level1(int64_t job, SimTime begin, SimTime scored, int64_t requests) override;
  void Recall(int64_t job, SimTime begin, SimTime end, int64_t pages) override;
  void Publish(int64_t job, SimTime now) override;
  void Resident(SimTime, int64_t) override {}

 private:
  std::vector<std::string> lines_;
};

struct ToyRun {
  std::string diary;
  ReplicaOutcome outcome;
};
// Runs the scenario on `demand` (null under FULL) and, where given, a request trace.
ToyRun RunToy(const Scenario& scenario, const WindowDemand* demand,
              const RequestTrace* trace = nullptr, const ReplicaOptions& options = {});

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TESTING_TOY_H_
