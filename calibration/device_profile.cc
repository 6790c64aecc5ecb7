#include "calibration/device_profile.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/text_format.h"

#include "calibration/calibration_text.h"
#include "calibration/sha256.h"
#include "scenarios/fields.h"
#include "sim/base/check.h"
#include "sim/model/attention_tiles.h"
#include "sim/model/measured_ops.h"

namespace tierscope {
namespace {

std::string Text(const google::protobuf::Message& message) {
  std::string text;
  TIERSCOPE_CHECK(google::protobuf::TextFormat::PrintToString(message, &text));
  return text;
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// `table` without its column or row `at`.
OpTable Without(const OpTable& table, bool column, int at) {
  OpTable rest;
  rest.set_op(table.op());
  for (int i = 0; i < table.x_size(); ++i) {
    if (!column || i != at) rest.add_x(table.x(i));
  }
  for (int i = 0; i < table.batch_size(); ++i) {
    if (column || i != at) rest.add_batch(table.batch(i));
  }
  for (int row = 0; row < table.batch_size(); ++row) {
    for (int i = 0; i < table.x_size(); ++i) {
      if ((column ? i : row) != at) rest.add_us(table.us(row * table.x_size() + i));
    }
  }
  return rest;
}

// Errors of all points of an inner column or row, interpolated from the others.
void AddErrors(const OpTable& table, bool column, std::vector<double>* errors) {
  const int size = column ? table.x_size() : table.batch_size();
  for (int at = 1; at + 1 < size; ++at) {
    const OpCurve rest(Without(table, column, at));
    const int across = column ? table.batch_size() : table.x_size();
    for (int other = 0; other < across; ++other) {
      const int x = column ? at : other;
      const int batch = column ? other : at;
      const double measured_ns = 1e3 * table.us(batch * table.x_size() + x);
      const double ns = rest.Ns(table.x(x), table.batch(batch));
      errors->push_back(std::abs(ns / measured_ns - 1.0));
    }
  }
}

// One look-up that a scenario makes.
struct Use {
  OpTable::Op op;
  double x;
  double batch;
};

std::vector<Use> UsesOf(const Scenario& scenario) {
  const Model& model = scenario.model();
  const Policy& policy = scenario.policy();
  const double batch = scenario.workload().concurrency();
  const double tile = AttentionTile(scenario.hardware().measured_ops());
  const double page = model.page_entries();
  const double forced = std::ceil(policy.recency_entries() / page) + 1.0;
  std::vector<Use> uses = {{OpTable::BALLAST, 1.0, batch}};
  for (const int64_t output : {int64_t{0}, scenario.workload().output_tokens()}) {
    const double tokens = static_cast<double>(scenario.workload().context_tokens() + output);
    const double history = std::floor(tokens / model.csa_tokens_per_entry());
    const double grown =
        std::ceil(static_cast<double>(output) / model.csa_tokens_per_entry() / page);
    const double active =
        page * std::min(policy.page_kmax() + forced + grown, std::ceil(history / page));
    uses.push_back({OpTable::NATIVE_SCORE, active, batch});
    uses.push_back({OpTable::NATIVE_TOP_K, active, batch});
    uses.push_back(
        {OpTable::CSA_ATTENTION,
         InWholeTiles(std::min<double>(active, model.top_k()) + model.window_tokens(), tile),
         batch});
    uses.push_back(
        {OpTable::HCA_ATTENTION,
         InWholeTiles(std::floor(tokens / model.hca_tokens_per_entry()) + model.window_tokens(),
                      tile),
         batch});
    for (const double due : {1.0, batch}) {
      uses.push_back({OpTable::SCORE, history, due});
      uses.push_back({OpTable::SELECT, std::ceil(history / page), due});
    }
  }
  return uses;
}

bool Holds(const google::protobuf::RepeatedField<double>& axis, double value) {
  return std::any_of(axis.begin(), axis.end(),
                     [&](double point) { return std::abs(point / value - 1.0) < 1e-9; });
}

bool IsOnGrid(const OpTable& table, const Use& use) {
  return table.x_size() > 1 && Holds(table.x(), use.x) && Holds(table.batch(), use.batch);
}

}  // namespace

std::string ProfileDigest(const Hardware& hardware) {
  Hardware plain = hardware;
  FillDefaults(&plain);
  plain.mutable_measured_ops()->clear_sha256();
  return Sha256Hex(Text(plain));
}

void SealProfile(const std::string& taken, Hardware* hardware) {
  RoundForText(hardware);
  hardware->mutable_measured_ops()->set_taken(taken);
  hardware->mutable_measured_ops()->set_sha256(ProfileDigest(*hardware));
}

absl::Status CheckProfileUnchanged(const Hardware& hardware) {
  if (ProfileDigest(hardware) == hardware.measured_ops().sha256()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "hardware.measured_ops.sha256: is not the digest of the hardware around it; a profile is "
      "used "
      "as it was measured: take back overrides under hardware, or calibrate again");
}

std::string ProfileText(const Hardware& hardware, const std::string& command) {
  std::string text = absl::StrCat(
      "# proto-file: scenarios/scenario.proto\n# proto-message: tierscope.Hardware\n#\n# Measured "
      "by `",
      command,
      "`; never edited by hand, which the digest would show.\n# Interpolation, taking each "
      "inner point out of its table:\n");
  for (const OpTable& table : hardware.measured_ops().tables()) {
    const LeaveOneOut fit = LeaveOneOutOf(table);
    absl::StrAppendFormat(&text,
                          "#   %-14s %3d points, error median %.1f %%, worst %.1f %%; spread of a "
                          "point's samples %.1f %%\n",
                          OpTable::Op_Name(fit.op), fit.points, 100.0 * fit.median_error,
                          100.0 * fit.worst_error, 100.0 * fit.median_spread);
  }
  return absl::StrCat(text, Text(hardware));
}

LeaveOneOut LeaveOneOutOf(const OpTable& table) {
  std::vector<double> errors;
  AddErrors(table, /*column=*/true, &errors);
  AddErrors(table, /*column=*/false, &errors);
  LeaveOneOut fit;
  fit.op = table.op();
  fit.points = static_cast<int>(errors.size());
  fit.median_spread = Median({table.spread().begin(), table.spread().end()});
  if (errors.empty()) return fit;
  fit.worst_error = *std::max_element(errors.begin(), errors.end());
  fit.median_error = Median(std::move(errors));
  return fit;
}

GridPlace PlaceInGrid(const Scenario& scenario) {
  std::set<std::string> on_grid, outside;
  for (const OpTable& table : scenario.hardware().measured_ops().tables()) {
    const OpCurve curve(table);
    for (const Use& use : UsesOf(scenario)) {
      if (use.op != table.op()) continue;
      const std::string name =
          absl::StrFormat("%s at %g, batch %g", OpTable::Op_Name(use.op), use.x, use.batch);
      if (IsOnGrid(table, use)) on_grid.insert(name);
      if (!curve.Covers(use.x, use.batch)) outside.insert(name);
    }
  }
  return {{on_grid.begin(), on_grid.end()}, {outside.begin(), outside.end()}};
}

}  // namespace tierscope
