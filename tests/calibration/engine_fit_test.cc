#include "calibration/engine_fit.h"

#include <cmath>

#include "gtest/gtest.h"

namespace tierscope {
namespace {

// Rates that two constants explain exactly.
std::vector<ServingRow> Exact(double base_ms, double per_request_ms) {
  std::vector<ServingRow> rows;
  for (const double requests : {10.0, 25.0, 60.0, 80.0}) {
    const double kernels_ms = 5.0 + requests * 0.1;
    rows.push_back({requests, kernels_ms,
                    requests * 1e3 / (base_ms + per_request_ms * requests + kernels_ms)});
  }
  return rows;
}

double Worst(const EngineFit& fit, const std::vector<ServingRow>& rows) {
  double worst = 0.0;
  for (const ServingRow& row : rows) worst = std::max(worst, std::abs(RateError(fit, row)));
  return worst;
}

TEST(EngineFitTest, RecoversConstants) {
  const EngineFit fit = FitEngine(Exact(3.0, 0.05));
  EXPECT_NEAR(fit.base_ms, 3.0, 1e-4);
  EXPECT_NEAR(fit.per_request_ms, 0.05, 1e-5);
  for (const double error : LeaveOneOut(Exact(3.0, 0.05))) EXPECT_NEAR(error, 0.0, 1e-4);
}

// No pair on a grid has a smaller worst error.
TEST(EngineFitTest, NothingNearbyIsBetter) {
  std::vector<ServingRow> rows = Exact(3.0, 0.05);
  rows[0].tok_per_s *= 1.07;
  rows[2].tok_per_s *= 0.96;
  const double worst = Worst(FitEngine(rows), rows);
  EXPECT_LT(worst, 0.07);
  for (int i = 0; i <= 200; ++i) {
    for (int j = 0; j <= 200; ++j) {
      EXPECT_GE(Worst({i * 0.05, j * 0.001}, rows), worst - 1e-6) << i << " " << j;
    }
  }
}

// Kernels that take longer than the published step leave nothing to the engine, not less than that.
TEST(EngineFitTest, ConstantsAreNotNegative) {
  std::vector<ServingRow> rows = Exact(0.5, 0.0);
  for (ServingRow& row : rows) row.kernels_ms *= 1.3;
  const EngineFit fit = FitEngine(rows);
  EXPECT_GE(fit.base_ms, 0.0);
  EXPECT_LT(fit.base_ms, 1e-6);
  EXPECT_LT(fit.per_request_ms, 1e-6);
}

TEST(EngineFitTest, KendallTau) {
  EXPECT_DOUBLE_EQ(KendallTau({1, 2, 3, 4}, {10, 20, 30, 40}), 1.0);
  EXPECT_DOUBLE_EQ(KendallTau({1, 2, 3, 4}, {4, 3, 2, 1}), -1.0);
  // One of six pairs is out of order: (5 - 1) / 6.
  EXPECT_DOUBLE_EQ(KendallTau({1, 2, 3, 4}, {1, 2, 4, 3}), 4.0 / 6.0);
}

}  // namespace
}  // namespace tierscope
