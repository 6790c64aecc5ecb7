// What the hardware's fields say of one another and of the model's.
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "scenarios/fields.h"
#include "scenarios/validate_parts.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

// The path of a number of `message` that is unset, sub-messages included.
void VisitUnsetNumbers(const google::protobuf::Message& message, const std::string& path,
                       std::string* missing) {
  const auto& reflection = *message.GetReflection();
  const auto& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count() && missing->empty(); ++i) {
    const auto* field = type.field(i);
    const std::string field_path = absl::StrCat(path, ".", field->name());
    if (field->is_repeated()) {
      for (int j = 0; j < reflection.FieldSize(message, field); ++j) {
        VisitUnsetNumbers(reflection.GetRepeatedMessage(message, field, j),
                          absl::StrCat(field_path, "[", j, "]"), missing);
      }
    } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      VisitUnsetNumbers(reflection.GetMessage(message, field), field_path, missing);
    } else if (IsNumeric(*field) && !reflection.HasField(message, field)) {
      *missing = field_path;
    }
  }
}

// What the kernel model divides by or looks up is there.
absl::Status CheckKernels(const StepModel& step, const std::string& path, const Origins& origins) {
  const KernelCalibration& kernels = step.kernels();
  const std::pair<const char*, bool> families[] = {{"gemm_fp8", kernels.has_gemm_fp8()},
                                                   {"gemm_bf16", kernels.has_gemm_bf16()},
                                                   {"moe", kernels.has_moe()},
                                                   {"scoring", kernels.has_scoring()},
                                                   {"attention", kernels.has_attention()},
                                                   {"csa_layer", kernels.has_csa_layer()},
                                                   {"hca_layer", kernels.has_hca_layer()},
                                                   {"all_reduce", kernels.has_all_reduce()},
                                                   {"sm_count", kernels.has_sm_count()}};
  for (const auto& [name, given] : families) {
    if (!given) {
      return origins.Error(absl::StrCat(path, ".", name),
                           "is not given; give it or hardware.step_model.kernels.preset");
    }
  }
  std::string missing;
  VisitUnsetNumbers(kernels, path, &missing);
  if (!missing.empty()) {
    return origins.Error(missing, "is not given; a calibration names every number of a kernel");
  }
  for (const TopKKernel& top_k : kernels.top_k()) {
    const bool chosen =
        top_k.version() == step.topk_version() && top_k.scores() == step.topk_scores();
    if (chosen) return absl::OkStatus();
  }
  return origins.Error("hardware.step_model.topk_version",
                       absl::StrCat(TopKKernel::Version_Name(step.topk_version()), " on ",
                                    TopKKernel::Scores_Name(step.topk_scores()),
                                    " scores is not among hardware.step_model.kernels.top_k; "
                                    "choose one that is"));
}

// The shapes of a layer's products, without which kernels cannot be timed.
absl::Status CheckShapes(const Scenario& scenario, const Origins& origins) {
  const Model& model = scenario.model();
  const bool mla = model.kv_lora_rank() > 0;
  const std::pair<const char*, bool> shapes[] = {
      {"hidden_size", model.has_hidden_size()},
      {"q_lora_rank", model.has_q_lora_rank()},
      {"o_lora_rank", mla || model.o_lora_rank() > 0},
      {"o_groups", mla || model.has_o_groups()},
      {"qk_head_dim", !mla || model.has_qk_head_dim()},
      {"v_head_dim", !mla || model.has_v_head_dim()},
      {"experts", model.has_experts()},
      {"experts_per_token", model.has_experts_per_token()},
      {"shared_experts", model.has_shared_experts()},
      {"expert_intermediate", model.has_expert_intermediate()},
      {"expert_weight_bits", model.has_expert_weight_bits()},
      {"dense_intermediate", model.dense_layers() == 0 || model.dense_intermediate() > 0},
      {"vocab_size", model.has_vocab_size()}};
  for (const auto& [name, given] : shapes) {
    if (given) continue;
    return origins.Error(absl::StrCat("model.", name),
                         "is not given, and hardware.step_model.kernels times the products of a "
                         "layer; give it (scenarios/models/v4_flash.txtpb shows all shapes)");
  }
  const int32_t layers = model.csa_layers() + model.hca_layers() + model.swa_layers();
  if (model.dense_layers() > layers) {
    return origins.Error("model.dense_layers",
                         absl::StrCat(model.dense_layers(), " is more than the model's ", layers,
                                      " layers; give at most that"));
  }
  return absl::OkStatus();
}

// The rooflines' efficiencies, or calibrated kernels and the model's shapes, which replace them.
absl::Status CheckStepModel(const Scenario& scenario, const Origins& origins) {
  if (scenario.hardware().has_measured_ops()) return CheckMeasuredOps(scenario, origins);
  const StepModel& step = scenario.hardware().step_model();
  const std::string path = "hardware.step_model";
  const std::pair<const char*, bool> efficiencies[] = {
      {".scoring_efficiency", step.has_scoring_efficiency()},
      {".attention_efficiency", step.has_attention_efficiency()}};
  for (const auto& [name, given] : efficiencies) {
    if (given != step.has_kernels()) continue;
    return origins.Error(absl::StrCat(path, name),
                         given
                             ? "has no effect beside hardware.step_model.kernels; give one of the "
                               "two"
                             : "is not given; give it or hardware.step_model.kernels.preset");
  }
  if (!step.has_kernels()) return absl::OkStatus();
  TIERSCOPE_RETURN_IF_ERROR(CheckKernels(step, path + ".kernels", origins));
  return CheckShapes(scenario, origins);
}

absl::Status CheckCopyCurve(const Link& link, const Origins& origins) {
  std::set<std::pair<int64_t, int64_t>> points;
  for (int i = 0; i < link.batched_copy_size(); ++i) {
    const CopyPoint& point = link.batched_copy(i);
    const std::string path = absl::StrCat("hardware.host_link.batched_copy[", i, "]");
    if (!point.has_piece_bytes() || !point.has_descriptors() || !point.has_bytes_per_s()) {
      return origins.Error(path, "is incomplete; give piece_bytes, descriptors and bytes_per_s");
    }
    if (point.bytes_per_s() > link.peak_bytes_per_s()) {
      return origins.Error(
          path, absl::StrCat(point.bytes_per_s(), " bytes/s is more than peak_bytes_per_s (",
                             link.peak_bytes_per_s(), "); lower it or raise the peak"));
    }
    if (!points.insert({point.descriptors(), point.piece_bytes()}).second) {
      return origins.Error(path,
                           "repeats a piece size and descriptor count; remove one of the two");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckHardwareFields(const Scenario& scenario, const Origins& origins) {
  TIERSCOPE_RETURN_IF_ERROR(CheckStepModel(scenario, origins));
  return CheckCopyCurve(scenario.hardware().host_link(), origins);
}

}  // namespace tierscope
