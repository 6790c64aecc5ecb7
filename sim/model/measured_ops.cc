#include "sim/model/measured_ops.h"

#include <algorithm>
#include <cmath>

#include "sim/base/det_math.h"
#include "sim/model/attention_tiles.h"

namespace tierscope {
namespace {

constexpr double kNsPerUs = 1e3;

std::vector<double> Logs(const google::protobuf::RepeatedField<double>& values) {
  std::vector<double> logs;
  logs.reserve(static_cast<size_t>(values.size()));
  for (const double value : values) logs.push_back(DetLog(value));
  return logs;
}

// Where a value stands on an axis: between its points `low` and `low + 1`, `share` of the way,
// below 0 or above 1 outside. An axis of one point is flat.
struct Place {
  size_t low = 0;
  double share = 0.0;
};
Place PlaceOn(const std::vector<double>& axis, double value) {
  if (axis.size() < 2) return {};
  const auto above = std::upper_bound(axis.begin() + 1, axis.end() - 1, value);
  const auto low = static_cast<size_t>(above - axis.begin()) - 1;
  return {low, (value - axis[low]) / (axis[low + 1] - axis[low])};
}

bool Within(const std::vector<double>& axis, double value) {
  constexpr double kRounding = 1e-9;
  return axis.size() < 2 || (value >= axis.front() - kRounding && value <= axis.back() + kRounding);
}

}  // namespace

OpCurve::OpCurve(const OpTable& table)
    : x_(Logs(table.x())), batch_(Logs(table.batch())), us_(Logs(table.us())) {}

double OpCurve::Ns(double x, double batch) const {
  if (us_.empty() || x <= 0.0 || batch <= 0.0) return 0.0;
  const Place column = PlaceOn(x_, DetLog(x));
  const Place row = PlaceOn(batch_, DetLog(batch));
  const auto along = [&](size_t at_row) {
    const double* us = &us_[at_row * x_.size()];
    if (x_.size() < 2) return us[0];
    return us[column.low] + column.share * (us[column.low + 1] - us[column.low]);
  };
  double log_us = along(row.low);
  if (batch_.size() > 1) log_us += row.share * (along(row.low + 1) - log_us);
  return kNsPerUs * DetExp(log_us);
}

bool OpCurve::Covers(double x, double batch) const {
  if (us_.empty() || x <= 0.0 || batch <= 0.0) return true;
  return Within(x_, DetLog(x)) && Within(batch_, DetLog(batch));
}

MeasuredOpModel::MeasuredOpModel(const Scenario& scenario)
    : csa_layers_(scenario.model().csa_layers()),
      hca_layers_(scenario.model().hca_layers()),
      swa_layers_(scenario.model().swa_layers()),
      top_k_(scenario.model().top_k()),
      window_(scenario.model().window_tokens()),
      hca_entries_per_token_(1.0 / scenario.model().hca_tokens_per_entry()),
      page_entries_(scenario.model().page_entries()),
      tile_(AttentionTile(scenario.hardware().measured_ops())) {
  for (const OpTable& table : scenario.hardware().measured_ops().tables()) {
    curves_[static_cast<size_t>(table.op())] = OpCurve(table);
  }
}

MeasuredOpModel::StepPoints MeasuredOpModel::PointsOf(const BatchWork& work) const {
  const double n = std::max(1, work.requests);
  const double active = static_cast<double>(work.scored_entries) / n;
  const double history = static_cast<double>(work.context_tokens) / n * hca_entries_per_token_;
  return {static_cast<double>(work.requests), active,
          InWholeTiles(std::min(active, top_k_) + window_, tile_),
          InWholeTiles(std::floor(history) + window_, tile_)};
}

StepParts MeasuredOpModel::Step(const BatchWork& work) const {
  const StepPoints at = PointsOf(work);
  StepParts parts;
  parts.ballast_ns = Of(OpTable::BALLAST).Ns(1.0, at.requests);
  parts.native_score_ns = csa_layers_ * Of(OpTable::NATIVE_SCORE).Ns(at.active, at.requests);
  parts.native_top_k_ns = csa_layers_ * Of(OpTable::NATIVE_TOP_K).Ns(at.active, at.requests);
  parts.csa_attention_ns = csa_layers_ * Of(OpTable::CSA_ATTENTION).Ns(at.csa, at.requests);
  parts.hca_attention_ns = hca_layers_ * Of(OpTable::HCA_ATTENTION).Ns(at.hca, at.requests);
  parts.swa_attention_ns =
      swa_layers_ * Of(OpTable::CSA_ATTENTION).Ns(InWholeTiles(window_, tile_), at.requests);
  parts.engine_ns = Of(OpTable::ENGINE).Ns(1.0, at.requests);
  return parts;
}

Level1Parts MeasuredOpModel::Level1(const Level1Work& work) const {
  const double n = work.requests;
  if (n <= 0.0) return {};
  const double entries = static_cast<double>(work.entries) / n;
  return {Of(OpTable::SCORE).Ns(entries, n), Of(OpTable::SELECT).Ns(entries / page_entries_, n)};
}

double MeasuredOpModel::PublishNs(double pages, double requests) const {
  return Of(OpTable::PUBLISH).Ns(pages, requests);
}

bool MeasuredOpModel::Covers(const BatchWork& work) const {
  const StepPoints at = PointsOf(work);
  return Of(OpTable::BALLAST).Covers(1.0, at.requests) &&
         Of(OpTable::NATIVE_SCORE).Covers(at.active, at.requests) &&
         Of(OpTable::NATIVE_TOP_K).Covers(at.active, at.requests) &&
         Of(OpTable::CSA_ATTENTION).Covers(at.csa, at.requests) &&
         Of(OpTable::HCA_ATTENTION).Covers(at.hca, at.requests) &&
         Of(OpTable::ENGINE).Covers(1.0, at.requests);
}

bool MeasuredOpModel::Covers(const Level1Work& work) const {
  const double n = work.requests;
  if (n <= 0.0) return true;
  const double entries = static_cast<double>(work.entries) / n;
  return Of(OpTable::SCORE).Covers(entries, n) &&
         Of(OpTable::SELECT).Covers(entries / page_entries_, n);
}

}  // namespace tierscope
