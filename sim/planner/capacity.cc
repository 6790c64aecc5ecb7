#include "sim/planner/capacity.h"

#include <algorithm>
#include <map>

#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

class Searcher {
 public:
  Searcher(const CapacitySearch& search,
           const std::function<absl::StatusOr<RunResult>(int64_t)>& evaluate)
      : search_(search), evaluate_(evaluate), load_top_(search.load_max) {
    for (const Ceiling& ceiling : search.ceilings) load_top_ = std::min(load_top_, ceiling.load);
  }

  absl::StatusOr<Capacity> Find() {
    TIERSCOPE_ASSIGN_OR_RETURN(int64_t answer, Bisect(/*without=*/-1, 0));
    TIERSCOPE_RETURN_IF_ERROR(RunCurve(answer));
    capacity_.monotone = IsMonotone();
    if (!capacity_.monotone) {
      TIERSCOPE_RETURN_IF_ERROR(Scan());
      answer = LargestThatHolds();
    }
    capacity_.load = answer;
    TIERSCOPE_RETURN_IF_ERROR(NameBinding());
    for (auto& [load, point] : points_) capacity_.points.push_back(std::move(point));
    return std::move(capacity_);
  }

 private:
  absl::StatusOr<const LoadPoint*> At(int64_t load) {
    const auto known = points_.find(load);
    if (known != points_.end()) return &known->second;
    LoadPoint point;
    point.load = load;
    TIERSCOPE_ASSIGN_OR_RETURN(point.result, evaluate_(load));
    TIERSCOPE_ASSIGN_OR_RETURN(point.readings, ReadLimits(search_.limits, point.result));
    point.holds = HoldsWithout(point, -1);
    return &points_.emplace(load, std::move(point)).first->second;
  }

  // Whether every limit but `without` holds at the point.
  static bool HoldsWithout(const LoadPoint& point, int without) {
    for (size_t i = 0; i < point.readings.size(); ++i) {
      if (static_cast<int>(i) != without && !point.readings[i].holds) return false;
    }
    return true;
  }

  // Largest load in [known, load_top_] that holds without limit `without`, taking it for monotone;
  // `known` holds. Doubles first, so that a small answer costs no run at a huge load.
  absl::StatusOr<int64_t> Bisect(int without, int64_t known) {
    int64_t holds = known;
    int64_t fails = load_top_ + 1;
    for (int64_t load = std::max<int64_t>(1, 2 * known); holds < load_top_; load *= 2) {
      load = std::min(load, load_top_);
      TIERSCOPE_ASSIGN_OR_RETURN(const LoadPoint* point, At(load));
      if (!HoldsWithout(*point, without)) {
        fails = load;
        break;
      }
      holds = load;
    }
    while (fails - holds > 1) {
      const int64_t middle = holds + (fails - holds) / 2;
      TIERSCOPE_ASSIGN_OR_RETURN(const LoadPoint* point, At(middle));
      (HoldsWithout(*point, without) ? holds : fails) = middle;
    }
    return holds;
  }

  // Even steps over (0, 1.25 * answer], within what may be run. Where not even 1 holds, doubling
  // steps over everything: a floor that needs load, on throughput say, may hold further up.
  absl::Status RunCurve(int64_t answer) {
    if (answer == 0) {
      for (int64_t load = 1; load <= load_top_; load *= 2) {
        TIERSCOPE_RETURN_IF_ERROR(At(load).status());
      }
      return absl::OkStatus();
    }
    const int64_t top = std::min(load_top_, std::max<int64_t>(answer + answer / 4, 4));
    return RunEvenly(top, search_.curve_points);
  }

  absl::Status Scan() {
    const int64_t top = std::min(load_top_, 2 * points_.rbegin()->first);
    return RunEvenly(top, search_.scan_points);
  }

  absl::Status RunEvenly(int64_t top, int count) {
    for (int i = 1; i <= count; ++i) {
      const int64_t load = top * i / count;
      if (load >= 1) TIERSCOPE_RETURN_IF_ERROR(At(load).status());
    }
    return absl::OkStatus();
  }

  bool IsMonotone() const {
    for (size_t limit = 0; limit < search_.limits.size(); ++limit) {
      bool failed = false;
      for (const auto& [load, point] : points_) {
        if (failed && point.readings[limit].holds) return false;
        failed = failed || !point.readings[limit].holds;
      }
    }
    return true;
  }

  int64_t LargestThatHolds() const {
    for (auto point = points_.rbegin(); point != points_.rend(); ++point) {
      if (point->second.holds) return point->first;
    }
    return 0;
  }

  // The limit that fails worst at the load, -1 = none.
  static int WorstAt(const LoadPoint& point, int without) {
    int worst = -1;
    for (size_t i = 0; i < point.readings.size(); ++i) {
      if (point.readings[i].holds || static_cast<int>(i) == without) continue;
      if (worst < 0 || point.readings[i].slack < point.readings[static_cast<size_t>(worst)].slack) {
        worst = static_cast<int>(i);
      }
    }
    return worst;
  }

  int LowestCeiling(int without) const {
    int lowest = -1;
    for (size_t i = 0; i < search_.ceilings.size(); ++i) {
      if (static_cast<int>(i) == without) continue;
      if (lowest < 0 ||
          search_.ceilings[i].load < search_.ceilings[static_cast<size_t>(lowest)].load)
        lowest = static_cast<int>(i);
    }
    return lowest;
  }

  absl::Status NameBinding() {
    const int64_t answer = capacity_.load;
    if (answer >= load_top_) {
      const int ceiling = LowestCeiling(-1);
      if (ceiling < 0 || search_.ceilings[static_cast<size_t>(ceiling)].load > load_top_) {
        return absl::OkStatus();
      }
      capacity_.binding_ceiling = ceiling;
      return NameNextCeiling(ceiling);
    }
    const auto failed = std::find_if(points_.upper_bound(answer), points_.end(),
                                     [](const auto& entry) { return !entry.second.holds; });
    if (failed == points_.end()) return absl::OkStatus();
    capacity_.binding_limit = WorstAt(failed->second, -1);
    return NameNextLimit();
  }

  // Behind a ceiling stands the next ceiling; what the limits do beyond it nobody can run.
  absl::Status NameNextCeiling(int binding) {
    capacity_.next_ceiling = LowestCeiling(binding);
    if (capacity_.next_ceiling >= 0) {
      capacity_.next_load = search_.ceilings[static_cast<size_t>(capacity_.next_ceiling)].load;
    }
    return absl::OkStatus();
  }

  absl::Status NameNextLimit() {
    const int without = capacity_.binding_limit;
    TIERSCOPE_ASSIGN_OR_RETURN(capacity_.next_load, Bisect(without, capacity_.load));
    if (capacity_.next_load >= load_top_) {
      capacity_.next_ceiling = LowestCeiling(-1);
      return absl::OkStatus();
    }
    TIERSCOPE_ASSIGN_OR_RETURN(const LoadPoint* point, At(capacity_.next_load + 1));
    capacity_.next_limit = WorstAt(*point, without);
    return absl::OkStatus();
  }

  const CapacitySearch& search_;
  const std::function<absl::StatusOr<RunResult>(int64_t)>& evaluate_;
  int64_t load_top_;
  std::map<int64_t, LoadPoint> points_;
  Capacity capacity_;
};

}  // namespace

const LoadPoint* Capacity::PointAt(int64_t at) const {
  const auto point = std::lower_bound(points.begin(), points.end(), at,
                                      [](const LoadPoint& p, int64_t l) { return p.load < l; });
  return point != points.end() && point->load == at ? &*point : nullptr;
}

absl::StatusOr<Capacity> FindCapacity(
    const CapacitySearch& search,
    const std::function<absl::StatusOr<RunResult>(int64_t load)>& evaluate) {
  TIERSCOPE_RETURN_IF_ERROR(CheckLimits(search.limits));
  return Searcher(search, evaluate).Find();
}

}  // namespace tierscope
