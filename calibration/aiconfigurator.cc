#include "calibration/aiconfigurator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "sim/base/det_math.h"
#include "sim/base/status_macros.h"
#include "sim/model/layer_work.h"

namespace tierscope {
namespace {

constexpr double kUsPerMs = 1e3;
constexpr double kKeyBytes = 132;   // of one index key
constexpr double kCsaTokens = 4;    // per CSA entry
constexpr double kHcaTokens = 128;  // per HCA entry
constexpr double kWindowTokens = 128;
constexpr double kScoringFlop = 64 * 258;  // per query and entry
constexpr double kHbmEfficiency = 0.895;   // a device copy on one H100 moved 3.0 of 3.35 TB/s

absl::Status CheckV4(const KernelTable& table) {
  for (size_t row = 0; row < table.rows(); ++row) {
    const std::string& model = table.Text(row, "model");
    if (absl::StrContains(model, "DeepSeek-V4-")) continue;
    return table.Error(row, absl::StrCat("model '", model.substr(0, 60),
                                         "' is not DeepSeek-V4, whose kernels this calibrates; "
                                         "leave the table out"));
  }
  return absl::OkStatus();
}

// Decode requests and what each has: entries to select from, blocks to attend to.
struct Requests {
  double requests, each;
};

struct Message {
  int32_t gpus;
  double bytes;
};

bool IsFlash(const KernelTable& table, size_t row) {
  return absl::StrContains(table.Text(row, "model"), "V4-Flash");
}

}  // namespace

absl::StatusOr<KernelTable> ReadV4Table(const std::string& path, const Card& card,
                                        std::vector<std::string> columns) {
  for (const char* column :
       {"model", "batch_size", "isl", "step", "compress_ratio", "latency_ms"}) {
    columns.push_back(column);
  }
  TIERSCOPE_ASSIGN_OR_RETURN(KernelTable table, KernelTable::Read(path, columns));
  TIERSCOPE_RETURN_IF_ERROR(CheckDevice(table, card));
  TIERSCOPE_RETURN_IF_ERROR(CheckV4(table));
  return table;
}

GemmKernel GemmFrom(const std::vector<double>& values) {
  GemmKernel kernel;
  kernel.set_floor_us(values[0]);
  kernel.set_ns_per_k(values[1]);
  kernel.set_memory_efficiency(values[2]);
  kernel.set_compute_efficiency(values[3]);
  return kernel;
}

absl::StatusOr<Family> ReadGemm(const std::string& path, const Card& card,
                                const std::string& dtype) {
  TIERSCOPE_ASSIGN_OR_RETURN(const KernelTable table,
                             KernelTable::Read(path, {"gemm_dtype", "m", "n", "k", "latency_ms"}));
  TIERSCOPE_RETURN_IF_ERROR(CheckDevice(table, card));
  const bool fp8 = dtype == "fp8_block";
  TimedRows<GemmWork> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    if (table.Text(row, "gemm_dtype") != dtype) continue;
    Cells cells(table, row);
    const GemmWork work = {cells.Positive("m"), cells.Positive("n"), cells.Positive("k"), 1,
                           fp8 ? 1.0 : 2.0};
    const double us = cells["latency_ms"] * kUsPerMs;
    TIERSCOPE_RETURN_IF_ERROR(cells.status());
    if (us <= 0.0) continue;
    TIERSCOPE_RETURN_IF_ERROR(
        CheckRate(table, row, 2.0 * work.m * work.n * work.k, us,
                  fp8 ? card.rates.fp8_flop_per_ns : card.rates.bf16_flop_per_ns, card));
    rows.Add(work, us);
  }
  return MakeFamily(absl::StrCat("GEMM ", fp8 ? "FP8" : "BF16"), table,
                    {{"floor_us", 3.0, 0.5, 20.0},
                     {"ns_per_k", 0.5, 0.001, 10.0},
                     {"memory_efficiency", 0.8, 0.2, 1.0},
                     {"compute_efficiency", 0.6, 0.05, 1.0}},
                    std::move(rows), "", &GemmFrom,
                    [card](const GemmKernel& kernel, const GemmWork& row) {
                      return GemmNs(kernel, row, card.rates);
                    });
}

absl::StatusOr<double> BenchmarkExpertsTouched(const std::string& distribution, double tokens,
                                               double top, double experts) {
  const double choices = tokens * top;
  const double most = std::min(experts, choices);
  if (distribution == "balanced") return most;
  absl::string_view alpha_text = distribution;
  double alpha = 0.0;
  if (!absl::ConsumePrefix(&alpha_text, "power_law_") || !absl::SimpleAtod(alpha_text, &alpha) ||
      alpha <= 1.0 || alpha >= 2.0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "distribution '", distribution.substr(0, 40),
        "' is neither balanced nor power_law_A with A between 1 and 2; leave the row out"));
  }
  const double load_max = 0.8 * tokens;  // loads are drawn from [1, load_max], then scaled to sum
  if (load_max <= 1.0) return most;
  const double tail = DetPow(load_max, 1.0 - alpha);
  const double mean =
      (DetPow(load_max, 2.0 - alpha) - 1.0) / (2.0 - alpha) / ((tail - 1.0) / (1.0 - alpha));
  const double least = 0.5 * experts * mean / choices;  // smallest load that rounds to a token
  // Where no load rounds to a token, the benchmark hands them out one by one.
  if (least <= 1.0 || least >= load_max) return most;
  const double below = (DetPow(least, 1.0 - alpha) - 1.0) / (tail - 1.0);
  return std::min(most, std::max(top, experts * (1.0 - below)));
}

MoeKernel MoeFrom(const std::vector<double>& values) {
  MoeKernel kernel;
  kernel.set_floor_us(values[0]);
  kernel.set_ns_per_token(values[1]);
  kernel.set_memory_efficiency(values[2]);
  kernel.set_compute_efficiency(values[3]);
  kernel.set_tile_rows(values[4]);
  return kernel;
}

absl::StatusOr<Family> ReadMoe(const std::string& path, const Card& card) {
  TIERSCOPE_ASSIGN_OR_RETURN(
      const KernelTable table,
      KernelTable::Read(path, {"num_tokens", "hidden_size", "inter_size", "topk", "num_experts",
                               "moe_tp_size", "moe_ep_size", "distribution", "latency_ms"}));
  TIERSCOPE_RETURN_IF_ERROR(CheckDevice(table, card));
  TimedRows<MoeWork> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    Cells cells(table, row);
    const double tokens = cells.Positive("num_tokens");
    const double top = cells.Positive("topk");
    const double experts = cells.Positive("num_experts");
    const double weights = 3.0 * cells.Positive("hidden_size") * cells.Positive("inter_size") /
                           cells.Positive("moe_tp_size");
    const double us = cells["latency_ms"] * kUsPerMs;
    const bool whole = cells.Positive("moe_ep_size") == 1.0;
    TIERSCOPE_RETURN_IF_ERROR(cells.status());
    if (!whole || us <= 0.0) continue;
    const auto touched =
        BenchmarkExpertsTouched(table.Text(row, "distribution"), tokens, top, experts);
    if (!touched.ok()) return table.Error(row, touched.status().message());
    TIERSCOPE_RETURN_IF_ERROR(
        CheckRate(table, row, 2.0 * tokens * top * weights, us, card.rates.fp8_flop_per_ns, card));
    rows.Add({tokens, tokens * top, *touched, weights, 8.0}, us);
  }
  return MakeFamily("MoE", table,
                    {{"floor_us", 20.0, 1.0, 60.0},
                     {"ns_per_token", 10.0, 0.1, 200.0},
                     {"memory_efficiency", 0.85, 0.3, 1.0},
                     {"compute_efficiency", 0.4, 0.05, 1.0},
                     {"tile_rows", 32.0, 1.0, 64.0}},
                    std::move(rows), "rows with expert parallelism left out", &MoeFrom,
                    [card](const MoeKernel& kernel, const MoeWork& row) {
                      return MoeNs(kernel, row, card.rates);
                    });
}

ScoringKernel ScoringFrom(const std::vector<double>& values) {
  ScoringKernel kernel;
  kernel.set_floor_us(values[0]);
  kernel.set_query_us(values[1]);
  kernel.set_entry_ns(values[2]);
  kernel.set_memory_efficiency(kHbmEfficiency);
  kernel.set_cached_efficiency(values[3]);
  return kernel;
}

absl::StatusOr<Family> ReadScoring(const std::string& path, const Card& card) {
  TIERSCOPE_ASSIGN_OR_RETURN(const KernelTable table, ReadV4Table(path, card, {}));
  TimedRows<ScoringWork> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    Cells cells(table, row);
    const double requests = cells.Positive("batch_size"), queries = cells.Positive("isl"),
                 step = cells["step"];
    const double us = cells["latency_ms"] * kUsPerMs;
    TIERSCOPE_RETURN_IF_ERROR(cells.status());
    if (us <= 0.0) continue;
    ScoringWork work;
    work.queries = requests * queries;
    work.entries = work.queries * (step + queries / 2.0) / kCsaTokens;
    work.key_bytes = requests * (step + queries) / kCsaTokens * kKeyBytes;
    work.keys_cached = true;
    TIERSCOPE_RETURN_IF_ERROR(CheckRate(table, row, work.queries * step / kCsaTokens * kScoringFlop,
                                        us, card.rates.fp8_flop_per_ns, card));
    rows.Add(work, us);
  }
  return MakeFamily(
      "scoring", table,
      {{"floor_us", 3.0, 0.5, 20.0},
       {"query_us", 1.0, 0.01, 10.0},
       {"entry_ns", 2.0, 0.1, 50.0},
       {"cached_efficiency", 1.0, 0.3, 4.0}},
      std::move(rows),
      "keys of every row fit the L2 cache; from HBM the roof is that of a device copy",
      &ScoringFrom, [card](const ScoringKernel& kernel, const ScoringWork& row) {
        return ScoringNs(kernel, row, card.rates);
      });
}

TopKKernel TopKFrom(const TopKKernel& which, const std::vector<double>& values) {
  TopKKernel kernel = which;
  const bool v1 = which.version() == TopKKernel::V1;
  kernel.set_small_entries_max(v1 ? 8191 : 32767);  // where each version changes its algorithm
  kernel.set_small_floor_us(values[0]);
  kernel.set_small_ns_per_entry(values[1]);
  kernel.set_large_floor_us(values[2]);
  kernel.set_large_ns_per_entry(values[3]);
  // v1 gives a request one SM. The clusters of v2 are taken for 8 SMs; its table ends at 4
  // requests.
  kernel.set_large_sms(v1 ? 1.0 : 8.0);
  return kernel;
}

absl::StatusOr<Family> ReadTopK(const std::string& path, const Card& card,
                                const TopKKernel& which) {
  TIERSCOPE_ASSIGN_OR_RETURN(const KernelTable table, ReadV4Table(path, card, {"score_mode"}));
  const std::string mode = absl::StrCat(which.version() == TopKKernel::V1 ? "v1_" : "v2_",
                                        which.scores() == TopKKernel::FLAT ? "flat" : "top_last");
  TimedRows<Requests> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    Cells cells(table, row);
    const double requests = cells.Positive("batch_size"),
                 entries = std::floor(cells["step"] / kCsaTokens);
    const double us = cells["latency_ms"] * kUsPerMs;
    const bool decode = cells.Positive("isl") == 1.0;
    TIERSCOPE_RETURN_IF_ERROR(cells.status());
    const bool mine =
        table.Text(row, "score_mode") == mode && (which.k() == 512) == IsFlash(table, row);
    if (!mine || !decode || us <= 0.0 || entries < 2.0 * which.k()) continue;
    rows.Add({requests, entries}, us);
  }
  return MakeFamily(
      absl::StrCat("top-", which.k(), " ", mode), table,
      {{"small_floor_us", 3.0, 0.1, 200.0},
       {"small_ns_per_entry", 0.1, 0.001, 10.0},
       {"large_floor_us", 10.0, 0.1, 200.0},
       {"large_ns_per_entry", 0.1, 0.001, 10.0}},
      std::move(rows), "",
      [which](const std::vector<double>& values) { return TopKFrom(which, values); },
      [card](const TopKKernel& kernel, const Requests& row) {
        return TopKNs(kernel, row.requests, row.each, card.rates);
      });
}

AttentionKernel AttentionFrom(const std::vector<double>& values) {
  AttentionKernel kernel;
  kernel.set_request_us(values[0]);
  kernel.set_block_us(values[1]);
  kernel.set_combine_us(values[2]);
  kernel.set_split_us(values[3]);
  kernel.set_split_traffic_us(values[4]);
  return kernel;
}

absl::StatusOr<Family> ReadAttention(const std::string& path, const Card& card) {
  TIERSCOPE_ASSIGN_OR_RETURN(const KernelTable table, ReadV4Table(path, card, {}));
  TimedRows<Requests> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    Cells cells(table, row);
    const double requests = cells.Positive("batch_size"), tokens = cells["step"] + 1.0;
    const double us = cells["latency_ms"] * kUsPerMs;
    const bool decode = cells.Positive("isl") == 1.0;
    TIERSCOPE_RETURN_IF_ERROR(cells.status());
    if (!decode || us <= 0.0) continue;
    rows.Add({requests, WindowBlocks(std::min(kWindowTokens, tokens)) +
                            EntryBlocks(std::floor(tokens / kHcaTokens))},
             us);
  }
  return MakeFamily("HCA attention", table,
                    {{"request_us", 8.0, 0.1, 50.0},
                     {"block_us", 3.0, 0.1, 50.0},
                     {"combine_us", 2.0, 0.01, 20.0},
                     {"split_us", 0.2, 0.001, 10.0},
                     {"split_traffic_us", 0.05, 0.0001, 10.0}},
                    std::move(rows), "decode rows (isl 1)", &AttentionFrom,
                    [card](const AttentionKernel& kernel, const Requests& row) {
                      return AttentionNs(kernel, row.requests, row.each, card.rates);
                    });
}

AllReduceKernel AllReduceFrom(const std::vector<double>& values) {
  AllReduceKernel kernel;
  kernel.set_floor_us(values[0]);
  kernel.set_per_peer_us(values[1]);
  kernel.set_one_shot_gb_per_s(values[2]);
  kernel.set_two_shot_gb_per_s(values[3]);
  kernel.set_ring_floor_us(values[4]);
  kernel.set_ring_gb_per_s(values[5]);
  return kernel;
}

absl::StatusOr<Family> ReadAllReduce(const std::string& path, const Card& card) {
  TIERSCOPE_ASSIGN_OR_RETURN(const KernelTable table,
                             KernelTable::Read(path, {"backend", "allreduce_dtype", "num_gpus",
                                                      "message_size", "latency_ms"}));
  TIERSCOPE_RETURN_IF_ERROR(CheckDevice(table, card));
  TimedRows<Message> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    Cells cells(table, row);
    const double gpus = cells["num_gpus"], bytes = cells["message_size"];
    const double us = cells["latency_ms"] * kUsPerMs;
    TIERSCOPE_RETURN_IF_ERROR(cells.status());
    if (!absl::EndsWith(table.Text(row, "backend"), "_graph") || us <= 0.0) continue;
    if (gpus < 2 || gpus > 1024) {
      return table.Error(row, "num_gpus is not between 2 and 1024; repair the row");
    }
    rows.Add({static_cast<int32_t>(gpus), bytes}, us);
  }
  return MakeFamily("all-reduce", table,
                    {{"floor_us", 2.0, 0.5, 20.0},
                     {"per_peer_us", 0.2, 0.01, 5.0},
                     {"one_shot_gb_per_s", 150.0, 10.0, 900.0},
                     {"two_shot_gb_per_s", 150.0, 10.0, 900.0},
                     {"ring_floor_us", 40.0, 1.0, 200.0},
                     {"ring_gb_per_s", 200.0, 10.0, 900.0}},
                    std::move(rows), "inside CUDA graphs", &AllReduceFrom,
                    [](const AllReduceKernel& kernel, const Message& row) {
                      return AllReduceNs(kernel, row.gpus, row.bytes);
                    });
}

}  // namespace tierscope
