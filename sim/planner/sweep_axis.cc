#include "sim/planner/sweep_axis.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

#include "reports/json_writer.h"
#include "scenarios/fields.h"
#include "scenarios/overrides.h"
#include "scenarios/scenario.pb.h"
#include "scenarios/set_value.h"
#include "sim/base/det_math.h"
#include "sim/base/rng.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr double kCountable = 1e15;  // beyond it a count is nobody's wish

absl::Status Refuse(absl::string_view problem) { return absl::InvalidArgumentError(problem); }

// The scalar field at `path`, indices left aside; null where there is none.
const FieldDescriptor* FindScalar(const std::string& path) {
  const Descriptor* type = Scenario::descriptor();
  const FieldDescriptor* field = nullptr;
  for (const absl::string_view part : absl::StrSplit(path, '.')) {
    if (type == nullptr) return nullptr;
    field = type->FindFieldByName(std::string(part.substr(0, part.find('['))));
    if (field == nullptr) return nullptr;
    type = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE ? field->message_type() : nullptr;
  }
  return type == nullptr ? field : nullptr;
}

int SourcesOf(const SweepSpec::Axis& axis) {
  return (axis.values_size() > 0) + (axis.names_size() > 0) + axis.has_range() +
         axis.has_log_range() + (axis.case__size() > 0);
}

absl::Status CheckShape(const SweepSpec::Axis& axis) {
  if (SourcesOf(axis) != 1) {
    return Refuse(
        absl::StrCat(SourcesOf(axis) == 0 ? "has no values" : "has several kinds of values",
                     "; give one of values, names, range, log_range and case"));
  }
  if (axis.case__size() > 0 && axis.has_field()) {
    return Refuse("has a field and cases; cases name their fields themselves");
  }
  if (axis.case__size() > 0 && !axis.has_name()) return Refuse("of cases has no name; give one");
  if (axis.case__size() == 0 && axis.field().empty()) return Refuse("has no field; give one");
  if (axis.has_multiple_of() && !(axis.multiple_of() > 0 && std::isfinite(axis.multiple_of()))) {
    return Refuse("multiple_of must be a finite number above 0");
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> LinearCount(const SweepSpec::Linear& range, bool sampled,
                                    int64_t sample_count) {
  const double span = range.to() - range.from();
  if (!range.has_from() || !range.has_to() || !std::isfinite(span)) {
    return Refuse("range needs finite from and to");
  }
  if (span < 0) {
    return Refuse(absl::StrCat("range from ", range.from(), " to ", range.to(),
                               " is empty; from must not be above to"));
  }
  if (range.has_step() && range.has_count()) {
    return Refuse("range has a step and a count; give one of them");
  }
  if (range.has_count()) {
    if (range.count() < 1 || (range.count() == 1 && span > 0)) {
      return Refuse(absl::StrCat("range of ", range.count(), " values; give at least 2"));
    }
    return range.count();
  }
  if (!range.has_step()) {
    if (sampled) return sample_count;
    return Refuse("range needs a step or a count");
  }
  if (!(range.step() > 0)) return Refuse("range has a step that is not above 0");
  // A part in 10^9 of slack, so that 0.1, 0.2, ... reaches 0.9.
  const double steps = std::floor(span / range.step() * (1.0 + 1e-9) + 1e-9);
  return static_cast<int64_t>(std::min(steps, kCountable)) + 1;
}

absl::StatusOr<int64_t> LogCount(const SweepSpec::Log& range, bool sampled, int64_t sample_count) {
  if (!(range.from() > 0) || !std::isfinite(range.to()) || range.to() < range.from()) {
    return Refuse(absl::StrCat("log_range from ", range.from(), " to ", range.to(),
                               " is empty; it needs 0 < from <= to"));
  }
  if (!range.has_count() && sampled) return sample_count;
  if (range.count() < 1 || (range.count() == 1 && range.to() > range.from())) {
    return Refuse(
        absl::StrCat("log_range of ", range.count(), " values; give a count of at least 2"));
  }
  return range.count();
}

bool IsContinuous(const SweepSpec::Axis& axis, SweepSpec::Mode mode) {
  if (mode != SweepSpec::LATIN_HYPERCUBE) return false;
  if (axis.has_range()) return !axis.range().has_step() && !axis.range().has_count();
  return axis.has_log_range() && !axis.log_range().has_count();
}

// Position of value `i` of `count` between the ends of its range, 0 to 1.
double LinearAt(const SweepSpec::Linear& range, double part) {
  return range.from() + part * (range.to() - range.from());
}
double LogAt(const SweepSpec::Log& range, double part) {
  if (part == 0.0) return range.from();
  if (part == 1.0) return range.to();
  return range.from() * DetExp(part * DetLog(range.to() / range.from()));
}

double NumberAt(const SweepSpec::Axis& axis, int64_t i, int64_t count) {
  if (axis.values_size() > 0) return axis.values(static_cast<int>(i));
  const double part = count == 1 ? 0.0 : static_cast<double>(i) / static_cast<double>(count - 1);
  if (axis.has_log_range()) return LogAt(axis.log_range(), part);
  if (axis.range().has_step())
    return axis.range().from() + static_cast<double>(i) * axis.range().step();
  return LinearAt(axis.range(), part);
}

std::string Assignment(const std::string& field, const std::string& value) {
  return absl::StrCat(field, "=", value);
}

absl::Status AddNumbers(const SweepSpec::Axis& spec, SweepSpec::Mode mode, int64_t count,
                        uint64_t sample_seed, SweepAxis* axis) {
  const bool continuous = IsContinuous(spec, mode);
  Rng rng(sample_seed, /*stream=*/0x61786973);
  for (int64_t i = 0; i < count; ++i) {
    double number = 0;
    if (continuous) {
      const double part = (static_cast<double>(i) + rng.NextDouble()) / static_cast<double>(count);
      number = spec.has_log_range() ? LogAt(spec.log_range(), part) : LinearAt(spec.range(), part);
    } else {
      number = NumberAt(spec, i, count);
    }
    if (!std::isfinite(number)) return Refuse("has a value that is not finite");
    AxisValue value =
        spec.values_size() > 0 ? AxisValue{"", {}, number} : NumberValue(*axis, number);
    if (spec.values_size() > 0) {
      AppendJsonNumber(number, &value.label);
      value.sets = {Assignment(axis->field, value.label)};
    }
    axis->values.push_back(std::move(value));
  }
  return absl::OkStatus();
}

absl::Status AddNames(const SweepSpec::Axis& spec, const std::string& folder, SweepAxis* axis) {
  for (const std::string& name : spec.names()) {
    TIERSCOPE_ASSIGN_OR_RETURN(std::vector<std::string> sets,
                               AbsoluteSets(Assignment(axis->field, name), folder));
    axis->values.push_back({name, std::move(sets), std::nullopt});
  }
  return absl::OkStatus();
}

absl::Status AddCases(const SweepSpec::Axis& spec, const std::string& folder, SweepAxis* axis) {
  std::set<std::string> fields;
  for (const SweepSpec::Case& one : spec.case_()) {
    TIERSCOPE_ASSIGN_OR_RETURN(std::vector<std::string> sets, AbsoluteSets(one.set(), folder));
    const std::vector<std::string> list = FieldsOf(sets);
    const std::set<std::string> its(list.begin(), list.end());
    if (!axis->values.empty() && its != fields) {
      return Refuse(absl::StrCat("cases set different fields ('", axis->values.front().label,
                                 "' and '", one.has_label() ? one.label() : one.set(),
                                 "'); every case must set the same ones"));
    }
    fields = its;
    axis->values.push_back(
        {one.has_label() ? one.label() : one.set(), std::move(sets), std::nullopt});
  }
  return absl::OkStatus();
}

absl::Status CheckDistinct(const SweepSpec::Axis& spec, SweepSpec::Mode mode,
                           const SweepAxis& axis) {
  // Parts of a sampled range may round to one value; in a list it is a slip.
  if (IsContinuous(spec, mode) || mode == SweepSpec::ZIP) return absl::OkStatus();
  std::set<std::string> labels;
  for (const AxisValue& value : axis.values) {
    if (labels.insert(value.label).second) continue;
    return Refuse(
        absl::StrCat("has the value ", value.label,
                     " twice; give each once, or fewer values where rounding joins them"));
  }
  return absl::OkStatus();
}

// Every value is one the field can hold, by its type; ranges are the scenario loader's to check.
absl::Status CheckValues(const SweepAxis& axis) {
  Scenario scratch;
  Origins origins;
  for (const AxisValue& value : axis.values) {
    TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<Override> overrides, ParseOverrides(value.sets));
    for (const Override& set : overrides) {
      if (FindScalar(set.path) == nullptr) {
        return Refuse(absl::StrCat("no such field as ", set.path, "; the nearest is ",
                                   NearestPath(*Scenario::descriptor(), set.path)));
      }
      // Elements of lists exist only in the scenario itself.
      if (absl::string_view(set.path).find('[') != absl::string_view::npos) continue;
      TIERSCOPE_RETURN_IF_ERROR(ApplyOverrides({set}, &scratch, &origins));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int64_t> AxisCount(const SweepSpec::Axis& axis, SweepSpec::Mode mode,
                                  int64_t sample_count) {
  TIERSCOPE_RETURN_IF_ERROR(CheckShape(axis));
  const bool sampled = mode == SweepSpec::LATIN_HYPERCUBE;
  if (axis.has_range()) return LinearCount(axis.range(), sampled, sample_count);
  if (axis.has_log_range()) return LogCount(axis.log_range(), sampled, sample_count);
  return axis.values_size() + axis.names_size() + axis.case__size();
}

AxisValue NumberValue(const SweepAxis& axis, double number) {
  if (axis.multiple_of > 0) {
    number = axis.multiple_of * std::floor(number / axis.multiple_of + 0.5);
  }
  std::string text;
  if (axis.is_integer && std::abs(number) < 1e15) {
    text = absl::StrCat(std::llround(number));
    number = static_cast<double>(std::llround(number));
  } else {
    // Twelve digits: 0.1 + 2 x 0.1 is 0.3.
    text = absl::StrFormat("%.12g", number);
    if (!absl::SimpleAtod(text, &number)) number = 0.0;
  }
  return {text, {Assignment(axis.field, text)}, number};
}

absl::StatusOr<SweepAxis> MakeAxis(const SweepSpec::Axis& spec, SweepSpec::Mode mode,
                                   int64_t sample_count, uint64_t sample_seed,
                                   const std::string& folder) {
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t count, AxisCount(spec, mode, sample_count));
  SweepAxis axis;
  axis.name = spec.has_name() ? spec.name() : spec.field();
  axis.field = spec.field();
  axis.multiple_of = spec.multiple_of();
  axis.is_log = spec.has_log_range();
  if (!axis.field.empty()) {
    const FieldDescriptor* field = FindScalar(axis.field);
    if (field == nullptr) {
      return Refuse(absl::StrCat("no such field; the nearest is ",
                                 NearestPath(*Scenario::descriptor(), axis.field)));
    }
    if (spec.names_size() == 0 && !IsNumeric(*field)) {
      return Refuse("is no field of numbers; list its values as names");
    }
    axis.is_integer = IsInteger(*field);
  }
  if (spec.case__size() > 0) {
    TIERSCOPE_RETURN_IF_ERROR(AddCases(spec, folder, &axis));
  } else if (spec.names_size() > 0) {
    TIERSCOPE_RETURN_IF_ERROR(AddNames(spec, folder, &axis));
  } else {
    TIERSCOPE_RETURN_IF_ERROR(AddNumbers(spec, mode, count, sample_seed, &axis));
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckDistinct(spec, mode, axis));
  TIERSCOPE_RETURN_IF_ERROR(CheckValues(axis));
  return axis;
}

absl::StatusOr<std::vector<std::string>> AbsoluteSets(const std::string& text,
                                                      const std::string& folder) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<Override> overrides, ParseOverrides({text}));
  std::vector<std::string> sets;
  for (const Override& set : overrides) {
    std::string value = set.value;
    if (IsFilePath(set.path, value)) {
      value = (std::filesystem::path(folder) / value).lexically_normal().string();
    }
    sets.push_back(Assignment(set.path, value));
  }
  return sets;
}

std::vector<std::string> FieldsOf(const std::vector<std::string>& sets) {
  std::vector<std::string> fields;
  for (const std::string& set : sets) fields.push_back(set.substr(0, set.find('=')));
  return fields;
}

}  // namespace tierscope
