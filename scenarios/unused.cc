#include "scenarios/unused.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tierscope {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

class Collector {
 public:
  void Add(std::initializer_list<const char*> paths, const std::string& because) {
    for (const char* path : paths) fields_.push_back({path, because});
  }
  std::vector<UnusedField> Take() { return std::move(fields_); }

 private:
  std::vector<UnusedField> fields_;
};

void AddPolicy(const Policy& policy, Collector& unused) {
  const std::string kind = absl::StrCat("policy.kind ", Policy::Kind_Name(policy.kind()));
  switch (policy.kind()) {
    case Policy::FULL:
      unused.Add({"policy.eviction", "policy.level1", "policy.publish", "policy.phase",
                  "policy.layout", "policy.recall_path", "policy.gather_item_bytes",
                  "policy.staged_pieces", "policy.index_key_pool_entries",
                  "policy.publish_fixed_ms", "engine.gather_interference"},
                 absl::StrCat(kind, " moves no pages"));
      return;
    case Policy::RECENCY:
    case Policy::RANDOM:
    case Policy::ORACLE:
      unused.Add({"policy.threshold"},
                 absl::StrCat(kind, " reads no scores: only the indexer_ metrics follow it"));
      break;
    case Policy::LSA:
    case Policy::FLASHMEMORY:
      break;
    case Policy::STREAMING_LLM:
    case Policy::H2O:
    case Policy::QUEST:
      unused.Add({"engine.gather_interference"}, absl::StrCat(kind, " moves no pages"));
      return;  // fields of policy that rivals do not read are refused (validate_policy.cc)
    case Policy::TOPK_SWAP:
    case Policy::ESS:
      return;
  }
  const std::string path =
      absl::StrCat("policy.recall_path is ", Policy::RecallPath_Name(policy.recall_path()));
  if (policy.recall_path() != Policy::STAGED) unused.Add({"policy.staged_pieces"}, path);
  if (policy.recall_path() != Policy::GATHER_KERNEL) {
    unused.Add({"policy.gather_item_bytes", "engine.gather_interference"}, path);
  }
  const bool by_entry =
      policy.recall_path() == Policy::STAGED && policy.staged_pieces() == Policy::PER_ENTRY;
  if (policy.recall_path() == Policy::GATHER_KERNEL || by_entry) {
    unused.Add({"policy.layout"}, absl::StrCat(path, by_entry ? ", entry by entry" : ""));
  }
  if (!policy.index_key_offload()) {
    unused.Add({"policy.index_key_pool_entries"}, "policy.index_key_offload is false");
  }
}

void AddPrefill(const Engine& engine, Collector& unused) {
  const std::string prefill =
      absl::StrCat("engine.prefill is ", Engine::Prefill_Name(engine.prefill()));
  if (engine.prefill() == Engine::NONE) {
    unused.Add({"engine.prefill_instances", "engine.prefill_tokens_per_s"}, prefill);
  }
  if (engine.prefill() != Engine::DISAGGREGATED) {
    unused.Add({"node.network_bytes_per_s_per_gpu"}, prefill);
  }
}

// How requests find a replica, or an attention group of one, and drafts.
void AddParallel(const Engine& engine, Collector& unused) {
  const bool by_prefix = engine.routing() == Engine::PREFIX_AWARE;
  const std::string one = "engine.replicas is 1";
  const bool routes = engine.replicas() > 1 || (by_prefix && engine.dp_attention() > 1);
  if (!routes) unused.Add({"engine.routing"}, one);
  if (engine.replicas() == 1 || !by_prefix) {
    const std::string routing =
        absl::StrCat("engine.routing is ", Engine::Routing_Name(engine.routing()));
    unused.Add({"engine.routing_imbalance_requests", "engine.routing_imbalance_factor"},
               engine.replicas() == 1 ? one : routing);
  }
  if (engine.mtp().draft_tokens() == 0) {
    unused.Add({"engine.mtp.acceptance"}, "engine.mtp.draft_tokens is 0");
  }
}

// The message that holds the last name of `path`; null where it is unset.
const Message* Parent(const Message& root, const std::string& path, const FieldDescriptor** field) {
  const Message* message = &root;
  for (const absl::string_view name : absl::StrSplit(path, '.')) {
    if (*field != nullptr) {
      const Reflection& reflection = *message->GetReflection();
      if (!reflection.HasField(*message, *field)) return nullptr;
      message = &reflection.GetMessage(*message, *field);
    }
    *field = message->GetDescriptor()->FindFieldByName(std::string(name));
  }
  return message;
}

bool IsDefault(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (!reflection.HasField(message, &field)) return true;
  if (!field.has_default_value()) return false;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(message, &field) == field.default_value_int32();
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetInt64(message, &field) == field.default_value_int64();
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(message, &field) == field.default_value_uint64();
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(message, &field) == field.default_value_double();
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.GetEnumValue(message, &field) == field.default_value_enum()->number();
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) == field.default_value_bool();
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_STRING:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return false;
}

}  // namespace

std::vector<UnusedField> UnusedFields(const Scenario& scenario) {
  Collector unused;
  AddPolicy(scenario.policy(), unused);
  AddPrefill(scenario.engine(), unused);
  AddParallel(scenario.engine(), unused);
  if (scenario.workload().attention().has_trace()) {
    unused.Add({"workload.attention.window_churn", "workload.attention.score_floor",
                "workload.attention.generator_seed"},
               "workload.attention.trace is given, which is not generated");
  }
  return unused.Take();
}

std::vector<UnusedField> UnusedSettings(const Scenario& scenario) {
  std::vector<UnusedField> settings;
  for (UnusedField& unused : UnusedFields(scenario)) {
    if (absl::StartsWith(unused.path, "node.")) continue;
    const FieldDescriptor* field = nullptr;
    const Message* parent = Parent(scenario, unused.path, &field);
    if (parent != nullptr && !IsDefault(*parent, *field)) settings.push_back(std::move(unused));
  }
  return settings;
}

absl::Status UnusedError(const std::string& where, const UnusedField& field) {
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": has no effect because ", field.because, "; remove it"));
}

}  // namespace tierscope
