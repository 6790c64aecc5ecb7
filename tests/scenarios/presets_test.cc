#include "scenarios/presets.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"

#include "scenarios/embedded.h"
#include "scenarios/text_file.h"
#include "tests/scenarios/scenario_text.h"

namespace tierscope {
namespace {

Scenario Parse(const std::string& text, const std::vector<std::string>& sets = {}) {
  const absl::StatusOr<Scenario> scenario = ParseScenario(text, "s.txtpb", sets);
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  return scenario.ok() ? *scenario : Scenario();
}

TEST(PresetsTest, Names) {
  EXPECT_EQ(PresetNames("model"), (std::vector<std::string>{"v4_flash", "v4_pro", "v4_tiny"}));
  EXPECT_EQ(PresetNames("hardware"),
            (std::vector<std::string>{"h20_96", "h20_141", "h100_sxm", "h200"}));
  EXPECT_EQ(PresetNames("node"), (std::vector<std::string>{"node_8gpu"}));
  EXPECT_EQ(PresetNames("calibration"), (std::vector<std::string>{"h100", "h20"}));
}

TEST(PresetsTest, EveryFileIsEmbeddedAsItStands) {
  size_t files = 0;
  for (const char* folder : {"models", "hardware", "calibration"}) {
    const std::string path = absl::StrCat(TIERSCOPE_SOURCE_DIR, "/scenarios/", folder);
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      const std::string name = absl::StrCat(folder, "/", entry.path().filename().string());
      const auto file = std::find_if(EmbeddedFiles().begin(), EmbeddedFiles().end(),
                                     [&](const EmbeddedFile& f) { return f.path == name; });
      ASSERT_NE(file, EmbeddedFiles().end()) << name << ": list it in scenarios/CMakeLists.txt";
      EXPECT_EQ(file->text, ReadTextFile(entry.path().string()).value()) << name;
      ++files;
    }
  }
  EXPECT_EQ(files, EmbeddedFiles().size());
}

// Whether a comment says where a number comes from: a tag and something behind it.
bool IsSource(absl::string_view comment) {
  comment = absl::StripAsciiWhitespace(comment);
  for (const char* tag : {"[S]", "[D]", "[U]", "UNKNOWN:"}) {
    if (absl::ConsumePrefix(&comment, tag)) return absl::StripAsciiWhitespace(comment).size() >= 5;
  }
  return false;
}

// Whether a line gives a field a number, or a list of numbers.
bool GivesNumber(absl::string_view line) {
  for (size_t colon = line.find(':'); colon != absl::string_view::npos;
       colon = line.find(':', colon + 1)) {
    const size_t value = line.find_first_not_of(" [-", colon + 1);
    if (value == absl::string_view::npos) return false;
    if (absl::ascii_isdigit(static_cast<unsigned char>(line[value])) || line[value] == '.') {
      return true;
    }
  }
  return false;
}

// Lines that give a number without a comment that says where it comes from.
std::vector<std::string> Unsourced(const std::string& text) {
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    // No string of a preset holds a '#'.
    const size_t comment = std::min(line.find('#'), line.size());
    if (!GivesNumber(line.substr(0, comment))) continue;
    const bool sourced = comment < line.size() && IsSource(line.substr(comment + 1));
    if (!sourced) lines.emplace_back(line);
  }
  return lines;
}

TEST(PresetsTest, EveryNumberHasItsSource) {
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    EXPECT_EQ(Unsourced(file.text), std::vector<std::string>()) << file.path;
  }
}

TEST(PresetsTest, TheCheckForSourcesFindsWhatLacksOne) {
  EXPECT_EQ(Unsourced("a: 1  # [S] FM: text").size(), 0u);
  EXPECT_EQ(Unsourced("a: 1  # UNKNOWN: usual").size(), 0u);
  EXPECT_EQ(Unsourced("gpu: \"H20\"").size(), 0u);
  EXPECT_EQ(Unsourced("a: 1").size(), 1u);
  EXPECT_EQ(Unsourced("a: 1  # [S]").size(), 1u);
  EXPECT_EQ(Unsourced("a: 1  # a comment").size(), 1u);
  EXPECT_EQ(Unsourced("a: 1  # UNKNOWN").size(), 1u);
  EXPECT_EQ(Unsourced("p { a: .5 }").size(), 1u);
  EXPECT_EQ(Unsourced("a: [1, 2]").size(), 1u);
}

// Every preset with every other loads, at a tensor parallelism and fraction where its weights fit.
TEST(PresetsTest, AllLoadTogether) {
  for (const std::string& model : PresetNames("model")) {
    for (const std::string& hardware : PresetNames("hardware")) {
      for (const std::string& node : PresetNames("node")) {
        std::vector<std::string> sets = {
            absl::StrCat("model.preset=", model, ",hardware.preset=", hardware,
                         ",node.preset=", node, ",policy.kind=full,engine.hbm_usable_fraction=1")};
        // 122 GB of V4-Pro weights per rank at TP8: a larger node for the smaller cards.
        if (model == "v4_pro") sets.push_back("node.gpus=16,engine.tensor_parallel=16");
        const std::string message = Refusal(SmallScenario(), sets);
        EXPECT_EQ(message, "accepted") << model << " " << hardware << " " << node;
      }
    }
  }
}

TEST(PresetsTest, WhatTheFileGivesOutranksThePreset) {
  const std::string text =
      "model { preset: \"v4_flash\" top_k: 256 }\n"
      "hardware { preset: \"h20_141\" step_model { base_ms: 1 } }\n"
      "node { host_usable_fraction: 1.0 preset: \"node_8gpu\" }\n"
      "workload { concurrency: 1 context_tokens: 8192 output_tokens: 8 }\n"
      "policy { kind: FULL }\n";
  const Scenario scenario = Parse(text);
  EXPECT_EQ(scenario.model().top_k(), 256);
  EXPECT_EQ(scenario.model().csa_layers(), 21);
  EXPECT_EQ(scenario.hardware().step_model().base_ms(), 1);
  EXPECT_EQ(scenario.hardware().step_model().per_request_ms(),
            HardwarePreset("h20_141")->step_model().per_request_ms());
  EXPECT_EQ(scenario.node().host_usable_fraction(), 1.0);
  // Beside a preset the file's fields stay when --set names another.
  const Scenario moved = Parse(text, {"hardware.preset=h20_96"});
  EXPECT_EQ(moved.hardware().hbm_bytes(), 96'000'000'000);
  EXPECT_EQ(moved.hardware().step_model().base_ms(), 1);
}

TEST(PresetsTest, AnOverrideOutranksThePresetWhereverItStands) {
  for (const char* set : {"hardware.preset=h20_96,hardware.hbm_bytes=7e10",
                          "hardware.hbm_bytes=7e10,hardware.preset=h20_96"}) {
    const Scenario scenario = Parse(SmallScenario(), {set});
    EXPECT_EQ(scenario.hardware().hbm_bytes(), 70'000'000'000) << set;
    EXPECT_EQ(scenario.hardware().hbm_bytes_per_s(), 4'000'000'000'000) << set;
    EXPECT_EQ(scenario.hardware().host_link().batched_copy_size(), 12) << set;
  }
}

TEST(PresetsTest, APresetReplacesWhatAResolvedScenarioWroteOut) {
  const std::string resolved = ScenarioText(Parse(SmallScenario()));
  EXPECT_EQ(Parse(resolved).hardware().gpu(), "NVIDIA H20 141GB");
  const Scenario moved = Parse(resolved, {"hardware.preset=h100_sxm,hardware.hbm_bytes=9e10"});
  EXPECT_EQ(moved.hardware().gpu(), "NVIDIA H100 SXM");
  EXPECT_EQ(moved.hardware().hbm_bytes(), 90'000'000'000);
  EXPECT_EQ(moved.hardware().fp8_flop_per_s(), 1979e12);
}

TEST(PresetsTest, UnknownNames) {
  EXPECT_EQ(Refusal(SmallScenario(), {"hardware.preset=h20"}),
            "--set hardware.preset: no hardware preset 'h20'; there are h20_96, h20_141, h100_sxm, "
            "h200, or give a .txtpb file");
  EXPECT_EQ(
      Refusal("seed: 1\nmodel { preset: \"v5\" }"),
      "s.txtpb:2:9: model.preset: no model preset 'v5'; there are v4_flash, v4_pro, v4_tiny, or give a "
      ".txtpb file");
  EXPECT_EQ(Refusal(SmallScenario(), {"hardware.preset=node_8gpu"}).substr(0, 67),
            "--set hardware.preset: no hardware preset 'node_8gpu'; there are h2");
  EXPECT_EQ(NodePreset("h20_96").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ModelPreset("").status().code(), absl::StatusCode::kNotFound);
}

TEST(PresetsTest, ByName) {
  EXPECT_EQ(ModelPreset("v4_pro")->csa_layers(), 30);
  EXPECT_EQ(HardwarePreset("h200")->hbm_bytes(), 141'000'000'000);
  EXPECT_EQ(NodePreset("node_8gpu")->gpus(), 8);
}

// Only the card that the rates were fitted on may claim so.
TEST(PresetsTest, CarriedConstantsAreMarked) {
  for (const std::string& name : PresetNames("hardware")) {
    const StepModel step = HardwarePreset(name)->step_model();
    const StepModel fitted = HardwarePreset("h20_141")->step_model();
    EXPECT_EQ(step.evidence(), name == "h20_141" ? FITTED : EVIDENCE_UNKNOWN) << name;
    EXPECT_EQ(absl::StartsWith(step.fitted_to(), "not fitted"), name != "h20_141") << name;
    EXPECT_EQ(step.base_ms(), fitted.base_ms());
    EXPECT_EQ(step.per_request_ms(), fitted.per_request_ms());
    EXPECT_EQ(HardwarePreset(name)->host_link().evidence(),
              name == "h100_sxm" ? SOURCED : EVIDENCE_UNKNOWN);
  }
}

// Every card's kernels are those of a calibration, written out.
TEST(PresetsTest, CalibratedKernelsAreExpanded) {
  for (const std::string& name : PresetNames("hardware")) {
    const KernelCalibration kernels = HardwarePreset(name)->step_model().kernels();
    const bool h20 = absl::StartsWith(name, "h20_");
    EXPECT_FALSE(kernels.has_preset());
    EXPECT_EQ(kernels.sm_count(), h20 ? 78 : 132) << name;
    EXPECT_EQ(kernels.ShortDebugString(),
              CalibrationPreset(h20 ? "h20" : "h100")->kernels().ShortDebugString());
  }
}

TEST(PresetsTest, KernelsOfAnotherCalibration) {
  const std::string set = "hardware.step_model.kernels.preset=h100";
  const Scenario named = Parse(SmallScenario(), {set});
  EXPECT_EQ(named.hardware().gpu(), "NVIDIA H20 141GB");
  EXPECT_EQ(named.hardware().step_model().kernels().sm_count(), 132);
  // In a resolved text the kernels are written out, and the preset stands in their place.
  const Scenario moved = Parse(ScenarioText(Parse(SmallScenario())), {set});
  EXPECT_EQ(moved.hardware().step_model().kernels().sm_count(), 132);
  EXPECT_EQ(moved.hardware().gpu(), "NVIDIA H20 141GB");
  // A value beside the preset outranks it.
  const Scenario tuned =
      Parse(SmallScenario(), {"hardware.step_model.kernels.gemm_fp8.floor_us=1.5"});
  EXPECT_EQ(tuned.hardware().step_model().kernels().gemm_fp8().floor_us(), 1.5);
  EXPECT_EQ(tuned.hardware().step_model().kernels().sm_count(), 78);
  EXPECT_EQ(
      Refusal(SmallScenario(), {"hardware.step_model.kernels.preset=b200"}),
      "--set hardware.step_model.kernels.preset: no calibration preset 'b200'; there are h100, "
      "h20, or give a .txtpb file");
}

struct Datasheet {
  const char* name;
  int64_t hbm_gb;
  double hbm_tb_per_s, fp8_tflop_per_s, bf16_tflop_per_s;
};

TEST(PresetsTest, TheDatasheets) {
  const Datasheet rows[] = {{"h20_96", 96, 4.0, 296, 148},
                            {"h20_141", 141, 4.8, 296, 148},
                            {"h100_sxm", 80, 3.35, 1979, 989},
                            {"h200", 141, 4.8, 1979, 989}};
  for (const Datasheet& row : rows) {
    const Hardware hardware = HardwarePreset(row.name).value();
    EXPECT_EQ(hardware.hbm_bytes(), row.hbm_gb * 1'000'000'000) << row.name;
    EXPECT_DOUBLE_EQ(static_cast<double>(hardware.hbm_bytes_per_s()), row.hbm_tb_per_s * 1e12);
    EXPECT_DOUBLE_EQ(hardware.fp8_flop_per_s(), row.fp8_tflop_per_s * 1e12);
    EXPECT_DOUBLE_EQ(hardware.bf16_flop_per_s(), row.bf16_tflop_per_s * 1e12);
    EXPECT_EQ(hardware.host_link().peak_bytes_per_s(), 55'600'000'000);
  }
}

struct CurveRow {
  int64_t descriptors;
  double gb_per_s[6];
};

// vLLM#42212, one H100: pieces of 4, 8, 16, 24, 28, 64 KiB.
TEST(PresetsTest, TheCopyCurveIsTheMeasuredOne) {
  const CurveRow rows[] = {{10'000, {6.8, 6.8, 7.1, 25.8, 27.5, 38.8}},
                           {100'000, {3.8, 5.3, 6.3, 6.9, 44.1, 51.8}}};
  const int64_t kib[] = {4, 8, 16, 24, 28, 64};
  for (const std::string& name : PresetNames("hardware")) {
    const Link link = HardwarePreset(name)->host_link();
    ASSERT_EQ(link.batched_copy_size(), 12);
    for (int i = 0; i < 12; ++i) {
      EXPECT_EQ(link.batched_copy(i).descriptors(), rows[i / 6].descriptors);
      EXPECT_EQ(link.batched_copy(i).piece_bytes(), kib[i % 6] * 1024);
      EXPECT_DOUBLE_EQ(static_cast<double>(link.batched_copy(i).bytes_per_s()),
                       rows[i / 6].gb_per_s[i % 6] * 1e9);
    }
  }
}

}  // namespace
}  // namespace tierscope
