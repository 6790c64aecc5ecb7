#include "calibration/infersim.h"

#include <algorithm>
#include <cmath>

#include "calibration/aiconfigurator.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr double kNsPerUs = 1e3;
constexpr double kTileRows = 64;
constexpr int kDraws = 12;  // points of the uniform draw from 0.7 to 1.3
constexpr double kFewGroups = 4;

struct GroupedRow {
  double groups, n, k;
  double tokens;         // of a group, on average
  double tiles, filled;  // expected tiles of a group, and its chance to have a token
};

// Tiles and chance of a group whose token count is drawn around `tokens` and cut to whole tokens.
void Draw(GroupedRow* row) {
  for (int i = 0; i < kDraws; ++i) {
    const double drawn = std::floor(row->tokens * (0.7 + 0.6 * (i + 0.5) / kDraws) + 1e-9);
    row->tiles += std::ceil(drawn / kTileRows) / kDraws;
    row->filled += (drawn > 0 ? 1.0 : 0.0) / kDraws;
  }
}

struct GroupedKernel {
  double floor_us, memory_efficiency, compute_efficiency, tile_fraction;
};

GroupedKernel GroupedFrom(const std::vector<double>& values) {
  return {values[0], values[1], values[2], values[3]};
}

double GroupedNs(const GroupedKernel& kernel, const GroupedRow& row, const CardRates& rates) {
  const double bytes = row.groups * row.filled * row.n * row.k;
  const double rows = row.groups * (kernel.tile_fraction * row.tiles * kTileRows +
                                    (1.0 - kernel.tile_fraction) * row.tokens);
  return kernel.floor_us * kNsPerUs +
         SoftRoof(2.0 * rows * row.n * row.k / (kernel.compute_efficiency * rates.fp8_flop_per_ns),
                  bytes / (kernel.memory_efficiency * rates.hbm_bytes_per_ns));
}

struct MlaKernel {
  double floor_us, compute_efficiency;
};

struct MlaRow {
  double flop;
  double busy;  // fraction of the SMs that work, on average
};

// 128 heads take two SMs. Fewer requests than such pairs are split evenly as often as they fit;
// more take turns, and the last turn is not full.
double BusyFraction(double requests, const CardRates& rates) {
  const double pairs = std::floor(rates.sm_count / 2.0);
  const double parts = requests * std::max(1.0, std::floor(pairs / requests));
  return parts / (pairs * std::ceil(parts / pairs));
}

}  // namespace

absl::StatusOr<Family> ReadInferSimGemm(const std::string& path, const Card& card) {
  TIERSCOPE_ASSIGN_OR_RETURN(const KernelTable table,
                             KernelTable::Read(path, {"m", "k", "n", "latency_us", "mfu"}));
  TIERSCOPE_RETURN_IF_ERROR(CheckDevice(table, card));
  TimedRows<GemmWork> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    Cells cells(table, row);
    const GemmWork work = {cells.Positive("m"), cells.Positive("n"), cells.Positive("k"), 1, 1.0};
    const double us = cells.Positive("latency_us"), mfu = cells["mfu"];
    TIERSCOPE_RETURN_IF_ERROR(cells.status());
    const double flop = 2.0 * work.m * work.n * work.k;
    TIERSCOPE_RETURN_IF_ERROR(
        CheckMfu(table, row, flop, us, mfu, card.rates.fp8_flop_per_ns, card));
    rows.Add(work, us);
  }
  return MakeFamily("GEMM FP8", table,
                    {{"floor_us", 3.0, 0.5, 20.0},
                     {"ns_per_k", 0.5, 0.001, 10.0},
                     {"memory_efficiency", 0.8, 0.2, 1.0},
                     {"compute_efficiency", 0.6, 0.05, 1.0}},
                    std::move(rows), "", &GemmFrom,
                    [card](const GemmKernel& kernel, const GemmWork& row) {
                      return GemmNs(kernel, row, card.rates);
                    });
}

absl::StatusOr<Family> ReadGroupedGemm(const std::string& path, const Card& card, bool few_groups) {
  TIERSCOPE_ASSIGN_OR_RETURN(
      const KernelTable table,
      KernelTable::Read(path, {"num_local_experts", "hidden_size", "intermediate_size",
                               "tokens_per_expert", "up_proj_us", "down_proj_us"}));
  TIERSCOPE_RETURN_IF_ERROR(CheckDevice(table, card));
  TimedRows<GroupedRow> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    Cells cells(table, row);
    const double groups = cells.Positive("num_local_experts");
    const double hidden = cells.Positive("hidden_size");
    const double inner = cells.Positive("intermediate_size");
    const double up_us = cells.Positive("up_proj_us"), down_us = cells.Positive("down_proj_us");
    GroupedRow up = {groups, 2.0 * inner, hidden, cells.Positive("tokens_per_expert"), 0.0, 0.0};
    TIERSCOPE_RETURN_IF_ERROR(cells.status());
    if ((groups < kFewGroups) != few_groups) continue;
    Draw(&up);
    GroupedRow down = up;
    down.n = hidden;
    down.k = inner;
    rows.Add(up, up_us);
    rows.Add(down, down_us);
  }
  return MakeFamily(few_groups ? "grouped GEMM, 1 to 3 groups" : "grouped GEMM", table,
                    {{"floor_us", 5.0, 0.5, 50.0},
                     {"memory_efficiency", 0.8, 0.2, 1.0},
                     {"compute_efficiency", 0.7, 0.05, 1.0},
                     {"tile_fraction", 0.5, 0.001, 1.0}},
                    std::move(rows),
                    few_groups ? "not fitted: tokens of a group are drawn at random and not in the "
                                 "table"
                               : "4 groups and more",
                    &GroupedFrom, [card](const GroupedKernel& kernel, const GroupedRow& row) {
                      return GroupedNs(kernel, row, card.rates);
                    });
}

absl::StatusOr<Family> ReadMla(const std::string& path, const Card& card) {
  TIERSCOPE_ASSIGN_OR_RETURN(
      const KernelTable table,
      KernelTable::Read(path, {"dtype", "batch_size", "kv_len", "latency_us", "mfu"}));
  TIERSCOPE_RETURN_IF_ERROR(CheckDevice(table, card));
  constexpr double kHeads = 128, kQueryDim = 576, kValueDim = 512;  // the file's name has them
  TimedRows<MlaRow> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    Cells cells(table, row);
    const double requests = cells.Positive("batch_size");
    const double flop =
        2.0 * kHeads * (kQueryDim + kValueDim) * requests * cells.Positive("kv_len");
    const double us = cells.Positive("latency_us"), mfu = cells["mfu"];
    TIERSCOPE_RETURN_IF_ERROR(cells.status());
    TIERSCOPE_RETURN_IF_ERROR(
        CheckMfu(table, row, flop, us, mfu, card.rates.bf16_flop_per_ns, card));
    rows.Add({flop, BusyFraction(requests, card.rates)}, us);
  }
  return MakeFamily(
      "MLA decode", table, {{"floor_us", 15.0, 1.0, 100.0}, {"compute_efficiency", 0.7, 0.1, 1.0}},
      std::move(rows), "",
      [](const std::vector<double>& values) {
        return MlaKernel{values[0], values[1]};
      },
      [card](const MlaKernel& kernel, const MlaRow& row) {
        return kernel.floor_us * kNsPerUs +
               row.flop / (kernel.compute_efficiency * row.busy * card.rates.bf16_flop_per_ns);
      });
}

}  // namespace tierscope
