// Which fields of `policy` and of the engine a kind of policy reads.
#include <set>
#include <string>

#include "absl/strings/str_cat.h"

#include "scenarios/fields.h"
#include "scenarios/policy_kind.h"
#include "scenarios/validate_parts.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using google::protobuf::FieldDescriptor;
using Names = std::set<std::string>;

// Fields that only buffers of entries have.
const Names& FetchFields() {
  static const Names& names = *new Names{"hot_buffer_entries", "pool_ratio", "pool_warmup_steps",
                                         "fetch_overlap", "fetch_layer_us"};
  return names;
}

// The fields that a rival reads, besides kind and tau_steps.
Names FieldsOfRival(Policy::Kind kind) {
  Names names;
  if (HasTicks(kind)) names = {"page_kmax", "recency_entries", "sink_entries", "phase"};
  if (HasReserve(kind)) names.insert("reserve_entries");
  if (kind == Policy::TOPK_SWAP) names.insert("hot_buffer_entries");
  if (kind == Policy::ESS) names.insert({"pool_ratio", "pool_warmup_steps"});
  if (PlacementOf(kind) == KvPlacement::kHotBuffer) {
    names.insert({"fetch_overlap", "fetch_layer_us", "recall_path", "gather_item_bytes"});
  }
  return names;
}

bool IsRead(Policy::Kind kind, const std::string& name) {
  if (name == "kind" || name == "tau_steps") return true;
  if (!IsRival(kind)) return FetchFields().count(name) == 0;
  return FieldsOfRival(kind).count(name) > 0;
}

// Whether the field says something else than nothing or its default.
bool IsGiven(const Policy& policy, const FieldDescriptor& field) {
  const auto& reflection = *policy.GetReflection();
  if (!reflection.HasField(policy, &field)) return false;
  if (!field.has_default_value()) return true;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(policy, &field) != field.default_value_int32();
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetInt64(policy, &field) != field.default_value_int64();
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(policy, &field) != field.default_value_double();
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(policy, &field) != field.default_value_bool();
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.GetEnum(policy, &field) != field.default_value_enum();
    default:
      return true;
  }
}

// A rival's own choices elsewhere.
absl::Status CheckRival(const Scenario& scenario, const Origins& origins) {
  const Policy& policy = scenario.policy();
  const std::string& kind = Policy::Kind_Name(policy.kind());
  if (scenario.engine().admit() != Engine::FULL) {
    return origins.Error("engine.admit", absl::StrCat("OPTIMISTIC is not modelled under policy ",
                                                      kind, "; give engine.admit=FULL"));
  }
  if (scenario.engine().prefix_store().host_bytes() > 0) {
    return origins.Error("engine.prefix_store.host_bytes",
                         absl::StrCat("is not modelled under policy ", kind, "; give 0"));
  }
  if (scenario.engine().mtp().draft_tokens() > 0) {
    return origins.Error("engine.mtp.draft_tokens",
                         absl::StrCat("is not modelled under policy ", kind, "; give 0"));
  }
  if (scenario.engine().dp_attention() > 1) {
    return origins.Error("engine.dp_attention",
                         absl::StrCat("is not modelled under policy ", kind, "; give 1"));
  }
  if (PlacementOf(policy.kind()) != KvPlacement::kHotBuffer) return absl::OkStatus();
  if (policy.recall_path() != Policy::GATHER_KERNEL) {
    return origins.Error(
        "policy.recall_path",
        absl::StrCat(Policy::RecallPath_Name(policy.recall_path()),
                     " cannot fetch entries, which policy ", kind, " does; give GATHER_KERNEL"));
  }
  const int32_t slots = policy.hot_buffer_entries();
  if (policy.kind() == Policy::TOPK_SWAP && slots < scenario.model().top_k()) {
    return origins.Error("policy.hot_buffer_entries",
                         absl::StrCat(slots,
                                      " hold less than a layer takes in one step; give at "
                                      "least model.top_k (",
                                      scenario.model().top_k(), ")"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPolicyFields(const Scenario& scenario, const Origins& origins) {
  const Policy& policy = scenario.policy();
  const auto& type = *Policy::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (IsRead(policy.kind(), field.name()) || !IsGiven(policy, field)) continue;
    return origins.Error(
        absl::StrCat("policy.", field.name()),
        absl::StrCat("has no effect under policy ", Policy::Kind_Name(policy.kind()),
                     "; remove it (--set policy.", field.name(), "=",
                     field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM
                         ? field.default_value_enum()->name()
                         : "none",
                     ")"));
  }
  return IsRival(policy.kind()) ? CheckRival(scenario, origins) : absl::OkStatus();
}

}  // namespace tierscope
