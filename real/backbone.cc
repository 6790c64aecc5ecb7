#include "real/backbone.h"

#include <algorithm>
#include <cmath>

#include "sim/base/units.h"

namespace tierscope {
namespace {

int64_t Whole(double x) { return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(x))); }

void Append(const std::vector<GemmWork>& works, std::vector<GemmShape>* products) {
  for (const GemmWork& work : works) {
    products->push_back({Whole(work.m), Whole(work.n), Whole(work.k), Whole(work.groups)});
  }
}

// Gate and up-projection together, then down.
void AppendRoutedExperts(const Scenario& scenario, int64_t batch,
                         std::vector<GemmShape>* products) {
  const Model& model = scenario.model();
  if (model.experts() == 0 || model.experts_per_token() == 0) return;
  const double touched =
      ExpertsTouched(static_cast<double>(batch), model.experts(), model.experts_per_token(),
                     scenario.hardware().step_model().expert_alpha());
  constexpr double kRounding = 1e-6;  // of the expectation
  const int64_t groups = std::min<int64_t>(Whole(touched - kRounding), model.experts());
  const int64_t rows = CeilDiv(batch * model.experts_per_token(), groups);
  const int64_t inner = std::max<int64_t>(
      1, CeilDiv(int64_t{model.expert_intermediate()}, scenario.engine().tensor_parallel()));
  products->push_back({rows, 2 * inner, model.hidden_size(), groups});
  products->push_back({rows, model.hidden_size(), inner, groups});
}

}  // namespace

std::vector<GemmShape> LayerProducts(const Scenario& scenario, LayerKind kind, int64_t batch) {
  const Model& model = scenario.model();
  const int32_t ranks = scenario.engine().tensor_parallel();
  const auto rows = static_cast<double>(batch);
  std::vector<GemmShape> products;
  Append(AttentionGemms(model, kind, ranks, rows, /*linear_bytes=*/1.0), &products);
  Append(SharedExpertGemms(model, ranks, rows), &products);
  AppendRoutedExperts(scenario, batch, &products);
  return products;
}

std::vector<GemmShape> HeadProducts(const Scenario& scenario, int64_t batch) {
  std::vector<GemmShape> products;
  Append(
      {HeadGemm(scenario.model(), scenario.engine().tensor_parallel(), static_cast<double>(batch))},
      &products);
  return products;
}

std::vector<LayerKind> LayerOrder(const Model& model) {
  std::vector<LayerKind> order(static_cast<size_t>(model.swa_layers()), LayerKind::kSwa);
  int32_t csa = model.csa_layers();
  int32_t hca = model.hca_layers();
  while (csa > 0 || hca > 0) {
    if (csa > 0) order.push_back(LayerKind::kCsa), --csa;
    if (hca > 0) order.push_back(LayerKind::kHca), --hca;
  }
  return order;
}

}  // namespace tierscope
