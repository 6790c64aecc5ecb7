#include "real/op_work.h"

#include <vector>

#include "kernels/attention.h"
#include "kernels/index_score.h"
#include "kernels/paged.h"
#include "real/backbone.h"

namespace tierscope {
namespace {

constexpr double kKeyBytes = static_cast<double>(kIndexPageBytes) / kPageEntries;
constexpr double kEntryBytes = kKvRowBytes + kKvScaleBytes;
constexpr double kLogitBytes = 4.0;

OpWork BallastWork(const Scenario& scenario, int64_t batch, double weight_bytes_each) {
  OpWork work;
  const auto add = [&](const std::vector<GemmShape>& products) {
    work.flop += static_cast<double>(GemmFlop(products));
    work.bytes += static_cast<double>(WeightBytes(products, weight_bytes_each));
  };
  for (const LayerKind kind : LayerOrder(scenario.model())) {
    add(LayerProducts(scenario, kind, batch));
  }
  add(HeadProducts(scenario, batch));
  return work;
}

}  // namespace

OpWork OpWorkOf(OpTable::Op op, double x, double batch, const Scenario& scenario,
                double weight_bytes_each) {
  const double n = x * batch;
  switch (op) {
    case OpTable::BALLAST:
      return BallastWork(scenario, static_cast<int64_t>(batch), weight_bytes_each);
    case OpTable::NATIVE_SCORE:
      return {2.0 * kNativeHeads * kIndexDim * n, kKeyBytes * n};
    case OpTable::NATIVE_TOP_K:
      return {0.0, kLogitBytes * n};
    case OpTable::CSA_ATTENTION:
    case OpTable::HCA_ATTENTION:  // products with keys and with values, which are the same rows
      return {2.0 * 2.0 * kAttentionHeads * kKvDim * n, kEntryBytes * n};
    case OpTable::SCORE:
      return {2.0 * kMemoryLayers * kMemoryHeads * kIndexDim * n, kMemoryLayers * kKeyBytes * n};
    case OpTable::SELECT:  // a density and a block of each page
      return {0.0, (1.0 + 4.0) * n};
    default:  // the host's
      break;
  }
  return {};
}

}  // namespace tierscope
