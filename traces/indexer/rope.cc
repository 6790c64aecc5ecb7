#include "traces/indexer/rope.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kernels/fp8.h"
#include "sim/base/det_math.h"

namespace tierscope {
namespace {

constexpr double kPi = 3.14159265358979323846;

float ToBf16(float x) { return Bf16ToFloat(FloatToBf16(x)); }

// The dim whose pair turns `beta` times within the original length.
double DimOfTurns(int dims, double beta, const YarnParameters& p) {
  return dims * DetLog(p.original_tokens / (beta * 2.0 * kPi)) / (2.0 * DetLog(p.base));
}

}  // namespace

std::vector<double> YarnFrequencies(int dims, const YarnParameters& parameters) {
  const int pairs = dims / 2;
  const double low = std::max(std::floor(DimOfTurns(dims, parameters.beta_fast, parameters)), 0.0);
  const double high =
      std::min(std::ceil(DimOfTurns(dims, parameters.beta_slow, parameters)), pairs - 1.0);
  std::vector<double> frequencies;
  for (int i = 0; i < pairs; ++i) {
    const double plain = DetPow(parameters.base, -2.0 * i / dims);
    const double slow = i >= high ? 1.0 : std::max((i - low) / std::max(high - low, 1.0), 0.0);
    frequencies.push_back(plain * (1.0 - slow) + plain / parameters.factor * slow);
  }
  return frequencies;
}

Rotation::Rotation(std::span<const double> frequencies, int64_t position) {
  for (const double frequency : frequencies) {
    const float angle = static_cast<float>(position) * static_cast<float>(frequency);
    const SinCos turn = DetSinCos(double{angle});
    sin_.push_back(static_cast<float>(turn.sin));
    cos_.push_back(static_cast<float>(turn.cos));
  }
}

void Rotation::RotateBf16(std::span<float> head) const {
  const size_t first = head.size() - 2 * sin_.size();
  for (size_t i = 0; i < first; ++i) head[i] = ToBf16(head[i]);
  for (size_t pair = 0; pair < sin_.size(); ++pair) {
    const float x = ToBf16(head[first + 2 * pair]), y = ToBf16(head[first + 2 * pair + 1]);
    head[first + 2 * pair] = ToBf16(x * cos_[pair] - y * sin_[pair]);
    head[first + 2 * pair + 1] = ToBf16(x * sin_[pair] + y * cos_[pair]);
  }
}

void Rotation::Turn(double direction, std::span<double> head) const {
  const size_t first = head.size() - 2 * sin_.size();
  for (size_t pair = 0; pair < sin_.size(); ++pair) {
    const double sin = direction * double{sin_[pair]}, cos = double{cos_[pair]};
    const double x = head[first + 2 * pair], y = head[first + 2 * pair + 1];
    head[first + 2 * pair] = x * cos - y * sin;
    head[first + 2 * pair + 1] = x * sin + y * cos;
  }
}

void Rotation::Rotate(std::span<double> head) const { Turn(1.0, head); }
void Rotation::Invert(std::span<double> head) const { Turn(-1.0, head); }

}  // namespace tierscope
