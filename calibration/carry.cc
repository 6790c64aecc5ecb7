#include "calibration/carry.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tierscope {
namespace {

constexpr double kScoringFlop = 64 * 258;           // per query and entry
constexpr double kBlockFlop = 64.0 * 64 * 4 * 512;  // 64 heads, 64 entries, QK and PV of 512
constexpr double kNsPerUs = 1e3;

double PerSm(double peak_flop_per_ns, const CardRates& rates) {
  return peak_flop_per_ns / rates.sm_count;
}

}  // namespace

double CarriedEfficiency(double efficiency, double from_peak, const CardRates& from, double to_peak,
                         const CardRates& to, double reach) {
  return std::min(efficiency * PerSm(from_peak, from) / PerSm(to_peak, to), reach);
}

void CarryMissing(const CarrySource& from, const Card& to, const TensorReach& reach,
                  KernelCalibration* kernels) {
  const CardRates& a = from.card.rates;
  const CardRates& b = to.rates;
  const KernelCalibration& source = from.kernels;
  std::vector<std::string> carried;
  const auto efficiency = [&](double of, bool fp8, double limit) {
    return fp8 ? CarriedEfficiency(of, a.fp8_flop_per_ns, a, b.fp8_flop_per_ns, b, limit)
               : CarriedEfficiency(of, a.bf16_flop_per_ns, a, b.bf16_flop_per_ns, b, limit);
  };
  if (!kernels->has_gemm_fp8()) {
    *kernels->mutable_gemm_fp8() = source.gemm_fp8();
    kernels->mutable_gemm_fp8()->set_compute_efficiency(
        efficiency(source.gemm_fp8().compute_efficiency(), true, reach.gemm));
    carried.push_back("GEMM FP8");
  }
  if (!kernels->has_gemm_bf16()) {
    *kernels->mutable_gemm_bf16() = source.gemm_bf16();
    kernels->mutable_gemm_bf16()->set_compute_efficiency(
        efficiency(source.gemm_bf16().compute_efficiency(), false, reach.gemm));
    carried.push_back("GEMM BF16");
  }
  if (!kernels->has_moe()) {
    *kernels->mutable_moe() = source.moe();
    kernels->mutable_moe()->set_compute_efficiency(
        efficiency(source.moe().compute_efficiency(), true, reach.experts));
    carried.push_back("MoE");
  }
  if (!kernels->has_scoring()) {
    *kernels->mutable_scoring() = source.scoring();
    kernels->mutable_scoring()->set_entry_ns(std::max(
        source.scoring().entry_ns(), kScoringFlop / (reach.gemm * PerSm(b.fp8_flop_per_ns, b))));
    carried.push_back("scoring");
  }
  if (kernels->top_k().empty()) {
    *kernels->mutable_top_k() = source.top_k();
    carried.push_back("top-k");
  }
  if (!kernels->has_attention()) {
    AttentionKernel* attention = kernels->mutable_attention();
    *attention = source.attention();
    attention->set_block_us(
        std::max(attention->block_us(),
                 kBlockFlop / (reach.attention * PerSm(b.bf16_flop_per_ns, b)) / kNsPerUs));
    attention->set_split_traffic_us(attention->split_traffic_us() * a.hbm_bytes_per_ns /
                                    b.hbm_bytes_per_ns);
    carried.push_back("attention");
  }
  if (!kernels->has_csa_layer()) {
    *kernels->mutable_csa_layer() = source.csa_layer();
    *kernels->mutable_hca_layer() = source.hca_layer();
    carried.push_back("glue of the layers");
  }
  if (!kernels->has_all_reduce()) {
    *kernels->mutable_all_reduce() = source.all_reduce();
    carried.push_back("all-reduce");
  }
  if (!carried.empty()) {
    kernels->set_carried(absl::StrCat(absl::StrJoin(carried, ", "), " from ", source.device()));
  }
}

}  // namespace tierscope
