#include <algorithm>
#include <functional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/generator.h"
#include "traces/layer_mask.h"

namespace tierscope {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;

absl::Status SetNumber(absl::string_view value, bool add, const FieldDescriptor& field,
                       GeneratorParameters* p) {
  const Reflection& r = *p->GetReflection();
  double real = 0.0;
  int32_t integer = 0;
  uint64_t natural = 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
      if (!absl::SimpleAtod(value, &real)) break;
      add ? r.AddDouble(p, &field, real) : r.SetDouble(p, &field, real);
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_INT32:
      if (!absl::SimpleAtoi(value, &integer)) break;
      add ? r.AddInt32(p, &field, integer) : r.SetInt32(p, &field, integer);
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_UINT64:
      if (!absl::SimpleAtoi(value, &natural)) break;
      r.SetUInt64(p, &field, natural);
      return absl::OkStatus();
    default:
      break;
  }
  return absl::InvalidArgumentError(absl::StrCat("generator parameter ", field.name(), ": \"",
                                                 value,
                                                 "\" is not a number of its kind; give one"));
}

std::string ParameterNames() {
  std::string names;
  const auto* descriptor = GeneratorParameters::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    absl::StrAppend(&names, i == 0 ? "" : ", ", descriptor->field(i)->name());
  }
  return names;
}

struct Range {
  const char* name;
  double least;
  double most;
};

// Every number of the parameters has a line here: checked by ValidateParameters and its test.
constexpr Range kRanges[] = {
    {"seed", 0, 1.9e19},
    {"profile_index", 0, 0},
    {"tokens_per_entry", 1, 1024},
    {"csa_layer_count", 1, kLayerMaskLayersMax},
    {"top_k", 1, kTopKMax},
    {"target_layers", 0, kLayerMaskLayersMax - 1},
    {"layer_group_layers", 1, kLayerMaskLayersMax},
    {"layer_group_overlap", 0, 1},
    {"layer_overlap", 0, 1},
    {"recency_share", 0, 1},
    {"recency_near_share", 0, 1},
    {"recency_near_entries", 1, 1e6},
    {"recency_far_entries", 1, 1e6},
    {"sink_share", 0, 1},
    {"sink_entries", 1, 1024},
    {"pool_entries", 1, 1e7},
    {"pool_exponent", 0, 1},
    {"dense_share", 0, 1},
    {"dense_run_entries", 1, 1e6},
    {"dense_topic_runs", 1, 1e4},
    {"dense_popularity", 0.01, 100},
    {"scattered_run_entries", 1, 1e6},
    {"scattered_topic_runs", 1, 1e4},
    {"popularity_sigma", 0, 4},
    {"window_churn", 0, 0.95},
    {"medium_share", 0, 1},
    {"short_share", 0, 1},
    {"kept_fraction", 0.001, 0.5},
    {"indexer_midpoint", 1e-3, 1e3},
    {"indexer_gain", 0, 10},
    {"indexer_noise", 0, 10},
    {"indexer_noise_persistence", 0, 1},
    {"background_slope", 0.1, 10},
    {"background_persistence", 0, 1},
    {"score_floor", 0.004, 0.5},
    {"weight_sigma", 0, 5},
    {"weight_window_stride", 0, 1e6},
    {"overlap_history_entries", 1, kHistoryEntriesMax},
    {"return_share", 0, 0.95},
    {"return_distance", 0, 8},
};

double NumberAt(const GeneratorParameters& p, const FieldDescriptor* field, int i) {
  const Reflection& r = *p.GetReflection();
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return repeated ? r.GetRepeatedDouble(p, field, i) : r.GetDouble(p, field);
    case FieldDescriptor::CPPTYPE_INT32:
      return repeated ? r.GetRepeatedInt32(p, field, i) : r.GetInt32(p, field);
    default:
      return static_cast<double>(r.GetUInt64(p, field));
  }
}

absl::Status OutOfRange(absl::string_view name, double value, const Range& range) {
  return absl::InvalidArgumentError(absl::StrCat("generator parameter ", name, " = ", value,
                                                 ": give ", range.least, " to ", range.most));
}

absl::Status CheckRange(const GeneratorParameters& p, const Range& range) {
  const FieldDescriptor* field = p.GetDescriptor()->FindFieldByName(range.name);
  const int count = field->is_repeated() ? p.GetReflection()->FieldSize(p, field) : 1;
  for (int i = 0; i < count; ++i) {
    const double value = NumberAt(p, field, i);
    if (!(value >= range.least && value <= range.most)) return OutOfRange(range.name, value, range);
  }
  return absl::OkStatus();
}

absl::Status CheckLayerGroups(const GeneratorParameters& p) {
  int layers = 0;
  for (const int group : p.layer_group_layers()) layers += group;
  const int rows = std::max(1, p.overlap_history_entries_size());
  if (p.layer_group_layers_size() * rows == p.layer_group_overlap_size() &&
      layers == p.csa_layer_count()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("generator parameters layer_group_layers (", layers, " layers in ",
                   p.layer_group_layers_size(), " groups) and layer_group_overlap (",
                   p.layer_group_overlap_size(), " values): give one overlap per group",
                   p.overlap_history_entries_size() > 0 ? " and history" : "", " and ",
                   p.csa_layer_count(), " layers in all"));
}

absl::Status CheckOverlapHistories(const GeneratorParameters& p) {
  const auto& histories = p.overlap_history_entries();
  if (std::adjacent_find(histories.begin(), histories.end(), std::greater_equal<>()) ==
      histories.end()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "generator parameter overlap_history_entries: give histories that rise");
}

absl::Status ValidateParameters(const GeneratorParameters& p) {
  for (const Range& range : kRanges) TIERSCOPE_RETURN_IF_ERROR(CheckRange(p, range));
  if (p.recency_share() + p.sink_share() > 0.99 || p.medium_share() + p.short_share() > 1.0) {
    return absl::InvalidArgumentError(
        "generator parameters: recency_share + sink_share must be 0.99 or less, medium_share + "
        "short_share 1 or less; lower one of them");
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckOverlapHistories(p));
  return CheckLayerGroups(p);
}

absl::Status CheckOption(const char* option, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(option, " = ", value, ": give ", least, " to ", most));
}

}  // namespace

absl::Status SetGeneratorParameter(absl::string_view name, absl::string_view value,
                                   GeneratorParameters* parameters) {
  const FieldDescriptor* field = parameters->GetDescriptor()->FindFieldByName(std::string(name));
  if (field == nullptr || name == "preset" || name == "profile_index") {
    return absl::InvalidArgumentError(absl::StrCat(
        "generator parameter \"", name, "\" is not known; give one of ", ParameterNames()));
  }
  if (!field->is_repeated()) return SetNumber(value, false, *field, parameters);
  parameters->GetReflection()->ClearField(parameters, field);
  for (const absl::string_view part : absl::StrSplit(value, ':')) {
    TIERSCOPE_RETURN_IF_ERROR(SetNumber(part, true, *field, parameters));
  }
  return absl::OkStatus();
}

int64_t SharedSlots(const GeneratorParameters& parameters) {
  return static_cast<int64_t>(parameters.layer_overlap() * parameters.top_k());
}

int64_t LeastContextTokens(const GeneratorParameters& parameters) {
  // Entries drawn for all layers of a group must be free in each of them, while the group holds its
  // old and new shared entries and every layer its own.
  int64_t entries = int64_t{4} * parameters.top_k();
  const int64_t shared = SharedSlots(parameters), own = parameters.top_k() - shared;
  for (const int layers : parameters.layer_group_layers()) {
    if (layers > 1 && shared > 0) entries = std::max(entries, 2 * shared + own * layers + 1);
  }
  return entries * parameters.tokens_per_entry();
}

absl::Status ValidateGeneratorOptions(const GeneratorOptions& options) {
  const GeneratorParameters& p = options.parameters;
  TIERSCOPE_RETURN_IF_ERROR(ValidateParameters(p));
  TIERSCOPE_RETURN_IF_ERROR(CheckOption("profiles", options.profiles_per_context, 1, 65536));
  TIERSCOPE_RETURN_IF_ERROR(CheckOption("steps", options.step_count, 1, 1 << 20));
  TIERSCOPE_RETURN_IF_ERROR(
      CheckOption("stride", options.tick_stride_steps, 1, options.step_count));
  if (options.step_count % options.tick_stride_steps != 0) {
    return absl::InvalidArgumentError(absl::StrCat("steps = ", options.step_count,
                                                   ": give a multiple of the stride, ",
                                                   options.tick_stride_steps));
  }
  if (options.context_tokens.empty()) {
    return absl::InvalidArgumentError("context_tokens: give at least one prompt length");
  }
  const int64_t least = LeastContextTokens(p);
  for (const int64_t context : options.context_tokens) {
    TIERSCOPE_RETURN_IF_ERROR(CheckOption("context_tokens", context, least, int64_t{1} << 24));
  }
  return absl::OkStatus();
}

}  // namespace tierscope
