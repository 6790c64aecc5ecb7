// tierscope calibrate: kernel times of a card from tables of measurements, or a device measured.
#include "calibration/calibrate.h"

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/calibrate_device.h"
#include "cli/rows.h"
#include "cli/verb.h"

#include "calibration/calibration_text.h"
#include "calibration/device_profile.h"
#include "calibration/model_config.h"
#include "scenarios/presets.h"
#include "scenarios/text_file.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

struct CalibrateOptions {
  std::string folder;
  std::string model_config;
  std::string hardware;
  int32_t sms = 0;
  std::string carry;
  std::string out;
  std::string format = "table";
  std::string backend;
  std::string scenario = "scenarios/cpu_small.txtpb";
  int rounds = 11;
};

absl::StatusOr<CarrySource> LoadCarry(const std::string& name) {
  TIERSCOPE_ASSIGN_OR_RETURN(const Hardware hardware, HardwarePreset(name));
  const KernelCalibration& kernels = hardware.step_model().kernels();
  if (kernels.sm_count() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--carry: ", name, " has no calibrated kernels; name a card that has, such as h100_sxm"));
  }
  return CarrySource{CardOf(hardware, kernels.sm_count()), kernels};
}

// SMs of the card: given, or those that its calibration was made for.
absl::StatusOr<int32_t> SmCount(const CalibrateOptions& options, const Hardware& hardware) {
  const int32_t known = hardware.step_model().kernels().sm_count();
  if (options.sms > 0) return options.sms;
  if (known > 0) return known;
  return absl::InvalidArgumentError(
      absl::StrCat("--sms: ", options.hardware, " does not say how many SMs it has; give --sms=N"));
}

std::string Command(const CalibrateOptions& options, int32_t sms) {
  return absl::StrCat("tierscope calibrate --import=DIR --hardware=", options.hardware,
                      " --sms=", sms,
                      options.carry.empty() ? "" : absl::StrCat(" --carry=", options.carry));
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--out: ", path, " cannot be written; give a path in a folder that can"));
}

Rows ErrorRows(const CalibrationFile& file) {
  Rows rows = {.columns = {"family", "fitted", "kept_out", "median_%", "p90_%", "worst_%", "bias_%",
                           "table"},
               .cells = {}};
  for (const FamilyFit& fit : file.fits()) {
    const auto percent = [](double value) { return Cell::Number(100.0 * value, 1); };
    rows.cells.push_back({Cell::String(fit.family()), Cell::Count(fit.rows_fitted()),
                          Cell::Count(fit.rows_kept_out()), percent(fit.median_error()),
                          percent(fit.p90_error()), percent(fit.worst_error()), percent(fit.bias()),
                          Cell::String(absl::StrJoin(fit.tables(), " "))});
  }
  return rows;
}

std::string ResultsText(const Rows& rows, OutputFormat format) {
  switch (format) {
    case OutputFormat::kTable:
      return TableText(rows);
    case OutputFormat::kCsv:
      return CsvText(rows);
    case OutputFormat::kJson: {
      std::vector<std::string> objects;
      for (size_t i = 0; i < rows.cells.size(); ++i) objects.push_back(JsonObject(rows, i));
      return absl::StrCat("{\"fits\":[", absl::StrJoin(objects, ","), "]}\n");
    }
  }
  return "";
}

// The preset of a model's config.json, to --out or stdout.
absl::Status WriteModelPreset(const CalibrateOptions& options) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string json, ReadTextFile(options.model_config));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text,
                             ModelPresetFromConfig(json, options.model_config));
  if (!options.out.empty()) return WriteFile(options.out, text);
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

Rows ProfileRows(const Hardware& hardware) {
  Rows rows = {.columns = {"op", "points", "left_out", "median_%", "worst_%", "spread_%"},
               .cells = {}};
  for (const OpTable& table : hardware.measured_ops().tables()) {
    const LeaveOneOut fit = LeaveOneOutOf(table);
    rows.cells.push_back({Cell::String(OpTable::Op_Name(fit.op)), Cell::Count(table.us_size()),
                          Cell::Count(fit.points), Cell::Number(100.0 * fit.median_error, 1),
                          Cell::Number(100.0 * fit.worst_error, 1),
                          Cell::Number(100.0 * fit.median_spread, 1)});
  }
  return rows;
}

absl::Status MeasureProfile(const CalibrateOptions& options) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(options.format));
  if (options.out.empty()) {
    return absl::InvalidArgumentError(
        "--out: is not given; give the .txtpb that the profile is written to");
  }
  if (!options.folder.empty() || !options.hardware.empty() || !options.carry.empty()) {
    return absl::InvalidArgumentError(
        "--backend measures the device at hand and takes no --import, --hardware or --carry; "
        "carrying "
        "needs two profiles, give one of the two ways");
  }
  TIERSCOPE_ASSIGN_OR_RETURN(
      const Hardware hardware,
      CalibrateDevice({options.backend, options.scenario, options.out, options.rounds}));
  std::fputs(ResultsText(ProfileRows(hardware), format).c_str(), stdout);
  std::fprintf(stderr, "profile: %s, use it with --set hardware.preset=%s\n",
               hardware.measured_ops().sha256().c_str(), options.out.c_str());
  return absl::OkStatus();
}

absl::Status RunCalibrate(const CalibrateOptions& options) {
  if (!options.backend.empty()) return MeasureProfile(options);
  if (!options.model_config.empty()) return WriteModelPreset(options);
  if (options.folder.empty() || options.hardware.empty()) {
    return absl::InvalidArgumentError(
        "calibrate: give --backend=cpu to measure this machine, --import=DIR and "
        "--hardware=PRESET to fit kernels, or --model-config=FILE to read a model");
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(options.format));
  TIERSCOPE_ASSIGN_OR_RETURN(const Hardware hardware, HardwarePreset(options.hardware));
  TIERSCOPE_ASSIGN_OR_RETURN(const int32_t sms, SmCount(options, hardware));
  CalibrationRequest request = {options.folder, CardOf(hardware, sms), std::nullopt};
  if (!options.carry.empty()) {
    TIERSCOPE_ASSIGN_OR_RETURN(request.carry, LoadCarry(options.carry));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const CalibrationOutcome outcome, Calibrate(request));
  for (const std::string& name : outcome.unused) {
    std::fprintf(stderr, "not used: %s\n", name.c_str());
  }
  if (outcome.file.kernels().has_carried()) {
    std::fprintf(stderr, "carried: %s\n", outcome.file.kernels().carried().c_str());
  }
  std::fputs(ResultsText(ErrorRows(outcome.file), format).c_str(), stdout);
  if (options.out.empty()) return absl::OkStatus();
  return WriteFile(options.out, CalibrationText(outcome.file, Command(options, sms)));
}

}  // namespace

void AddCalibrateVerb(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<CalibrateOptions>();
  CLI::App* verb = app.add_subcommand(
      "calibrate",
      "Measure the device at hand, or fit a card's kernels to tables; print the errors");
  CLI::Option* folder =
      verb->add_option("--import", options->folder,
                       "folder of CSV tables in the layout of aiconfigurator or InferSim");
  verb->add_option("--model-config", options->model_config,
                   "config.json of DeepSeek-V4, V3.2 or GLM-5: write it as a model preset instead")
      ->excludes(folder);
  verb->add_option("--backend", options->backend,
                   "measure the device at hand, op by op: cpu; writes a hardware preset to --out")
      ->excludes(folder);
  verb->add_option("--scenario", options->scenario,
                   "with --backend: the scenario whose model's shapes are measured")
      ->capture_default_str();
  verb->add_option("--rounds", options->rounds, "with --backend: samples of each point")
      ->check(CLI::Range(3, 1001))
      ->capture_default_str();
  verb->add_option("--hardware", options->hardware,
                   "hardware preset of the card that was measured: its peaks and bandwidth");
  verb->add_option("--sms", options->sms, "streaming multiprocessors of the card")
      ->check(CLI::Range(1, 100000));
  verb->add_option("--carry", options->carry,
                   "hardware preset with calibrated kernels, for families without a table");
  verb->add_option("--out", options->out,
                   "write the calibration here, a .txtpb for hardware.step_model.kernels.preset");
  verb->add_option("--format", options->format, "table, csv or json")->capture_default_str();
  verb->callback([options, exit_code] { *exit_code = ExitCode(RunCalibrate(*options)); });
}

}  // namespace tierscope::cli
