// What hardware.measured_ops must hold.
#include <set>

#include "absl/strings/str_cat.h"
#include "google/protobuf/repeated_field.h"

#include "scenarios/validate_parts.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr char kPath[] = "hardware.measured_ops";

bool Rises(const google::protobuf::RepeatedField<double>& axis) {
  for (int i = 1; i < axis.size(); ++i) {
    if (axis[i] <= axis[i - 1]) return false;
  }
  return !axis.empty();
}

absl::Status CheckTable(const OpTable& table, const std::string& path, const Origins& origins) {
  if (!table.has_op()) return origins.Error(path + ".op", "is not given; name the op");
  if (!Rises(table.x())) return origins.Error(path + ".x", "is empty or does not rise; sort it");
  if (!Rises(table.batch())) {
    return origins.Error(path + ".batch", "is empty or does not rise; sort it");
  }
  const int points = table.x_size() * table.batch_size();
  if (table.us_size() != points) {
    return origins.Error(path + ".us", absl::StrCat("has ", table.us_size(), " values for ", points,
                                                    " points of x and batch; give one a point"));
  }
  if (table.spread_size() != 0 && table.spread_size() != points) {
    return origins.Error(path + ".spread",
                         absl::StrCat("has ", table.spread_size(), " values for ", points,
                                      " points of x and batch; give one a point, or none"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckMeasuredOps(const Scenario& scenario, const Origins& origins) {
  const MeasuredOps& ops = scenario.hardware().measured_ops();
  std::set<OpTable::Op> given;
  for (int i = 0; i < ops.tables_size(); ++i) {
    const std::string path = absl::StrCat(kPath, ".tables[", i, "]");
    TIERSCOPE_RETURN_IF_ERROR(CheckTable(ops.tables(i), path, origins));
    if (!given.insert(ops.tables(i).op()).second) {
      return origins.Error(path + ".op", absl::StrCat(OpTable::Op_Name(ops.tables(i).op()),
                                                      " has a table already; remove one of them"));
    }
  }
  for (const OpTable::Op op : {OpTable::BALLAST, OpTable::NATIVE_SCORE, OpTable::NATIVE_TOP_K,
                               OpTable::CSA_ATTENTION, OpTable::HCA_ATTENTION, OpTable::SCORE}) {
    if (given.count(op) > 0) continue;
    return origins.Error(absl::StrCat(kPath, ".tables"),
                         absl::StrCat("has none of ", OpTable::Op_Name(op),
                                      "; measure it with tierscope calibrate --backend"));
  }
  return absl::OkStatus();
}

}  // namespace tierscope
