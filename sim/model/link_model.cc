#include "sim/model/link_model.h"

#include <algorithm>
#include <map>

#include "sim/base/det_math.h"

namespace tierscope {
namespace {

// y at x on the line through (x0, y0) and (x1, y1), all axes logarithmic.
double LogInterpolate(double x0, double y0, double x1, double y1, double x) {
  const double t = DetLog(x / x0) / DetLog(x1 / x0);
  return y0 * DetExp(t * DetLog(y1 / y0));
}

}  // namespace

LinkModel::LinkModel(const Link& link) : peak_(static_cast<double>(link.peak_bytes_per_s())) {
  std::map<int64_t, std::map<int64_t, int64_t>> table;
  for (const CopyPoint& point : link.batched_copy()) {
    table[point.descriptors()][point.piece_bytes()] = point.bytes_per_s();
  }
  for (const auto& [descriptors, points] : table) {
    Row row{static_cast<double>(descriptors), {}};
    for (const auto& [piece, rate] : points) {
      row.points.push_back({static_cast<double>(piece), static_cast<double>(rate)});
    }
    rows_.push_back(std::move(row));
  }
}

double LinkModel::RowRate(const Row& row, double piece) const {
  const Point& first = row.points.front();
  const Point& last = row.points.back();
  if (piece <= first.piece) return first.rate * piece / first.piece;
  if (piece >= last.piece) {
    const double overhead_s = std::max(0.0, last.piece / last.rate - last.piece / peak_);
    return piece / (overhead_s + piece / peak_);
  }
  const auto above = std::lower_bound(row.points.begin(), row.points.end(), piece,
                                      [](const Point& p, double x) { return p.piece < x; });
  const auto below = std::prev(above);
  return LogInterpolate(below->piece, below->rate, above->piece, above->rate, piece);
}

double LinkModel::BatchedCopyRate(int64_t piece_bytes, int64_t descriptors) const {
  if (rows_.empty()) return peak_;
  const auto piece = static_cast<double>(piece_bytes);
  const auto count = static_cast<double>(descriptors);
  if (count <= rows_.front().descriptors) return RowRate(rows_.front(), piece);
  if (count >= rows_.back().descriptors) return RowRate(rows_.back(), piece);
  const auto above = std::lower_bound(rows_.begin(), rows_.end(), count,
                                      [](const Row& row, double x) { return row.descriptors < x; });
  const auto below = std::prev(above);
  return LogInterpolate(below->descriptors, RowRate(*below, piece), above->descriptors,
                        RowRate(*above, piece), count);
}

}  // namespace tierscope
