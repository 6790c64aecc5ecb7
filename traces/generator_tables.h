// Look-up tables of the generator: its inner loops draw a few million normals and scores a profile.
// Same values on every machine. Immutable once built; shared by all threads.
#ifndef TIERSCOPE_TRACES_GENERATOR_TABLES_H_
#define TIERSCOPE_TRACES_GENERATOR_TABLES_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace tierscope {

class GeneratorTables {
 public:
  static const GeneratorTables& Get();

  // The standard normal's quantile in the middle of cell `bits` mod 4096 of 4096 equal ones.
  double Normal(uint64_t bits) const { return normal_[bits & 4095]; }

  // floor(256 * sigmoid(logit)), at most 255; logits are taken down to a grid of 1/64.
  uint8_t Code(double logit) const {
    if (logit < -kLogitMax) return 0;
    const double cell = (logit + kLogitMax) * kCellsPerLogit;
    return cell >= kCells ? 255 : code_[static_cast<size_t>(cell)];
  }

 private:
  static constexpr double kLogitMax = 8.0;
  static constexpr double kCellsPerLogit = 64.0;
  static constexpr size_t kCells = 1024;
  GeneratorTables();
  std::array<double, 4096> normal_;
  std::array<uint8_t, kCells> code_;
};

// Quantile of the standard normal, 0 < p < 1 (Acklam's rational approximation, relative
// error 1.2e-9).
double NormalQuantile(double p);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_GENERATOR_TABLES_H_
