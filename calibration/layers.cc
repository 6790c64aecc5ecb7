// Whole attention layers of aiconfigurator's tables, composed from the kernels fitted before.
#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "calibration/aiconfigurator.h"
#include "sim/base/status_macros.h"
#include "sim/model/layer_work.h"

namespace tierscope {
namespace {

constexpr double kUsPerMs = 1e3;
constexpr double kKeyBytes = 132;
constexpr double kCsaTokens = 4;
constexpr double kHcaTokens = 128;
constexpr double kWindowTokens = 128;
constexpr double kHeadsPerKernel = 64;
constexpr double kFp8 = 1.0, kBf16 = 2.0;  // bytes of a weight

// One row: the kernels but the glue, and the requests that the glue depends on.
struct LayerRow {
  double kernels_ns;
  double requests;
};

// The dimensions of the two models that the tables hold; source: facts on V4 in scenarios/models.
Model ModelOf(bool flash) {
  Model model;
  model.set_hidden_size(flash ? 4096 : 7168);
  model.set_q_lora_rank(flash ? 1024 : 1536);
  model.set_o_lora_rank(1024);
  model.set_o_groups(flash ? 8 : 16);
  model.set_query_heads(flash ? 64 : 128);
  model.set_head_dim(512);
  model.set_index_heads(64);
  model.set_index_head_dim(128);
  model.set_csa_tokens_per_entry(4);
  model.set_top_k(flash ? 512 : 1024);
  return model;
}

// The benchmark's scores are alike, which shows in the time that v2 then takes below 32,768
// entries.
const TopKKernel* BenchmarkTopK(const KernelCalibration& kernels, int32_t k) {
  for (const TopKKernel& kernel : kernels.top_k()) {
    if (kernel.k() == k && kernel.version() == TopKKernel::V2 &&
        kernel.scores() == TopKKernel::FLAT) {
      return &kernel;
    }
  }
  return nullptr;
}

struct LayerPoint {
  double requests, tokens;  // tokens of a request, the new one included
  int32_t tensor_parallel;
  double linear_bytes;
};

double CsaIndexNs(const KernelCalibration& kernels, const Model& model, const LayerPoint& point,
                  const CardRates& rates) {
  const double entries = std::floor(point.tokens / kCsaTokens);
  ScoringWork scoring;
  scoring.queries = point.requests;
  scoring.entries = point.requests * entries;
  scoring.key_bytes = scoring.entries * kKeyBytes;
  scoring.keys_cached = true;
  return ScoringNs(kernels.scoring(), scoring, rates) +
         TopKNs(*BenchmarkTopK(kernels, model.top_k()), point.requests, entries, rates);
}

double KernelsNs(const KernelCalibration& kernels, const Model& model, const LayerPoint& point,
                 bool csa, const CardRates& rates) {
  const double copies =
      std::max(1.0, model.query_heads() / (kHeadsPerKernel * point.tensor_parallel));
  const double window = WindowBlocks(std::min(kWindowTokens, point.tokens));
  const double entries =
      csa ? std::min<double>(std::floor(point.tokens / kCsaTokens), model.top_k())
          : std::floor(point.tokens / kHcaTokens);
  const LayerKind kind = csa ? LayerKind::kCsa : LayerKind::kHca;
  return GemmsNs(
             kernels,
             AttentionGemms(model, kind, point.tensor_parallel, point.requests, point.linear_bytes),
             rates) +
         AttentionNs(kernels.attention(), copies * point.requests, window + EntryBlocks(entries),
                     rates) +
         (csa ? CsaIndexNs(kernels, model, point, rates) : 0.0);
}

}  // namespace

LayerGlue GlueFrom(const std::vector<double>& values) {
  LayerGlue glue;
  glue.set_floor_us(values[0]);
  glue.set_per_request_us(values[1]);
  return glue;
}

absl::StatusOr<Family> ReadLayer(const std::string& path, const Card& card,
                                 const KernelCalibration& kernels, bool csa) {
  TIERSCOPE_ASSIGN_OR_RETURN(const KernelTable table,
                             ReadV4Table(path, card, {"gemm_type", "tp_size"}));
  const Model models[] = {ModelOf(false), ModelOf(true)};
  TimedRows<LayerRow> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    Cells cells(table, row);
    const double us = cells["latency_ms"] * kUsPerMs;
    const double requests = cells.Positive("batch_size"), tokens = cells["step"] + 1.0;
    const double ranks = cells.Positive("tp_size"), ratio = cells["compress_ratio"];
    TIERSCOPE_RETURN_IF_ERROR(cells.status());
    if (ratio != (csa ? kCsaTokens : kHcaTokens)) {
      return table.Error(row, absl::StrCat("compress_ratio ", ratio, " is not that of a ",
                                           csa ? "CSA" : "HCA", " layer; give that table"));
    }
    if (ranks < 1 || ranks > 64) return table.Error(row, "tp_size is not between 1 and 64");
    if (us <= 0.0) continue;
    const LayerPoint point = {requests, tokens, static_cast<int32_t>(ranks),
                              table.Text(row, "gemm_type") == "fp8_block" ? kFp8 : kBf16};
    const bool flash = absl::StrContains(table.Text(row, "model"), "V4-Flash");
    rows.Add({KernelsNs(kernels, models[flash], point, csa, card.rates), point.requests}, us);
  }
  return MakeFamily(csa ? "CSA layer" : "HCA layer", table,
                    {{"floor_us", 5.0, 0.01, 100.0}, {"per_request_us", 0.1, 0.0001, 10.0}},
                    std::move(rows),
                    "composed of the families above; only the glue is fitted to these rows",
                    &GlueFrom, [](const LayerGlue& glue, const LayerRow& row) {
                      return row.kernels_ns + GlueNs(glue, row.requests);
                    });
}

}  // namespace tierscope
