#include "sim/planner/capacity.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

// The next bound is searched up to so many times the answer, to one part in so many of its load.
constexpr int64_t kNextSearchFactor = 4;
constexpr int64_t kNextResolution = 16;

class Searcher {
 public:
  Searcher(const CapacitySearch& search, const EvaluateLoad& evaluate)
      : search_(search), evaluate_(evaluate), load_top_(TopWithout(-1)) {}

  absl::StatusOr<Capacity> Find() {
    if (load_top_ >= 1) TIERSCOPE_RETURN_IF_ERROR(At(1).status());
    TIERSCOPE_ASSIGN_OR_RETURN(capacity_.load, Bisect());
    TIERSCOPE_RETURN_IF_ERROR(RunCurve());
    JudgeOrder();
    if (!capacity_.monotone) {
      TIERSCOPE_RETURN_IF_ERROR(Scan());
      capacity_.load = LargestThatHolds(load_top_);
    } else if (capacity_.noisy_from > 0) {
      capacity_.load = LargestThatHolds(capacity_.noisy_from - 1);
    }
    capacity_.binding = BindingBound();
    if (!capacity_.binding.none()) TIERSCOPE_RETURN_IF_ERROR(NameNext());
    for (auto& [load, point] : points_) capacity_.points.push_back(std::move(point));
    return std::move(capacity_);
  }

 private:
  using Points = std::map<int64_t, LoadPoint>;

  absl::StatusOr<const LoadPoint*> RunOnce(Points& points, int64_t load, Bottleneck lifted) {
    const auto known = points.find(load);
    if (known != points.end()) return &known->second;
    LoadPoint point;
    point.load = load;
    TIERSCOPE_ASSIGN_OR_RETURN(point.result, evaluate_(load, lifted));
    TIERSCOPE_ASSIGN_OR_RETURN(point.readings, ReadLimits(search_.limits, point.result, load == 1));
    point.holds = HoldsWithout(point, -1);
    return &points.emplace(load, std::move(point)).first->second;
  }
  absl::StatusOr<const LoadPoint*> At(int64_t load) {
    return RunOnce(points_, load, Bottleneck::kNone);
  }

  // Whether every limit but `without` holds at the point.
  static bool HoldsWithout(const LoadPoint& point, int without) {
    for (size_t i = 0; i < point.readings.size(); ++i) {
      if (static_cast<int>(i) != without && !point.readings[i].holds) return false;
    }
    return true;
  }

  // The largest load that may be run when ceiling `without` is gone.
  int64_t TopWithout(int without) const {
    int64_t top = search_.load_max;
    for (size_t i = 0; i < search_.ceilings.size(); ++i) {
      if (static_cast<int>(i) != without) top = std::min(top, search_.ceilings[i].load);
    }
    return top;
  }

  // The largest load that holds, limits taken for monotone. Below a ceiling the top is tried first:
  // where only resources bind, that one run is all. Without one loads double, so that a small
  // answer costs no run at a huge load.
  absl::StatusOr<int64_t> Bisect() {
    int64_t holds = 0, fails = load_top_ + 1;
    const bool below_ceiling = load_top_ < search_.load_max;
    for (int64_t load = below_ceiling ? load_top_ : 1; holds < load_top_; load *= 2) {
      load = std::min(load, load_top_);
      TIERSCOPE_ASSIGN_OR_RETURN(const LoadPoint* point, At(load));
      if (!point->holds) {
        fails = load;
        break;
      }
      holds = load;
    }
    while (fails - holds > 1) {
      const int64_t middle = holds + (fails - holds) / 2;
      TIERSCOPE_ASSIGN_OR_RETURN(const LoadPoint* point, At(middle));
      (point->holds ? holds : fails) = middle;
    }
    return holds;
  }

  // Even steps over (0, 1.25 * answer], within what may be run. Where not even 1 holds, doubling
  // steps over everything: a floor that needs load, on throughput say, may hold further up.
  absl::Status RunCurve() {
    const int64_t answer = capacity_.load;
    if (answer == 0) {
      for (int64_t load = 1; load <= load_top_; load *= 2) {
        TIERSCOPE_RETURN_IF_ERROR(At(load).status());
      }
      return absl::OkStatus();
    }
    const int64_t top = std::min(load_top_, std::max<int64_t>(answer + answer / 4, 4));
    return RunEvenly(0, top, search_.curve_points);
  }

  // A limit that fails below a load where it holds: by more than its noise on either side, the
  // limits are not monotone; else the two loads bound a stretch of chance.
  void JudgeOrder() {
    for (size_t limit = 0; limit < search_.limits.size(); ++limit) {
      const double noise = search_.limits[limit].noise;
      const LoadPoint* worst = nullptr;
      int64_t first = 0;
      for (const auto& [load, point] : points_) {
        const Reading& reading = point.readings[limit];
        if (!reading.holds) {
          if (worst == nullptr) first = load;
          if (worst == nullptr || reading.slack < worst->readings[limit].slack) worst = &point;
          continue;
        }
        if (worst == nullptr) continue;
        if (reading.slack > noise || worst->readings[limit].slack < -noise) {
          capacity_.monotone = false;
        }
        NoteNoise(first, load);
      }
    }
    if (!capacity_.monotone) capacity_.noisy_from = capacity_.noisy_to = 0;
  }
  void NoteNoise(int64_t from, int64_t to) {
    const bool none = capacity_.noisy_from == 0;
    capacity_.noisy_from = none ? from : std::min(capacity_.noisy_from, from);
    capacity_.noisy_to = std::max(capacity_.noisy_to, to);
  }

  // From the least load that fails to twice the largest that holds. Nothing to find at the top.
  absl::Status Scan() {
    const int64_t held = LargestThatHolds(load_top_);
    if (held == load_top_) return absl::OkStatus();
    const auto failed = std::find_if(points_.begin(), points_.end(),
                                     [](const auto& entry) { return !entry.second.holds; });
    const int64_t from = failed == points_.end() ? 0 : failed->first;
    const int64_t to = std::max(held == 0 ? points_.rbegin()->first : 2 * held, from + 1);
    return RunEvenly(from, std::min(load_top_, to), search_.scan_points);
  }

  absl::Status RunEvenly(int64_t from, int64_t to, int count) {
    for (int i = 1; i <= count; ++i) {
      const int64_t load = from + (to - from) * i / count;
      if (load >= 1) TIERSCOPE_RETURN_IF_ERROR(At(load).status());
    }
    return absl::OkStatus();
  }

  int64_t LargestThatHolds(int64_t up_to) const {
    for (auto point = points_.rbegin(); point != points_.rend(); ++point) {
      if (point->first <= up_to && point->second.holds) return point->first;
    }
    return 0;
  }

  // The limit that fails worst at the point, `without` left out.
  static Bound WorstAt(const LoadPoint& point, int without) {
    Bound worst;
    for (size_t i = 0; i < point.readings.size(); ++i) {
      if (point.readings[i].holds || static_cast<int>(i) == without) continue;
      if (worst.limit < 0 ||
          point.readings[i].slack < point.readings[static_cast<size_t>(worst.limit)].slack) {
        worst.limit = static_cast<int>(i);
      }
    }
    return worst;
  }

  // The ceiling at `load`, `without` left out; none where load_max is lower.
  Bound CeilingAt(int64_t load, int without) const {
    for (size_t i = 0; i < search_.ceilings.size(); ++i) {
      if (static_cast<int>(i) != without && search_.ceilings[i].load == load) {
        return {-1, static_cast<int>(i)};
      }
    }
    return {};
  }

  Bound BindingBound() const {
    const auto failed = std::find_if(points_.upper_bound(capacity_.load), points_.end(),
                                     [](const auto& entry) { return !entry.second.holds; });
    if (failed != points_.end()) return WorstAt(failed->second, -1);
    return capacity_.load >= load_top_ ? CeilingAt(load_top_, -1) : Bound{};
  }

  Bottleneck ResourceOf(const Bound& bound) const {
    if (bound.ceiling >= 0) return search_.ceilings[static_cast<size_t>(bound.ceiling)].resource;
    return search_.limits[static_cast<size_t>(bound.limit)].resource;
  }

  // With the binding bound gone, up to the next ceiling. A limit that shows no lack of a resource
  // is looked away from; a resource is lifted. A limit that a saturated replica fails for ever (its
  // resource unknown) has nothing behind it that a run could show.
  absl::Status NameNext() {
    const Bound& binding = capacity_.binding;
    const Bottleneck lifted = ResourceOf(binding);
    const int64_t top = TopWithout(binding.ceiling);
    if (binding.limit >= 0 && search_.limits[static_cast<size_t>(binding.limit)].saturates) {
      return absl::OkStatus();
    }
    const bool limits_left = search_.limits.size() > (binding.limit >= 0 ? 1u : 0u) &&
                             lifted != Bottleneck::kRequestSlots;
    const Bound ceiling = CeilingAt(top, binding.ceiling);
    if (!limits_left && ceiling.none()) return absl::OkStatus();
    NextBound& next = capacity_.next;
    next = {{}, limits_left ? capacity_.load : top, top + 1};
    if (limits_left) TIERSCOPE_RETURN_IF_ERROR(NarrowNext(lifted, top));
    if (next.load_fails > top && next.load_holds == top) next.bound = ceiling;
    return absl::OkStatus();
  }

  absl::Status NarrowNext(Bottleneck lifted, int64_t top) {
    NextBound& next = capacity_.next;
    Points lifted_points;
    const bool as_asked = lifted == Bottleneck::kNone && capacity_.binding.ceiling < 0;
    Points& points = as_asked ? points_ : lifted_points;
    const int64_t far = std::min(top, kNextSearchFactor * std::max<int64_t>(1, capacity_.load));
    int64_t load = std::min(far, std::max<int64_t>(1, 2 * capacity_.load));
    while (next.load_holds < far &&
           next.load_fails - next.load_holds > 1 + next.load_holds / kNextResolution) {
      TIERSCOPE_ASSIGN_OR_RETURN(const LoadPoint* point, RunOnce(points, load, lifted));
      if (HoldsWithout(*point, capacity_.binding.limit)) {
        next.load_holds = load;
      } else {
        next.load_fails = load;
        next.bound = WorstAt(*point, capacity_.binding.limit);
      }
      load =
          next.load_fails > top ? std::min(far, 2 * load) : (next.load_holds + next.load_fails) / 2;
    }
    return absl::OkStatus();
  }

  const CapacitySearch& search_;
  const EvaluateLoad& evaluate_;
  int64_t load_top_;
  Points points_;
  Capacity capacity_;
};

}  // namespace

const LoadPoint* Capacity::PointAt(int64_t at) const {
  const auto point = std::lower_bound(points.begin(), points.end(), at,
                                      [](const LoadPoint& p, int64_t l) { return p.load < l; });
  return point != points.end() && point->load == at ? &*point : nullptr;
}

const LoadPoint* Capacity::FirstFailing() const {
  for (const LoadPoint& point : points) {
    if (point.load > load && !point.holds) return &point;
  }
  return nullptr;
}

absl::StatusOr<Capacity> FindCapacity(const CapacitySearch& search, const EvaluateLoad& evaluate) {
  TIERSCOPE_RETURN_IF_ERROR(CheckLimits(search.limits));
  return Searcher(search, evaluate).Find();
}

}  // namespace tierscope
