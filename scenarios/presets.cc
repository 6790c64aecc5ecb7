#include "scenarios/presets.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

#include "scenarios/embedded.h"
#include "scenarios/fields.h"
#include "scenarios/set_value.h"
#include "scenarios/text_file.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using google::protobuf::TextFormat;

// What the path of an embedded preset of `kind` starts with. Nodes lie beside the hardware.
std::string Prefix(const std::string& kind) {
  if (kind == "model") return "models/";
  if (kind == "calibration") return "calibration/";
  return kind == "node" ? "hardware/node_" : "hardware/";
}

// The name under which `file` is a preset of `kind`; empty when it is none.
std::string NameOf(const EmbeddedFile& file, const std::string& kind) {
  const bool is_node = absl::StartsWith(file.path, "hardware/node_");
  if (!absl::StartsWith(file.path, Prefix(kind)) || (kind == "hardware" && is_node)) return "";
  const size_t slash = file.path.find('/');
  return std::string(absl::StripSuffix(absl::string_view(file.path).substr(slash + 1), ".txtpb"));
}

const EmbeddedFile* FindEmbedded(const std::string& kind, const std::string& name) {
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    if (!name.empty() && NameOf(file, kind) == name) return &file;
  }
  return nullptr;
}

std::string UnknownName(const std::string& kind, const std::string& name) {
  return absl::StrCat("no ", kind, " preset '", absl::CHexEscape(name.substr(0, 60)),
                      "'; there are ", absl::StrJoin(PresetNames(kind), ", "),
                      ", or give a .txtpb file");
}

template <typename Preset>
absl::StatusOr<Preset> EmbeddedPreset(const std::string& kind, const std::string& name) {
  const EmbeddedFile* file = FindEmbedded(kind, name);
  if (file == nullptr) return absl::NotFoundError(UnknownName(kind, name));
  Preset preset;
  TextFormat::ParseInfoTree tree;
  TIERSCOPE_RETURN_IF_ERROR(ParseText(file->text, file->path, &preset, &tree));
  return preset;
}

// Text and name of the preset that `name`, given at `path`, stands for.
absl::StatusOr<EmbeddedFile> Find(const std::string& kind, const std::string& path,
                                  const std::string& name, const Origins& origins) {
  if (IsFilePath(path, name)) {
    absl::StatusOr<std::string> text = ReadTextFile(name);
    if (!text.ok()) return origins.Error(path, text.status().message());
    return EmbeddedFile{name, *std::move(text)};
  }
  const EmbeddedFile* file = FindEmbedded(kind, name);
  if (file == nullptr) return origins.Error(path, UnknownName(kind, name));
  return *file;
}

template <typename Preset>
absl::Status Expand(const std::string& kind, Preset* message, Origins* origins) {
  if (message->preset().empty()) return absl::OkStatus();
  TIERSCOPE_ASSIGN_OR_RETURN(const EmbeddedFile file, Find(kind, absl::StrCat(kind, ".preset"),
                                                           message->preset(), *origins));
  message->clear_preset();
  Preset preset;
  TextFormat::ParseInfoTree tree;
  TIERSCOPE_RETURN_IF_ERROR(ParseText(file.text, file.path, &preset, &tree));
  if (preset.has_preset()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path, ": a preset cannot name a preset; write its fields out"));
  }
  origins->AddFile(preset, tree, kind, file.path);
  FillUnset(preset, message);
  return absl::OkStatus();
}

constexpr char kKernelsPath[] = "hardware.step_model.kernels";

absl::Status ExpandKernels(KernelCalibration* kernels, Origins* origins) {
  if (kernels->preset().empty()) return absl::OkStatus();
  TIERSCOPE_ASSIGN_OR_RETURN(
      const EmbeddedFile file,
      Find("calibration", absl::StrCat(kKernelsPath, ".preset"), kernels->preset(), *origins));
  kernels->clear_preset();
  CalibrationFile calibration;
  TextFormat::ParseInfoTree tree;
  TIERSCOPE_RETURN_IF_ERROR(ParseText(file.text, file.path, &calibration, &tree));
  if (calibration.kernels().has_preset() || !calibration.has_kernels()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path,
                     ": a calibration writes its kernels out; give kernels without a "
                     "preset"));
  }
  const auto* field = CalibrationFile::descriptor()->FindFieldByName("kernels");
  origins->AddFile(calibration.kernels(), *tree.GetTreeForNested(field, -1), kKernelsPath,
                   file.path);
  FillUnset(calibration.kernels(), kernels);
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> PresetNames(const std::string& kind) {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    const std::string name = NameOf(file, kind);
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

absl::StatusOr<Model> ModelPreset(const std::string& name) {
  return EmbeddedPreset<Model>("model", name);
}

absl::StatusOr<Hardware> HardwarePreset(const std::string& name) {
  TIERSCOPE_ASSIGN_OR_RETURN(Hardware hardware, EmbeddedPreset<Hardware>("hardware", name));
  if (!hardware.step_model().has_kernels()) return hardware;
  Origins origins;
  TIERSCOPE_RETURN_IF_ERROR(
      ExpandKernels(hardware.mutable_step_model()->mutable_kernels(), &origins));
  return hardware;
}

absl::StatusOr<CalibrationFile> CalibrationPreset(const std::string& name) {
  return EmbeddedPreset<CalibrationFile>("calibration", name);
}

absl::StatusOr<Node> NodePreset(const std::string& name) {
  return EmbeddedPreset<Node>("node", name);
}

absl::Status ExpandPresets(Scenario* scenario, Origins* origins) {
  TIERSCOPE_RETURN_IF_ERROR(Expand("model", scenario->mutable_model(), origins));
  TIERSCOPE_RETURN_IF_ERROR(Expand("hardware", scenario->mutable_hardware(), origins));
  if (scenario->hardware().step_model().has_kernels()) {
    TIERSCOPE_RETURN_IF_ERROR(ExpandKernels(
        scenario->mutable_hardware()->mutable_step_model()->mutable_kernels(), origins));
  }
  return Expand("node", scenario->mutable_node(), origins);
}

}  // namespace tierscope
