#include "cli/validate_rows.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/validate_flashmemory.h"

#include "scenarios/presets.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"
#include "sim/model/footprint.h"
#include "sim/model/layer_kernels.h"
#include "sim/model/link_model.h"

namespace tierscope::cli {
namespace {

constexpr int64_t kK = 1024;  // of a context length
constexpr int64_t kM = kK * kK;
constexpr char kCardAssumed[] = "h20_141";
constexpr char kCardOther[] = "h20_96";
constexpr double kRateBound = 0.06;
constexpr double kLeftOutBound = 0.12;

struct Rate {
  const char* id;
  int64_t context_tokens;
  int32_t requests;
  int32_t page_kmax;  // 0: full KV
  double tok_per_s;
};
constexpr Rate kRates[] = {{"7", 262144, 47, 0, 1584},   {"7", 524288, 25, 0, 1028},
                           {"7", 1048576, 11, 0, 455},   {"8", 262144, 76, 96, 2759},
                           {"8", 524288, 60, 192, 2008}, {"8", 1048576, 30, 384, 1266}};

absl::StatusOr<Scenario> FlashOn(const std::string& hardware) {
  Scenario scenario;
  TIERSCOPE_ASSIGN_OR_RETURN(*scenario.mutable_model(), ModelPreset("v4_flash"));
  TIERSCOPE_ASSIGN_OR_RETURN(*scenario.mutable_hardware(), HardwarePreset(hardware));
  TIERSCOPE_ASSIGN_OR_RETURN(*scenario.mutable_node(), NodePreset("node_8gpu"));
  return scenario;
}

Policy Lsa(int32_t page_kmax, bool index_key_offload = false) {
  Policy policy;
  policy.set_page_kmax(page_kmax);
  policy.set_index_key_offload(index_key_offload);
  return policy;
}

void AddFootprintRows(const Model& model, std::vector<PublishedRow>* rows) {
  const std::pair<int64_t, double> full_kv[] = {
      {46, 0.17}, {179, 0.65}, {493, 1.80}, {64, 0.23}, {128, 0.47}};
  for (size_t i = 0; i < std::size(full_kv); ++i) {
    rows->push_back(NumberRow(i < 3 ? "1" : "2", absl::StrCat("full KV, ", full_kv[i].first, "K"),
                              full_kv[i].second, ToGiB(FullKvBytes(model, full_kv[i].first * kK)),
                              "%.3f", "GiB", 0.016, false));
  }
  struct Work {
    const char* name;
    int64_t tokens;
    int32_t page_kmax;
    double full, lsa;
  };
  for (const Work& work :
       {Work{"256K", 256 * kK, 96, 50.8, 28.8}, Work{"512K", 512 * kK, 192, 73.5, 31.0},
        Work{"1M", kM, 384, 118.9, 35.4}}) {
    rows->push_back(NumberRow("3", absl::StrCat("work per token, full, ", work.name), work.full,
                              GflopPerTokenFull(model, work.tokens), "%.1f", "GFLOP", 1.5, false));
    rows->push_back(NumberRow("3", absl::StrCat("work per token, LSA, ", work.name), work.lsa,
                              GflopPerTokenLsa(model, Lsa(work.page_kmax), work.tokens), "%.1f",
                              "GFLOP", 0.2, false));
  }
}

void AddPoolRows(const Scenario& scenario, std::vector<PublishedRow>* rows) {
  const Model& model = scenario.model();
  const Policy offload = Lsa(96, true);
  constexpr int64_t tokens = 66'000'000;  // decimal
  const auto keys = [&](const Policy& policy) {
    return ToGiB(IndexKeyBytes(model, policy, tokens) + IndexKeyPoolBytes(model, policy));
  };
  rows->push_back(NumberRow("4", "index keys of 66 M tokens, all in HBM", 42.5, keys(Lsa(96)),
                            "%.2f", "GiB", 0.004, true));
  rows->push_back(NumberRow("4", "index keys of 66 M tokens, offloaded", 9.6, keys(offload), "%.2f",
                            "GiB", 0.004, true));
  rows->push_back(NumberRow("5", "recall pages of a reserve of 983,040 entries", 14335,
                            static_cast<double>(FlashMemoryRecallPages(model, Lsa(96))), "%.0f", "",
                            0.0, false));
  for (const auto& [requests, published] : {std::pair<int, double>{40, 1.2}, {60, 1.7}}) {
    const double tib =
        ToGiB(requests * HostMirrorBytes(model, offload, 1'100'000, 8)) / static_cast<double>(kK);
    rows->push_back(NumberRow("6", absl::StrCat("host mirror of ", requests, " requests of 1.1 M"),
                              published, tib, "%.2f", "TiB", 0.04, true));
  }
}

void AddResidentRows(const Model& model, std::vector<PublishedRow>* rows) {
  const std::pair<int64_t, double> resident[] = {{256 * kK, 0.09}, {512 * kK, 0.18}, {kM, 0.37}};
  for (size_t i = 0; i < std::size(resident); ++i) {
    const int32_t page_kmax = 96 << i;
    const ResidentKv kv = ResidentKvBytes(model, Lsa(page_kmax), resident[i].first, page_kmax, 1);
    rows->push_back(NumberRow(
        "12", absl::StrCat("resident KV, the paper's accounting, ", resident[i].first / kK, "K"),
        resident[i].second, ToGiB(kv.paper_bytes), "%.3f", "GiB", 0.005, false));
  }
}

// A card, a top-k kernel and the tile of FP4 experts, none of which FlashMemory names.
struct Choice {
  const char* hardware;
  TopKKernel::Version version;
  TopKKernel::Scores scores;
  double expert_tile_rows;
};
constexpr Choice kChoices[] = {{kCardAssumed, TopKKernel::V1, TopKKernel::FLAT, 16},
                               {kCardOther, TopKKernel::V1, TopKKernel::FLAT, 16},
                               {kCardAssumed, TopKKernel::V1, TopKKernel::PEAKED, 16},
                               {kCardAssumed, TopKKernel::V2, TopKKernel::FLAT, 16},
                               {kCardAssumed, TopKKernel::V2, TopKKernel::PEAKED, 16},
                               {kCardAssumed, TopKKernel::V1, TopKKernel::FLAT, 8},
                               {kCardAssumed, TopKKernel::V1, TopKKernel::FLAT, 32}};

// `shipped`: under the constants of the preset, which claims to be fitted; else under its own fit.
absl::StatusOr<ServingValidation> ValidateServing(const Choice& choice, bool shipped) {
  TIERSCOPE_ASSIGN_OR_RETURN(Scenario scenario, FlashOn(choice.hardware));
  StepModel* chosen = scenario.mutable_hardware()->mutable_step_model();
  chosen->set_topk_version(choice.version);
  chosen->set_topk_scores(choice.scores);
  if (!shipped) {
    chosen->mutable_kernels()->mutable_moe()->set_tile_rows_low_bit(choice.expert_tile_rows);
  }
  const LayerKernels kernels(scenario);
  std::vector<ServingRow> rows;
  for (const Rate& rate : kRates) {
    const double entries =
        rate.page_kmax == 0 ? static_cast<double>(CsaEntries(scenario.model(), rate.context_tokens))
                            : rate.page_kmax * static_cast<double>(scenario.model().page_entries());
    const double ns = kernels.StepNs(rate.requests, rate.requests, rate.requests * entries,
                                     rate.requests * static_cast<double>(rate.context_tokens));
    rows.push_back({static_cast<double>(rate.requests), ns * 1e-6, rate.tok_per_s});
  }
  const StepModel& step = scenario.hardware().step_model();
  ServingValidation serving;
  serving.hardware = choice.hardware;
  serving.top_k = absl::StrCat(TopKKernel::Version_Name(choice.version), " ",
                               TopKKernel::Scores_Name(choice.scores));
  serving.expert_tile_rows = chosen->kernels().moe().tile_rows_low_bit();
  serving.used = shipped ? EngineFit{step.base_ms(), step.per_request_ms()} : FitEngine(rows);
  std::vector<double> predicted, published;
  for (const ServingRow& row : rows) {
    serving.errors.push_back(RateError(serving.used, row));
    published.push_back(row.tok_per_s);
    predicted.push_back(row.tok_per_s * (1.0 + serving.errors.back()));
  }
  serving.left_out_errors = LeaveOneOut(rows);
  serving.kendall_tau = KendallTau(predicted, published);
  return serving;
}

double WorstOf(const std::vector<double>& errors) {
  double worst = 0.0;
  for (const double error : errors) worst = std::max(worst, std::abs(error));
  return worst;
}

void AddRateRows(const ServingValidation& serving, std::vector<PublishedRow>* rows) {
  for (size_t i = 0; i < std::size(kRates); ++i) {
    const Rate& rate = kRates[i];
    const std::string policy =
        rate.page_kmax == 0 ? "full KV" : absl::StrCat("LSA KMAX ", rate.page_kmax);
    PublishedRow row = NumberRow(
        rate.id,
        absl::StrCat(policy, ", ", rate.context_tokens / kK, "K, ", rate.requests, " requests"),
        rate.tok_per_s, rate.tok_per_s * (1.0 + serving.errors[i]), "%.0f", "tok/s", kRateBound,
        true);
    row.evidence_class = 'B';
    row.fitted = true;
    row.bound = absl::StrFormat("%.0f %%; %.0f %% left out", 100 * kRateBound, 100 * kLeftOutBound);
    row.pass = row.pass && std::abs(serving.left_out_errors[i]) <= kLeftOutBound;
    row.note = absl::StrFormat("left out: %+.1f %%", 100.0 * serving.left_out_errors[i]);
    rows->push_back(std::move(row));
  }
}

// The H100's copy curve: what it holds is interpolated, so its own points come out by construction.
// The law beyond it (wire time at peak + the last piece's cost per descriptor) is held against two
// points.
absl::Status AddCopyRows(std::vector<PublishedRow>* rows) {
  TIERSCOPE_ASSIGN_OR_RETURN(const Hardware hardware, HardwarePreset("h100_sxm"));
  const Link& link = hardware.host_link();
  const LinkModel model(link);
  Link last = link;
  last.clear_batched_copy();
  for (const CopyPoint& point : link.batched_copy()) {
    PublishedRow row =
        NumberRow("13",
                  absl::StrCat("batched copy, ", point.descriptors(), " pieces of ",
                               point.piece_bytes() / kK, " KiB"),
                  static_cast<double>(point.bytes_per_s()) * 1e-9,
                  model.BatchedCopyRate(point.piece_bytes(), point.descriptors()) * 1e-9, "%.1f",
                  "GB/s", 0.1, true);
    row.evidence_class = 'B';
    row.fitted = true;
    row.note = "a point of the curve";
    rows->push_back(std::move(row));
    if (point.descriptors() == 10'000 && point.piece_bytes() == 65536) {
      *last.add_batched_copy() = point;
    }
  }
  const CopyPoint& at = last.batched_copy(0);
  const double peak = static_cast<double>(link.peak_bytes_per_s());
  const double piece = static_cast<double>(at.piece_bytes());
  const double descriptor_s = piece / static_cast<double>(at.bytes_per_s()) - piece / peak;
  for (const auto& [kib, published] : {std::pair<int64_t, double>{24, 25.8}, {28, 27.5}}) {
    const double bytes = static_cast<double>(kib * kK);
    PublishedRow row = NumberRow(
        "13", absl::StrCat("the same from the cost of a 64 KiB descriptor, ", kib, " KiB"),
        published, bytes / (bytes / peak + descriptor_s) * 1e-9, "%.1f", "GB/s", 0.1, true);
    row.evidence_class = 'B';
    rows->push_back(std::move(row));
  }
  return absl::OkStatus();
}

}  // namespace

double ServingValidation::worst_error() const { return WorstOf(errors); }
double ServingValidation::worst_left_out() const { return WorstOf(left_out_errors); }

absl::StatusOr<Validation> Validate() {
  Validation validation;
  TIERSCOPE_ASSIGN_OR_RETURN(const Scenario scenario, FlashOn(kCardAssumed));
  AddFootprintRows(scenario.model(), &validation.rows);
  AddPoolRows(scenario, &validation.rows);
  for (const Choice& choice : kChoices) {
    TIERSCOPE_ASSIGN_OR_RETURN(ServingValidation serving,
                               ValidateServing(choice, validation.serving.empty()));
    validation.serving.push_back(std::move(serving));
  }
  AddRateRows(validation.serving[0], &validation.rows);
  TIERSCOPE_RETURN_IF_ERROR(AddFlashMemoryRows(&validation.rows));
  AddResidentRows(scenario.model(), &validation.rows);
  TIERSCOPE_RETURN_IF_ERROR(AddCopyRows(&validation.rows));
  return validation;
}

}  // namespace tierscope::cli
