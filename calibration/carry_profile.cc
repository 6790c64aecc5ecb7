#include "calibration/carry_profile.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

#include "calibration/device_profile.h"
#include "sim/base/status_macros.h"
#include "sim/model/measured_ops.h"

namespace tierscope {
namespace {

struct Peaks {
  double flop_per_s, bytes_per_s;
};

Peaks PeaksOf(const Hardware& hardware) {
  return {hardware.bf16_flop_per_s(), static_cast<double>(hardware.hbm_bytes_per_s())};
}

// What the host does: as it was measured, whatever the device.
bool IsOfTheHost(const OpTable& table) {
  return table.op() == OpTable::PUBLISH || table.op() == OpTable::ENGINE ||
         table.op() == OpTable::LAUNCH || table.op() == OpTable::GRAPH_LAUNCH;
}

double RoofUs(const OpTable& table, int point, const Peaks& peaks) {
  return 1e6 *
         std::max(table.flop(point) / peaks.flop_per_s, table.bytes(point) / peaks.bytes_per_s);
}

// What the line through the two points of least work leaves at none, at least 0 and at most the
// time of the first.
double FloorUs(const OpTable& table, const Peaks& peaks) {
  if (IsOfTheHost(table)) return 0.0;
  int first = 0;
  for (int i = 1; i < table.us_size(); ++i) {
    if (RoofUs(table, i, peaks) < RoofUs(table, first, peaks)) first = i;
  }
  int second = -1;
  for (int i = 0; i < table.us_size(); ++i) {
    if (RoofUs(table, i, peaks) <= RoofUs(table, first, peaks) * (1.0 + 1e-9)) continue;
    if (second < 0 || RoofUs(table, i, peaks) < RoofUs(table, second, peaks)) second = i;
  }
  if (second < 0) return 0.0;
  const double work = RoofUs(table, first, peaks);
  const double slope = (table.us(second) - table.us(first)) / (RoofUs(table, second, peaks) - work);
  return std::clamp(table.us(first) - slope * work, 0.0, table.us(first));
}

double Ratio(const OpTable& table, int point, const Peaks& from, const Peaks& to) {
  if (IsOfTheHost(table)) return 1.0;
  return RoofUs(table, point, to) / RoofUs(table, point, from);
}

absl::Status CheckSource(const Hardware& source) {
  if (!source.has_measured_ops()) {
    return absl::InvalidArgumentError(
        "--carry: is no measured profile; give one that calibrate --backend wrote");
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckProfileUnchanged(source));
  for (const OpTable& table : source.measured_ops().tables()) {
    if (IsOfTheHost(table)) continue;
    const bool known =
        table.flop_size() == table.us_size() && table.bytes_size() == table.us_size();
    const bool some = known && std::all_of(table.bytes().begin(), table.bytes().end(),
                                           [](double bytes) { return bytes > 0.0; });
    if (some) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--carry: the table of ", OpTable::Op_Name(table.op()),
        " does not say what its points have to do; measure the profile again with this version"));
  }
  return absl::OkStatus();
}

absl::Status CheckPeaks(const Hardware& hardware) {
  if (hardware.bf16_flop_per_s() > 0 && hardware.hbm_bytes_per_s() > 0 &&
      hardware.host_link().peak_bytes_per_s() > 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--carry: ", hardware.gpu(),
      " has no bf16_flop_per_s, hbm_bytes_per_s or host_link.peak_bytes_per_s to carry "
      "by; give a preset that has"));
}

int64_t Scaled(int64_t rate, double ratio) {
  return std::max<int64_t>(1, std::llround(static_cast<double>(rate) * ratio));
}

// The source's curve under the target's peak. A preset's other rates stay as the source has them.
Link CarriedLink(const Link& source, const Link& source_peaks, const Link& target) {
  const double ratio = static_cast<double>(target.peak_bytes_per_s()) /
                       static_cast<double>(source_peaks.peak_bytes_per_s());
  Link link = source;
  for (CopyPoint& point : *link.mutable_batched_copy()) {
    point.set_bytes_per_s(Scaled(point.bytes_per_s(), ratio));
  }
  link.set_peak_bytes_per_s(Scaled(source.peak_bytes_per_s(), ratio));
  link.set_device_to_host_bytes_per_s(Scaled(source.device_to_host_bytes_per_s(), ratio));
  link.set_gather_bytes_per_s(Scaled(source.gather_bytes_per_s(), ratio));
  link.set_pageable_bytes_per_s(Scaled(source.pageable_bytes_per_s(), ratio));
  return link;
}

}  // namespace

absl::StatusOr<Hardware> CarryProfile(const Hardware& source, const Hardware& source_peaks,
                                      const Hardware& target) {
  TIERSCOPE_RETURN_IF_ERROR(CheckSource(source));
  TIERSCOPE_RETURN_IF_ERROR(CheckPeaks(source_peaks));
  TIERSCOPE_RETURN_IF_ERROR(CheckPeaks(target));
  const Peaks from = PeaksOf(source_peaks), to = PeaksOf(target);
  Hardware carried = source;
  carried.set_gpu(target.gpu());
  carried.set_hbm_bytes(target.hbm_bytes());
  carried.set_hbm_bytes_per_s(target.hbm_bytes_per_s());
  carried.set_bf16_flop_per_s(target.bf16_flop_per_s());
  carried.set_fp8_flop_per_s(target.fp8_flop_per_s());
  *carried.mutable_host_link() =
      CarriedLink(source.host_link(), source_peaks.host_link(), target.host_link());
  MeasuredOps* ops = carried.mutable_measured_ops();
  ops->set_device(target.gpu());
  for (OpTable& table : *ops->mutable_tables()) {
    const double floor_us = FloorUs(table, from);
    for (int i = 0; i < table.us_size(); ++i) {
      table.set_us(i, floor_us + (table.us(i) - floor_us) * Ratio(table, i, from, to));
    }
  }
  SealProfile(
      absl::StrCat("carried by efficiencies, not measured, from ", source.measured_ops().device(),
                   ", profile ", source.measured_ops().sha256()),
      &carried);
  return carried;
}

std::vector<CarriedOp> CarriedOps(const Hardware& source, const Hardware& source_peaks,
                                  const Hardware& target, const Hardware& carried) {
  const Peaks from = PeaksOf(source_peaks), to = PeaksOf(target);
  std::vector<CarriedOp> ops;
  for (int t = 0; t < source.measured_ops().tables_size(); ++t) {
    const OpTable& table = source.measured_ops().tables(t);
    CarriedOp op;
    op.op = table.op();
    op.floor_us = FloorUs(table, from);
    op.ratio_least = op.ratio_most = Ratio(table, 0, from, to);
    for (int i = 1; i < table.us_size(); ++i) {
      op.ratio_least = std::min(op.ratio_least, Ratio(table, i, from, to));
      op.ratio_most = std::max(op.ratio_most, Ratio(table, i, from, to));
    }
    const OpCurve curve(carried.measured_ops().tables(t));
    std::vector<double> signed_errors, errors;
    for (const OpTable& measured : target.measured_ops().tables()) {
      if (measured.op() != table.op()) continue;
      for (int i = 0; i < measured.us_size(); ++i) {
        const double us = 1e-3 * curve.Ns(measured.x(i % measured.x_size()),
                                          measured.batch(i / measured.x_size()));
        signed_errors.push_back(us / measured.us(i) - 1.0);
        errors.push_back(std::abs(signed_errors.back()));
      }
    }
    op.points = static_cast<int>(errors.size());
    if (op.points > 0) {
      const auto middle = static_cast<ptrdiff_t>(errors.size() / 2);
      std::sort(errors.begin(), errors.end());
      std::sort(signed_errors.begin(), signed_errors.end());
      op.median_error = errors[static_cast<size_t>(middle)];
      op.worst_error = errors.back();
      op.bias = signed_errors[static_cast<size_t>(middle)];
    }
    ops.push_back(op);
  }
  return ops;
}

}  // namespace tierscope
