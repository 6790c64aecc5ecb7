#include "sim/planner/sweep_plan.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"

#include "reports/format.h"
#include "reports/schema/metrics.h"
#include "scenarios/loader.h"
#include "scenarios/text_file.h"
#include "sim/base/quoted.h"
#include "sim/base/rng.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using google::protobuf::TextFormat;

constexpr int kAxesMax = 64;
constexpr int32_t kRepeatsMax = 1'000'000;

// "file:line:column: axis NAME" of an axis, for messages.
class Positions {
 public:
  Positions(const std::string& file, const TextFormat::ParseInfoTree& tree)
      : file_(file), tree_(tree) {}

  std::string Of(absl::string_view field, int index) const {
    const auto* descriptor = SweepSpec::descriptor()->FindFieldByName(std::string(field));
    const TextFormat::ParseLocation at = tree_.GetLocation(descriptor, index);
    if (at.line < 0) return file_;
    return absl::StrCat(file_, ":", at.line + 1, ":", at.column + 1);
  }
  absl::Status Error(absl::string_view field, int index, absl::string_view problem) const {
    return absl::InvalidArgumentError(absl::StrCat(Of(field, index), ": ", problem));
  }

 private:
  const std::string& file_;
  const TextFormat::ParseInfoTree& tree_;
};

std::string AxisName(const SweepSpec::Axis& axis, int index) {
  const std::string& name = axis.has_name() ? axis.name() : axis.field();
  return name.empty() ? absl::StrCat("axis ", index + 1) : absl::StrCat("axis ", name);
}

absl::Status AxisError(const Positions& positions, const SweepSpec& spec, int index,
                       const absl::Status& status) {
  return positions.Error("axis", index,
                         absl::StrCat(AxisName(spec.axis(index), index), ": ", status.message()));
}

// The number of cells, by arithmetic, before any value exists.
absl::StatusOr<int64_t> CountCells(const SweepSpec& spec, const Positions& positions) {
  const bool sampled = spec.mode() == SweepSpec::LATIN_HYPERCUBE;
  if (sampled && spec.count() < 1) {
    return positions.Error("mode", -1, "LATIN_HYPERCUBE needs a count of points; give count");
  }
  if (!sampled && spec.has_count()) {
    return positions.Error("count", -1, "count is only of LATIN_HYPERCUBE; drop it or set mode");
  }
  int64_t cells = sampled ? spec.count() : 1;
  for (int i = 0; i < spec.axis_size(); ++i) {
    const absl::StatusOr<int64_t> count = AxisCount(spec.axis(i), spec.mode(), spec.count());
    if (!count.ok()) return AxisError(positions, spec, i, count.status());
    switch (spec.mode()) {
      case SweepSpec::GRID:
        if (__builtin_mul_overflow(cells, *count, &cells)) cells = INT64_MAX;
        break;
      case SweepSpec::ZIP:
        if (i > 0 && *count != cells) {
          return positions.Error(
              "axis", i,
              absl::StrCat(AxisName(spec.axis(i), i), " has ", *count,
                           " values and the first axis ", cells, "; under ZIP all have as many"));
        }
        cells = *count;
        break;
      case SweepSpec::LATIN_HYPERCUBE:
        break;
    }
  }
  return cells;
}

absl::Status CheckPointCount(const std::string& file, int64_t cells, int32_t repeats, bool yes) {
  int64_t points = 0;
  if (__builtin_mul_overflow(cells, static_cast<int64_t>(repeats), &points)) points = INT64_MAX;
  if (points > kSweepPointsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        file, ": more than ", FormatCount(kSweepPointsMax), " points; give fewer values"));
  }
  if (points > kSweepPointsUnasked && !yes) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", FormatCount(points),
                                                   " points; give fewer values, or --yes for more "
                                                   "than ",
                                                   FormatCount(kSweepPointsUnasked)));
  }
  return absl::OkStatus();
}

// No field may be set from two sides: which one holds would be a guess.
absl::Status CheckFieldsDistinct(const SweepPlan& plan, const Positions& positions) {
  std::map<std::string, std::string> setter;  // field -> who sets it
  for (const std::string& field : FieldsOf(plan.sets)) setter[field] = "set";
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    const SweepAxis& axis = plan.axes[i];
    for (const std::string& field : FieldsOf(axis.values.front().sets)) {
      const auto [at, added] = setter.emplace(field, absl::StrCat("axis ", axis.name));
      if (added) continue;
      return positions.Error("axis", static_cast<int>(i),
                             absl::StrCat("axis ", axis.name, ": ", field, " is also set by ",
                                          at->second, "; let one of them set it"));
    }
  }
  if (plan.repeats > 1 && setter.count("seed") > 0 && setter["seed"] != "set") {
    return positions.Error("repeats", -1,
                           "repeats and an axis over seed contradict each other; drop one");
  }
  return absl::OkStatus();
}

// A permutation of the parts for each axis: every part is hit once.
void Sample(const SweepSpec& spec, SweepPlan* plan) {
  const auto cells = static_cast<size_t>(plan->cell_count);
  for (size_t a = 0; a < plan->axes.size(); ++a) {
    std::vector<int32_t> parts(cells);
    const uint64_t values = plan->axes[a].values.size();
    for (size_t i = 0; i < cells; ++i) {
      parts[i] = static_cast<int32_t>(i * values / cells);
    }
    Rng rng(spec.sample_seed(), /*stream=*/a);
    for (size_t i = cells; i > 1; --i) std::swap(parts[i - 1], parts[rng.NextBelow(i)]);
    plan->sampled.push_back(std::move(parts));
  }
}

absl::Status ReadSelection(const SweepSpec& spec, const Positions& positions, SweepPlan* plan) {
  for (int i = 0; i < spec.objective_size(); ++i) {
    const SweepSpec::Objective& objective = spec.objective(i);
    if (FindMetricDefinition(objective.metric()) == nullptr) {
      return positions.Error("objective", i,
                             absl::StrCat("no metric is called '", objective.metric(),
                                          "'; reports/schema/README.md lists them"));
    }
    plan->objectives.push_back(
        {objective.metric(), objective.goal() == SweepSpec::Objective::MAXIMIZE});
  }
  for (int i = 0; i < spec.limit_size(); ++i) {
    absl::StatusOr<Limit> limit = ParseLimit(spec.limit(i));
    if (!limit.ok()) return positions.Error("limit", i, limit.status().message());
    plan->limits.push_back(*std::move(limit));
  }
  for (int i = 0; i < spec.metric_size(); ++i) {
    if (FindMetricDefinition(spec.metric(i)) == nullptr) {
      return positions.Error("metric", i,
                             absl::StrCat("no metric is called '", spec.metric(i),
                                          "'; reports/schema/README.md lists them"));
    }
    plan->metrics.push_back(spec.metric(i));
  }
  return absl::OkStatus();
}

absl::Status ReadSets(const SweepSpec& spec, const Positions& positions, const std::string& folder,
                      const std::vector<std::string>& more, SweepPlan* plan) {
  for (int i = 0; i < spec.set_size(); ++i) {
    absl::StatusOr<std::vector<std::string>> sets = AbsoluteSets(spec.set(i), folder);
    if (!sets.ok()) return positions.Error("set", i, sets.status().message());
    plan->sets.insert(plan->sets.end(), sets->begin(), sets->end());
  }
  for (const std::string& text : more) {
    TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<std::string> sets,
                               AbsoluteSets(text, std::filesystem::current_path().string()));
    plan->sets.insert(plan->sets.end(), sets.begin(), sets.end());
  }
  return absl::OkStatus();
}

absl::Status MakeAxes(const SweepSpec& spec, const Positions& positions, const std::string& folder,
                      SweepPlan* plan) {
  for (int i = 0; i < spec.axis_size(); ++i) {
    const uint64_t seed = MixBits(spec.sample_seed() + static_cast<uint64_t>(i));
    absl::StatusOr<SweepAxis> axis =
        MakeAxis(spec.axis(i), spec.mode(), spec.count(), seed, folder);
    if (!axis.ok()) return AxisError(positions, spec, i, axis.status());
    plan->axes.push_back(*std::move(axis));
  }
  return absl::OkStatus();
}

// Repeats count on from the scenario's own seed.
absl::Status FindFirstSeed(SweepPlan* plan) {
  if (plan->repeats == 1) return absl::OkStatus();
  const int32_t repeats = plan->repeats;
  plan->repeats = 1;
  const absl::StatusOr<Scenario> first = ResolvePoint(*plan, PointSets(*plan, 0));
  plan->repeats = repeats;
  TIERSCOPE_RETURN_IF_ERROR(first.status());
  plan->first_seed = first->seed();
  return absl::OkStatus();
}

}  // namespace

int32_t SweepPlan::ValueAt(int64_t cell, size_t axis) const {
  switch (mode) {
    case SweepSpec::ZIP:
      return static_cast<int32_t>(cell);
    case SweepSpec::LATIN_HYPERCUBE:
      return sampled[axis][static_cast<size_t>(cell)];
    case SweepSpec::GRID:
      break;
  }
  for (size_t later = axes.size() - 1; later > axis; --later) {
    cell /= static_cast<int64_t>(axes[later].values.size());
  }
  return static_cast<int32_t>(cell % static_cast<int64_t>(axes[axis].values.size()));
}

std::vector<int32_t> SweepPlan::Coordinates(int64_t point) const {
  std::vector<int32_t> coordinates;
  for (size_t a = 0; a < axes.size(); ++a) coordinates.push_back(ValueAt(point / repeats, a));
  return coordinates;
}

namespace {

// Texts stand in messages and tables as they are: none may hold a control character.
absl::Status CheckText(const std::string& file, const std::string& field, const std::string& text) {
  if (IsPlainText(text) || field == "description") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(file, ": ", field, " ", Quoted(text), " holds a control character; remove it"));
}

absl::Status CheckTexts(const std::string& file, const google::protobuf::Message& message) {
  using google::protobuf::FieldDescriptor;
  std::vector<const FieldDescriptor*> fields;
  const google::protobuf::Reflection& values = *message.GetReflection();
  values.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool is_list = field->is_repeated();
    for (int i = 0; i < (is_list ? values.FieldSize(message, field) : 1); ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        TIERSCOPE_RETURN_IF_ERROR(
            CheckTexts(file, is_list ? values.GetRepeatedMessage(message, field, i)
                                     : values.GetMessage(message, field)));
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
        TIERSCOPE_RETURN_IF_ERROR(CheckText(file, field->name(),
                                            is_list ? values.GetRepeatedString(message, field, i)
                                                    : values.GetString(message, field)));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SweepPlan> LoadSweep(const std::string& path, const SweepOptions& options) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  SweepSpec spec;
  TextFormat::ParseInfoTree tree;
  TIERSCOPE_RETURN_IF_ERROR(ParseText(text, path, &spec, &tree));
  TIERSCOPE_RETURN_IF_ERROR(CheckTexts(path, spec));
  const Positions positions(path, tree);
  if (spec.scenario().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": scenario is not given; name a file"));
  }
  if (spec.axis_size() == 0 || spec.axis_size() > kAxesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", spec.axis_size(), " axes; give 1 to ", kAxesMax));
  }
  if (spec.repeats() < 1 || spec.repeats() > kRepeatsMax) {
    return positions.Error(
        "repeats", -1,
        absl::StrCat("repeats ", spec.repeats(), "; give 1 to ", FormatCount(kRepeatsMax)));
  }
  SweepPlan plan;
  plan.file = path;
  plan.name = spec.has_name() ? spec.name() : std::filesystem::path(path).stem().string();
  plan.mode = spec.mode();
  plan.repeats = spec.repeats();
  TIERSCOPE_ASSIGN_OR_RETURN(plan.cell_count, CountCells(spec, positions));
  TIERSCOPE_RETURN_IF_ERROR(CheckPointCount(path, plan.cell_count, plan.repeats, options.yes));

  const std::string folder = std::filesystem::absolute(path).parent_path().string();
  plan.scenario_path =
      (std::filesystem::path(folder) / spec.scenario()).lexically_normal().string();
  TIERSCOPE_ASSIGN_OR_RETURN(plan.scenario_text, ReadTextFile(plan.scenario_path));
  TIERSCOPE_RETURN_IF_ERROR(ReadSets(spec, positions, folder, options.sets, &plan));
  TIERSCOPE_RETURN_IF_ERROR(MakeAxes(spec, positions, folder, &plan));
  TIERSCOPE_RETURN_IF_ERROR(CheckFieldsDistinct(plan, positions));
  TIERSCOPE_RETURN_IF_ERROR(ReadSelection(spec, positions, &plan));
  if (plan.mode == SweepSpec::LATIN_HYPERCUBE) Sample(spec, &plan);
  TIERSCOPE_RETURN_IF_ERROR(FindFirstSeed(&plan));
  return plan;
}

std::vector<std::string> SetsOf(const SweepPlan& plan, std::span<const AxisValue> values,
                                uint64_t seed) {
  std::vector<std::string> sets = plan.sets;
  for (const AxisValue& value : values) {
    sets.insert(sets.end(), value.sets.begin(), value.sets.end());
  }
  if (plan.repeats > 1) sets.push_back(absl::StrCat("seed=", seed));
  return sets;
}

std::vector<std::string> PointSets(const SweepPlan& plan, int64_t point) {
  std::vector<AxisValue> values;
  for (size_t a = 0; a < plan.axes.size(); ++a) {
    values.push_back(
        plan.axes[a].values[static_cast<size_t>(plan.ValueAt(point / plan.repeats, a))]);
  }
  return SetsOf(plan, values, plan.SeedOf(point));
}

absl::StatusOr<Scenario> ResolvePoint(const SweepPlan& plan, const std::vector<std::string>& sets,
                                      std::vector<UnusedField>* unused_sets) {
  return ParseScenario(plan.scenario_text, plan.scenario_path, sets, unused_sets);
}

}  // namespace tierscope
