#include "cli/sweep_points.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/attention_source.h"
#include "cli/source_digest.h"
#include "tbb/parallel_for.h"
#include "tbb/task_arena.h"

#include "reports/schema/metrics.h"
#include "scenarios/loader.h"
#include "sim/base/digest.h"
#include "sim/base/status_macros.h"
#include "sim/engine/simulate.h"
#include "traces/request_trace.h"

namespace tierscope::cli {
namespace {

// Digests of input files, each read once.
class FileDigests {
 public:
  absl::StatusOr<std::string> OfAttention(const std::string& path) {
    return Once(path, [&path]() -> absl::StatusOr<std::string> {
      std::ifstream file(path, std::ios::binary);
      if (!file) {
        return absl::NotFoundError(absl::StrCat(path, ": cannot be opened; check the path"));
      }
      Digest digest;
      std::string block(size_t{1} << 20, '\0');
      while (file.read(block.data(), static_cast<std::streamsize>(block.size())) ||
             file.gcount() > 0) {
        digest.Add(absl::string_view(block.data(), static_cast<size_t>(file.gcount())));
      }
      return digest.hex();
    });
  }
  absl::StatusOr<std::string> OfRequests(const std::string& path) {
    return Once(path, [&path]() -> absl::StatusOr<std::string> {
      TIERSCOPE_ASSIGN_OR_RETURN(const RequestTrace trace,
                                 LoadRequestTrace(path, RequestTraceOptions{}));
      return trace.digest;
    });
  }

 private:
  template <typename Make>
  absl::StatusOr<std::string> Once(const std::string& path, const Make& make) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = digests_.find(path);
    if (found != digests_.end()) return found->second;
    absl::StatusOr<std::string> digest = make();
    if (digest.ok()) digests_[path] = *digest;
    return digest;
  }
  std::mutex mutex_;
  std::map<std::string, std::string> digests_;
};

// Everything the result depends on: the scenario with its name, what its files hold, and the build.
// A generated trace follows from the scenario and the build.
absl::StatusOr<ResultKey> KeyOf(const Scenario& resolved, FileDigests& files) {
  Scenario scenario = resolved;
  scenario.clear_description();
  std::string inputs;
  const auto add_input = [&inputs](const std::string& path, const std::string& digest) {
    absl::StrAppend(&inputs, std::filesystem::path(path).filename().string(), "\n", digest, "\n");
  };
  Workload* workload = scenario.mutable_workload();
  if (workload->has_trace()) {
    TIERSCOPE_ASSIGN_OR_RETURN(const std::string digest, files.OfRequests(workload->trace()));
    add_input(workload->trace(), digest);
    workload->clear_trace();
  }
  if (workload->attention().has_trace()) {
    if (NeedsDemand(scenario)) {
      TIERSCOPE_ASSIGN_OR_RETURN(const std::string digest,
                                 files.OfAttention(workload->attention().trace()));
      add_input(workload->attention().trace(), digest);
    }
    workload->mutable_attention()->clear_trace();
  }
  const std::string text = absl::StrCat(BuildName(), "\n", kResultSchemaVersion, "\n", inputs, "\n",
                                        ScenarioText(scenario));
  ResultKey key;
  for (const uint64_t half : {uint64_t{1}, uint64_t{2}}) {
    Digest digest;
    digest.Add(half);
    digest.Add(text);
    const uint64_t value = digest.value();
    std::memcpy(key.data() + 8 * (half - 1), &value, 8);
  }
  return key;
}

using GroupId = std::pair<std::string, DemandSpec>;

absl::StatusOr<DemandGroup> GroupOf(const Scenario& scenario, int64_t point) {
  DemandGroup group;
  group.first_point = point;
  group.needed = NeedsDemand(scenario);
  if (!group.needed) return group;
  TIERSCOPE_ASSIGN_OR_RETURN(group.trace_path, AttentionTracePath(scenario));
  group.spec = DemandSpecOf(scenario);
  // All others draw nothing: repeats over seeds share their demand.
  if (group.spec.policy != WantPolicy::kRandom) group.spec.seed = 1;
  return group;
}

// Fields that axes or sets give, by how many points do not read them.
class UnusedCounts {
 public:
  void Add(int64_t point, std::vector<UnusedField> unused) {
    for (UnusedField& field : unused) {
      Of& of = fields_[field.path];
      ++of.points;
      // The words of the first point, whichever thread came first.
      if (point <= of.first_point) of.first_point = point, of.field = std::move(field);
    }
  }
  // One that no point reads: an axis over it would print rows that are all alike.
  absl::Status Check(const SweepPlan& plan, int64_t points) const {
    for (const auto& [path, of] : fields_) {
      if (of.points < points) continue;
      return UnusedError(absl::StrCat(plan.file, ": ", path), of.field);
    }
    return absl::OkStatus();
  }

 private:
  struct Of {
    int64_t points = 0;
    int64_t first_point = std::numeric_limits<int64_t>::max();
    UnusedField field;
  };
  std::map<std::string, Of> fields_;
};

// Renumbers groups by their first point.
void SortGroups(std::vector<DemandGroup> groups, SweepWork* work) {
  std::vector<int32_t> order(groups.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  std::sort(order.begin(), order.end(), [&groups](int32_t a, int32_t b) {
    return groups[static_cast<size_t>(a)].first_point < groups[static_cast<size_t>(b)].first_point;
  });
  std::vector<int32_t> rank(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    rank[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
    work->groups.push_back(std::move(groups[static_cast<size_t>(order[i])]));
  }
  for (int32_t& group : work->group_of) group = rank[static_cast<size_t>(group)];
}

}  // namespace

std::string BuildName() { return absl::StrCat(TIERSCOPE_VERSION, "-", TIERSCOPE_SOURCE_DIGEST); }

std::vector<AxisValue> SweepPoints::Values(int64_t point) const {
  if (point >= plan_->point_count()) {
    return added_[static_cast<size_t>(point - plan_->point_count())].values;
  }
  std::vector<AxisValue> values;
  for (size_t a = 0; a < plan_->axes.size(); ++a) {
    const auto index = static_cast<size_t>(plan_->ValueAt(point / plan_->repeats, a));
    values.push_back(plan_->axes[a].values[index]);
  }
  return values;
}

uint64_t SweepPoints::Seed(int64_t point) const {
  if (point < plan_->point_count()) return plan_->SeedOf(point);
  return added_[static_cast<size_t>(point - plan_->point_count())].seed;
}

std::vector<std::string> SweepPoints::Sets(int64_t point) const {
  return SetsOf(*plan_, Values(point), Seed(point));
}

std::string SweepPoints::Name(int64_t point) const {
  std::vector<std::string> sets;
  for (const AxisValue& value : Values(point)) {
    sets.insert(sets.end(), value.sets.begin(), value.sets.end());
  }
  if (plan_->repeats > 1) sets.push_back(absl::StrCat("seed=", Seed(point)));
  return absl::StrJoin(sets, ",");
}

absl::StatusOr<Scenario> SweepPoints::Resolve(int64_t point,
                                              std::vector<UnusedField>* unused_sets) const {
  absl::StatusOr<Scenario> scenario = ResolvePoint(*plan_, Sets(point), unused_sets);
  if (!scenario.ok()) return Error(point, scenario.status());
  return scenario;
}

absl::Status SweepPoints::Error(int64_t point, const absl::Status& status) const {
  return absl::Status(status.code(), absl::StrCat(plan_->file, ": point ", point, " (", Name(point),
                                                  "): ", status.message()));
}

std::vector<int64_t> AllPoints(const SweepPoints& points) {
  std::vector<int64_t> all(static_cast<size_t>(points.count()));
  std::iota(all.begin(), all.end(), int64_t{0});
  return all;
}

absl::StatusOr<SweepWork> PlanWork(const SweepPoints& points, const std::vector<int64_t>& wanted,
                                   int jobs) {
  const auto count = static_cast<size_t>(points.count());
  SweepWork work;
  work.keys.resize(count);
  work.group_of.resize(count);
  FileDigests files;
  std::mutex mutex;
  std::map<GroupId, int32_t> ids;
  std::vector<DemandGroup> groups;
  UnusedCounts unused;
  std::atomic<int64_t> bad_point{points.count()};
  absl::Status bad_status;

  const auto plan_one = [&](int64_t point) -> absl::Status {
    std::vector<UnusedField> unused_sets;
    TIERSCOPE_ASSIGN_OR_RETURN(const Scenario scenario, points.Resolve(point, &unused_sets));
    const absl::StatusOr<ResultKey> key = KeyOf(scenario, files);
    if (!key.ok()) return points.Error(point, key.status());
    work.keys[static_cast<size_t>(point)] = *key;
    absl::StatusOr<DemandGroup> group = GroupOf(scenario, point);
    if (!group.ok()) return points.Error(point, group.status());
    const GroupId id(group->trace_path, group->spec);
    const std::lock_guard<std::mutex> lock(mutex);
    unused.Add(point, std::move(unused_sets));
    const auto [at, added] = ids.emplace(id, static_cast<int32_t>(groups.size()));
    if (added) groups.push_back(*std::move(group));
    DemandGroup& known = groups[static_cast<size_t>(at->second)];
    known.first_point = std::min(known.first_point, point);
    work.group_of[static_cast<size_t>(point)] = at->second;
    return absl::OkStatus();
  };
  tbb::task_arena arena(jobs);
  arena.execute([&] {
    tbb::parallel_for(size_t{0}, wanted.size(), [&](size_t i) {
      const int64_t point = wanted[i];
      if (point > bad_point) return;
      const absl::Status status = plan_one(point);
      if (status.ok()) return;
      const std::lock_guard<std::mutex> lock(mutex);
      if (point < bad_point) bad_point = point, bad_status = status;
    });
  });
  TIERSCOPE_RETURN_IF_ERROR(bad_status);
  if (static_cast<int64_t>(wanted.size()) == points.count()) {
    TIERSCOPE_RETURN_IF_ERROR(unused.Check(points.plan(), points.count()));
  }
  SortGroups(std::move(groups), &work);
  return work;
}

std::vector<int64_t> InDemandOrder(const SweepWork& work, std::vector<int64_t> wanted) {
  // Of equal keys the first point.
  std::sort(wanted.begin(), wanted.end(), [&work](int64_t a, int64_t b) {
    return std::tie(work.keys[static_cast<size_t>(a)], a) <
           std::tie(work.keys[static_cast<size_t>(b)], b);
  });
  wanted.erase(std::unique(wanted.begin(), wanted.end(),
                           [&work](int64_t a, int64_t b) {
                             return work.keys[static_cast<size_t>(a)] ==
                                    work.keys[static_cast<size_t>(b)];
                           }),
               wanted.end());
  std::map<std::string, int64_t> trace_rank;  // by the first group of the trace
  std::vector<int64_t> rank(work.groups.size());
  for (size_t g = 0; g < work.groups.size(); ++g) {
    rank[g] = trace_rank.emplace(work.groups[g].trace_path, static_cast<int64_t>(g)).first->second;
  }
  const auto place = [&](int64_t point) {
    const int32_t group = work.group_of[static_cast<size_t>(point)];
    return std::tuple(rank[static_cast<size_t>(group)], group, point);
  };
  std::sort(wanted.begin(), wanted.end(),
            [&place](int64_t a, int64_t b) { return place(a) < place(b); });
  return wanted;
}

}  // namespace tierscope::cli
