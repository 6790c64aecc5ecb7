#include "scenarios/loader.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"

#include "scenarios/fields.h"
#include "scenarios/origins.h"
#include "scenarios/overrides.h"
#include "scenarios/presets.h"
#include "scenarios/set_value.h"
#include "scenarios/text_file.h"
#include "scenarios/validate.h"
#include "sim/base/check.h"
#include "sim/base/digest.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using google::protobuf::TextFormat;

// Makes the file names that the scenario gives absolute from its folder.
class FileNames {
 public:
  FileNames(std::filesystem::path folder, const Origins& origins)
      : folder_(std::move(folder)), origins_(origins) {}

  // `value` stands at `path`, whether it names a file or not.
  absl::Status MakeAbsolute(const std::string& path, std::string* value) const {
    if (!IsFilePath(path, *value)) return absl::OkStatus();
    const std::string absolute = (folder_ / *value).lexically_normal().string();
    if (!IsFileName(absolute)) {
      return origins_.Error(path, absl::StrCat(Quoted(*value), kNoFileName));
    }
    *value = absolute;
    return absl::OkStatus();
  }

  template <typename Part>
  absl::Status MakePresetAbsolute(const std::string& path, Part* part) const {
    return part->has_preset() ? MakeAbsolute(path, part->mutable_preset()) : absl::OkStatus();
  }
  template <typename Part>
  absl::Status MakeTraceAbsolute(const std::string& path, Part* part) const {
    return part->has_trace() ? MakeAbsolute(path, part->mutable_trace()) : absl::OkStatus();
  }

 private:
  std::filesystem::path folder_;
  const Origins& origins_;
};

absl::Status MakeFilesAbsolute(const std::string& file, const Origins& origins,
                               Scenario* scenario) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(file, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat(file, ": the working directory cannot be read; give an absolute path"));
  }
  const FileNames names(absolute.parent_path(), origins);
  Workload* workload = scenario->mutable_workload();
  TIERSCOPE_RETURN_IF_ERROR(names.MakePresetAbsolute("model.preset", scenario->mutable_model()));
  TIERSCOPE_RETURN_IF_ERROR(
      names.MakePresetAbsolute("hardware.preset", scenario->mutable_hardware()));
  if (scenario->hardware().step_model().has_kernels()) {
    TIERSCOPE_RETURN_IF_ERROR(names.MakePresetAbsolute(
        "hardware.step_model.kernels.preset",
        scenario->mutable_hardware()->mutable_step_model()->mutable_kernels()));
  }
  TIERSCOPE_RETURN_IF_ERROR(names.MakePresetAbsolute("node.preset", scenario->mutable_node()));
  TIERSCOPE_RETURN_IF_ERROR(names.MakeTraceAbsolute("workload.trace", workload));
  return names.MakeTraceAbsolute("workload.attention.trace", workload->mutable_attention());
}

// An empty file name or preset says the same as none.
void DropEmptyNames(Scenario* scenario) {
  if (scenario->workload().trace().empty()) scenario->mutable_workload()->clear_trace();
  Attention* attention = scenario->mutable_workload()->mutable_attention();
  if (attention->trace().empty()) attention->clear_trace();
  if (attention->generator_preset().empty()) attention->clear_generator_preset();
  if (scenario->model().preset().empty()) scenario->mutable_model()->clear_preset();
  if (scenario->hardware().preset().empty()) scenario->mutable_hardware()->clear_preset();
  if (scenario->node().preset().empty()) scenario->mutable_node()->clear_preset();
  if (scenario->hardware().step_model().kernels().preset().empty() &&
      scenario->hardware().step_model().has_kernels()) {
    scenario->mutable_hardware()->mutable_step_model()->mutable_kernels()->clear_preset();
  }
}

// Fields whose right default depends on the kind of policy, where the scenario leaves them unset.
// Sources: FlashMemory's code and report; 14 ms of its side-band's 20 are level 1. StreamingLLM
// (arXiv 2309.17453): four sink tokens. HiSparse: buffers of 4,096 tokens (sglang's guide);
// sglang#33075 measured 1.7 ms a step more at one to four requests with 78 layers: 20 us a layer,
// an assumption elsewhere. ESS (arXiv 2512.10576): a pool of 0.2 in figures 4 and 5, warmed with
// the last 32 windows, transfers all overlapped: taken at its word, an assumption.
Policy KindDefaults(Policy::Kind kind) {
  Policy defaults;
  switch (kind) {
    case Policy::FLASHMEMORY:
      defaults.set_reserve_entries(524288);
      defaults.set_eviction(Policy::FIFO);
      defaults.set_phase(Policy::OWN_STEPS);
      defaults.set_recall_path(Policy::STAGED);
      defaults.set_level1_fixed_ms(14);
      break;
    case Policy::STREAMING_LLM:
      defaults.set_sink_entries(4);
      break;
    case Policy::TOPK_SWAP:
      defaults.set_recall_path(Policy::GATHER_KERNEL);
      defaults.set_hot_buffer_entries(4096);
      defaults.set_fetch_overlap(0);
      defaults.set_fetch_layer_us(20);
      break;
    case Policy::ESS:
      defaults.set_recall_path(Policy::GATHER_KERNEL);
      defaults.set_pool_ratio(0.2);
      defaults.set_pool_warmup_steps(32);
      defaults.set_fetch_overlap(1);
      defaults.set_fetch_layer_us(20);
      break;
    case Policy::FULL:
    case Policy::LSA:
    case Policy::RECENCY:
    case Policy::RANDOM:
    case Policy::ORACLE:
    case Policy::H2O:
    case Policy::QUEST:
      break;
  }
  return defaults;
}

}  // namespace

absl::StatusOr<Scenario> LoadScenario(const std::string& path, const std::vector<std::string>& sets,
                                      std::vector<UnusedField>* unused_sets) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  return ParseScenario(text, path, sets, unused_sets);
}

absl::StatusOr<Scenario> ParseScenario(const std::string& text, const std::string& path,
                                       const std::vector<std::string>& sets,
                                       std::vector<UnusedField>* unused_sets) {
  Scenario scenario;
  TextFormat::ParseInfoTree tree;
  Origins origins;
  TIERSCOPE_RETURN_IF_ERROR(ParseText(text, path, &scenario, &tree));
  origins.AddFile(scenario, tree, "", path);
  TIERSCOPE_RETURN_IF_ERROR(MakeFilesAbsolute(path, origins, &scenario));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<Override> overrides, ParseOverrides(sets));
  TIERSCOPE_RETURN_IF_ERROR(ApplyOverrides(overrides, &scenario, &origins));
  DropEmptyNames(&scenario);
  TIERSCOPE_RETURN_IF_ERROR(ExpandPresets(&scenario, &origins));
  ClearUnset(origins, &scenario);
  if (scenario.name().empty()) scenario.set_name(std::filesystem::path(path).stem().string());
  FillUnset(KindDefaults(scenario.policy().kind()), scenario.mutable_policy());
  FillDefaults(&scenario);
  TIERSCOPE_RETURN_IF_ERROR(ValidateScenario(scenario, origins));
  if (unused_sets == nullptr) return scenario;
  for (UnusedField& field : UnusedFields(scenario)) {
    if (origins.IsOverride(field.path)) unused_sets->push_back(std::move(field));
  }
  return scenario;
}

std::string ScenarioText(const Scenario& scenario) {
  TextFormat::Printer printer;
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  TIERSCOPE_CHECK(printer.PrintToString(scenario, &text));
  return absl::StrCat(
      "# proto-file: scenarios/scenario.proto\n# proto-message: tierscope.Scenario\n", text);
}

std::string ScenarioDigest(const Scenario& scenario) {
  Scenario anonymous = scenario;
  anonymous.clear_name();
  anonymous.clear_description();
  anonymous.mutable_workload()->clear_trace();
  anonymous.mutable_workload()->mutable_attention()->clear_trace();
  Digest digest;
  digest.Add(ScenarioText(anonymous));
  return digest.hex();
}

}  // namespace tierscope
