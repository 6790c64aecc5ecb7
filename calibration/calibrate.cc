#include "calibration/calibrate.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "calibration/aiconfigurator.h"
#include "calibration/calibration_text.h"
#include "calibration/carry.h"
#include "calibration/infersim.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

namespace fs = std::filesystem;

// Rows that a low-bit expert costs besides its tokens: the smallest tile of tensor cores. No table
// has such kernels.
constexpr double kLowBitTileRows = 16.0;

class Calibration {
 public:
  explicit Calibration(const CalibrationRequest& request) : request_(request) {}

  absl::StatusOr<CalibrationOutcome> Run() {
    TIERSCOPE_RETURN_IF_ERROR(ListTables());
    KernelCalibration* kernels = outcome_.file.mutable_kernels();
    kernels->set_device(request_.card.name);
    kernels->set_sm_count(static_cast<int32_t>(request_.card.rates.sm_count));
    TIERSCOPE_RETURN_IF_ERROR(FitAiconfigurator(kernels));
    TIERSCOPE_RETURN_IF_ERROR(FitInferSim(kernels));
    if (outcome_.file.fits().empty()) {
      return absl::NotFoundError(absl::StrCat(
          request_.folder, ": no kernel table here; names end as in calibration/README.md"));
    }
    TIERSCOPE_RETURN_IF_ERROR(Complete(kernels));
    RoundForText(&outcome_.file);
    for (const auto& [name, used] : tables_) {
      if (!used) outcome_.unused.push_back(name);
    }
    return std::move(outcome_);
  }

 private:
  absl::Status ListTables() {
    std::error_code error;
    for (fs::directory_iterator it(request_.folder, error), end; !error && it != end;
         it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (absl::EndsWith(name, ".csv")) tables_.emplace(name, false);
    }
    if (!error) return absl::OkStatus();
    return absl::NotFoundError(
        absl::StrCat(request_.folder, ": cannot be listed; give a folder of CSV tables"));
  }

  // The path of the first table whose name ends so and is not the ending itself (InferSim's
  // gemm.csv is not aiconfigurator's *_gemm.csv); empty when there is none.
  std::string Find(const std::string& ending, bool whole_name) {
    for (auto& [name, used] : tables_) {
      if (!absl::EndsWith(name, ending) || (name == ending) != whole_name) continue;
      used = true;
      return (fs::path(request_.folder) / name).string();
    }
    return "";
  }

  absl::Status NoteTable(const std::string& path) {
    const std::string name = fs::path(path).filename().string();
    for (const CalibrationTable& table : outcome_.file.tables()) {
      if (table.name() == name) return absl::OkStatus();
    }
    TIERSCOPE_ASSIGN_OR_RETURN(const KernelTable table, KernelTable::Read(path, {}));
    CalibrationTable* noted = outcome_.file.add_tables();
    noted->set_name(name);
    noted->set_sha256(table.sha256());
    noted->set_rows(static_cast<int32_t>(table.rows()));
    return absl::OkStatus();
  }

  // Fits the family of a table, notes errors and table, and hands the values to `use`.
  absl::Status Fit(const std::string& path, const absl::StatusOr<Family>& family,
                   const std::function<void(const std::vector<double>&)>& use,
                   bool values_kept_elsewhere = false) {
    TIERSCOPE_RETURN_IF_ERROR(family.status());
    TIERSCOPE_ASSIGN_OR_RETURN(const FittedFamily fitted, FitFamily(*family));
    TIERSCOPE_RETURN_IF_ERROR(NoteTable(path));
    FamilyFit* fit = outcome_.file.add_fits();
    *fit = Describe(*family, request_.card.name, fitted.errors, fitted.rows_fitted);
    if (values_kept_elsewhere) {
      std::vector<std::string> values;
      for (size_t i = 0; i < fitted.values.size(); ++i) {
        values.push_back(absl::StrFormat("%s %.4g", family->parameters[i].name, fitted.values[i]));
      }
      fit->set_values(absl::StrJoin(values, ", "));
    }
    use(fitted.values);
    return absl::OkStatus();
  }

  absl::Status FitAiconfigurator(KernelCalibration* kernels);
  absl::Status FitTopK(KernelCalibration* kernels);
  absl::Status FitLayers(KernelCalibration* kernels);
  absl::Status FitInferSim(KernelCalibration* kernels);
  absl::Status CheckCarriedGemm(const Family& family);
  absl::Status Complete(KernelCalibration* kernels);

  const CalibrationRequest& request_;
  CalibrationOutcome outcome_;
  std::map<std::string, bool> tables_;  // name -> read by a family
  TensorReach reach_;
};

absl::Status Calibration::FitAiconfigurator(KernelCalibration* kernels) {
  const Card& card = request_.card;
  if (const std::string path = Find("_gemm.csv", false); !path.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(Fit(path, ReadGemm(path, card, "fp8_block"), [&](const auto& v) {
      *kernels->mutable_gemm_fp8() = GemmFrom(v);
    }));
    TIERSCOPE_RETURN_IF_ERROR(Fit(path, ReadGemm(path, card, "bfloat16"), [&](const auto& v) {
      *kernels->mutable_gemm_bf16() = GemmFrom(v);
    }));
  }
  if (const std::string path = Find("_moe.csv", false); !path.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(Fit(path, ReadMoe(path, card), [&](const auto& v) {
      *kernels->mutable_moe() = MoeFrom(v);
      kernels->mutable_moe()->set_tile_rows_low_bit(kLowBitTileRows);
    }));
  }
  if (const std::string path = Find("_dsv4_paged_mqa_logits_module.csv", false); !path.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(Fit(path, ReadScoring(path, card), [&](const auto& v) {
      *kernels->mutable_scoring() = ScoringFrom(v);
    }));
  }
  TIERSCOPE_RETURN_IF_ERROR(FitTopK(kernels));
  if (const std::string path = Find("_dsv4_hca_attn_module.csv", false); !path.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(Fit(path, ReadAttention(path, card), [&](const auto& v) {
      *kernels->mutable_attention() = AttentionFrom(v);
    }));
  }
  if (const std::string path = Find("_allreduce.csv", false); !path.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(Fit(path, ReadAllReduce(path, card), [&](const auto& v) {
      *kernels->mutable_all_reduce() = AllReduceFrom(v);
    }));
  }
  return FitLayers(kernels);
}

absl::Status Calibration::FitTopK(KernelCalibration* kernels) {
  const std::string path = Find("_dsv4_csa_topk_calib.csv", false);
  if (path.empty()) return absl::OkStatus();
  for (const int32_t k : {512, 1024}) {
    for (const auto version : {TopKKernel::V1, TopKKernel::V2}) {
      for (const auto scores : {TopKKernel::FLAT, TopKKernel::PEAKED}) {
        TopKKernel which;
        which.set_k(k);
        which.set_version(version);
        which.set_scores(scores);
        TIERSCOPE_RETURN_IF_ERROR(
            Fit(path, ReadTopK(path, request_.card, which),
                [&](const auto& v) { *kernels->add_top_k() = TopKFrom(which, v); }));
      }
    }
  }
  return absl::OkStatus();
}

// A layer is composed of everything else, which must have been fitted here.
absl::Status Calibration::FitLayers(KernelCalibration* kernels) {
  const std::string csa = Find("_dsv4_csa_generation_module.csv", false);
  const std::string hca = Find("_dsv4_hca_generation_module.csv", false);
  const bool parts = kernels->has_gemm_fp8() && kernels->has_scoring() &&
                     kernels->top_k_size() > 0 && kernels->has_attention();
  if (csa.empty() || hca.empty() || !parts) return absl::OkStatus();
  TIERSCOPE_RETURN_IF_ERROR(
      Fit(csa, ReadLayer(csa, request_.card, *kernels, true),
          [&](const auto& v) { *kernels->mutable_csa_layer() = GlueFrom(v); }));
  return Fit(hca, ReadLayer(hca, request_.card, *kernels, false),
             [&](const auto& v) { *kernels->mutable_hca_layer() = GlueFrom(v); });
}

absl::Status Calibration::FitInferSim(KernelCalibration* kernels) {
  const Card& card = request_.card;
  if (const std::string path = Find("gemm.csv", true); !path.empty()) {
    const absl::StatusOr<Family> family = ReadInferSimGemm(path, card);
    TIERSCOPE_RETURN_IF_ERROR(Fit(path, family, [&](const auto& v) {
      *kernels->mutable_gemm_fp8() = GemmFrom(v);
      reach_.gemm = kernels->gemm_fp8().compute_efficiency();
    }));
    TIERSCOPE_RETURN_IF_ERROR(CheckCarriedGemm(*family));
  }
  if (const std::string path = Find("grouped_gemm_decode.csv", true); !path.empty()) {
    std::vector<double> values;
    TIERSCOPE_RETURN_IF_ERROR(Fit(
        path, ReadGroupedGemm(path, card, false),
        [&](const auto& v) {
          values = v;
          reach_.experts = v[2];
        },
        true));
    const absl::StatusOr<Family> few = ReadGroupedGemm(path, card, true);
    TIERSCOPE_RETURN_IF_ERROR(few.status());
    if (!few->measured_us.empty()) {
      *outcome_.file.add_fits() = Describe(*few, card.name, ErrorsAt(*few, values), 0);
    }
    if (request_.carry) {
      // The dense product's rate of an SM, at what the target's dense products reach.
      const GemmKernel& source = request_.carry->kernels.gemm_fp8();
      const double carried = CarriedEfficiency(
          source.compute_efficiency(), request_.carry->card.rates.fp8_flop_per_ns,
          request_.carry->card.rates, card.rates.fp8_flop_per_ns, card.rates, 1.0);
      TIERSCOPE_ASSIGN_OR_RETURN(Family family, ReadGroupedGemm(path, card, false));
      family.name = "grouped GEMM, carried";
      family.note = absl::StrCat("rate of an SM of ", request_.carry->card.name,
                                 "'s dense FP8 product, whole tiles");
      *outcome_.file.add_fits() = Describe(
          family, card.name,
          ErrorsAt(family, {source.floor_us(), source.memory_efficiency(), carried, 1.0}), 0);
    }
  }
  if (const std::string path = Find("mla_decode_128-512-64.csv", true); !path.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(Fit(
        path, ReadMla(path, card), [&](const auto& v) { reach_.attention = v[1]; }, true));
  }
  return absl::OkStatus();
}

// The card's own GEMM rows against the other card's parameters, carried in both ways.
absl::Status Calibration::CheckCarriedGemm(const Family& family) {
  if (!request_.carry) return absl::OkStatus();
  const CarrySource& from = *request_.carry;
  const GemmKernel& source = from.kernels.gemm_fp8();
  const double per_sm = CarriedEfficiency(
      source.compute_efficiency(), from.card.rates.fp8_flop_per_ns, from.card.rates,
      request_.card.rates.fp8_flop_per_ns, request_.card.rates, 1.0);
  Family carried = family;
  for (const bool fraction : {false, true}) {
    carried.name = fraction ? "GEMM FP8, carried as a fraction of peak" : "GEMM FP8, carried";
    carried.note = absl::StrCat(
        fraction ? "for comparison: efficiencies of " : "rate of an SM, at most the peak, of ",
        from.card.name);
    const double efficiency = fraction ? source.compute_efficiency() : per_sm;
    *outcome_.file.add_fits() = Describe(
        carried, request_.card.name,
        ErrorsAt(carried,
                 {source.floor_us(), source.ns_per_k(), source.memory_efficiency(), efficiency}),
        0);
  }
  return absl::OkStatus();
}

absl::Status Calibration::Complete(KernelCalibration* kernels) {
  if (request_.carry) {
    CarryMissing(*request_.carry, request_.card, reach_, kernels);
    return absl::OkStatus();
  }
  std::vector<std::string> missing;
  if (!kernels->has_gemm_fp8() || !kernels->has_gemm_bf16()) missing.push_back("GEMM");
  if (!kernels->has_moe()) missing.push_back("MoE");
  if (!kernels->has_scoring()) missing.push_back("scoring");
  if (kernels->top_k().empty()) missing.push_back("top-k");
  if (!kernels->has_attention()) missing.push_back("HCA attention");
  if (!kernels->has_csa_layer()) missing.push_back("whole CSA and HCA layers");
  if (!kernels->has_all_reduce()) missing.push_back("all-reduce");
  if (missing.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(request_.folder, ": no table of ", absl::StrJoin(missing, ", "),
                   "; add it, or carry it from a calibrated card with --carry=h100_sxm"));
}

}  // namespace

absl::StatusOr<CalibrationOutcome> Calibrate(const CalibrationRequest& request) {
  return Calibration(request).Run();
}

}  // namespace tierscope
