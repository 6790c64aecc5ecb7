#include "scenarios/loader.h"

#include <filesystem>

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
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using google::protobuf::TextFormat;

// `value` against the folder of the scenario file, if the field at `path` names a file.
void MakeAbsolute(const std::filesystem::path& folder, const std::string& path,
                  std::string* value) {
  if (IsFilePath(path, *value)) *value = (folder / *value).lexically_normal().string();
}

absl::Status MakeFilesAbsolute(const std::string& file, Scenario* scenario) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(file, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat(file, ": the working directory cannot be read; give an absolute path"));
  }
  const std::filesystem::path folder = absolute.parent_path();
  if (scenario->model().has_preset()) {
    MakeAbsolute(folder, "model.preset", scenario->mutable_model()->mutable_preset());
  }
  if (scenario->hardware().has_preset()) {
    MakeAbsolute(folder, "hardware.preset", scenario->mutable_hardware()->mutable_preset());
  }
  if (scenario->hardware().step_model().kernels().has_preset()) {
    MakeAbsolute(
        folder, "hardware.step_model.kernels.preset",
        scenario->mutable_hardware()->mutable_step_model()->mutable_kernels()->mutable_preset());
  }
  if (scenario->node().has_preset()) {
    MakeAbsolute(folder, "node.preset", scenario->mutable_node()->mutable_preset());
  }
  if (scenario->workload().has_trace()) {
    MakeAbsolute(folder, "workload.trace", scenario->mutable_workload()->mutable_trace());
  }
  if (scenario->workload().attention().has_trace()) {
    MakeAbsolute(folder, "workload.attention.trace",
                 scenario->mutable_workload()->mutable_attention()->mutable_trace());
  }
  return absl::OkStatus();
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

}  // namespace

absl::StatusOr<Scenario> LoadScenario(const std::string& path,
                                      const std::vector<std::string>& sets) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  return ParseScenario(text, path, sets);
}

absl::StatusOr<Scenario> ParseScenario(const std::string& text, const std::string& path,
                                       const std::vector<std::string>& sets) {
  Scenario scenario;
  TextFormat::ParseInfoTree tree;
  Origins origins;
  TIERSCOPE_RETURN_IF_ERROR(ParseText(text, path, &scenario, &tree));
  origins.AddFile(scenario, tree, "", path);
  TIERSCOPE_RETURN_IF_ERROR(MakeFilesAbsolute(path, &scenario));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<Override> overrides, ParseOverrides(sets));
  TIERSCOPE_RETURN_IF_ERROR(ApplyOverrides(overrides, &scenario, &origins));
  DropEmptyNames(&scenario);
  TIERSCOPE_RETURN_IF_ERROR(ExpandPresets(&scenario, &origins));
  if (scenario.name().empty()) scenario.set_name(std::filesystem::path(path).stem().string());
  FillDefaults(&scenario);
  TIERSCOPE_RETURN_IF_ERROR(ValidateScenario(scenario, origins));
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
