#include "calibration/card.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace tierscope {
namespace {

constexpr double kPeakSlack = 1.05;
constexpr double kMfuMin = 0.05;  // below, three decimals say too little

std::string Tflop(double flop_per_ns) {
  return absl::StrFormat("%.0f TFLOP/s", flop_per_ns * 1e-3);
}

std::string ChipOf(const std::string& name) {
  for (const absl::string_view word : absl::StrSplit(name, ' ')) {
    if (std::any_of(word.begin(), word.end(), absl::ascii_isdigit)) return std::string(word);
  }
  return name;
}

}  // namespace

Card CardOf(const Hardware& hardware, int32_t sm_count) {
  return {hardware.gpu(), RatesOf(hardware, sm_count)};
}

absl::Status CheckRate(const KernelTable& table, size_t row, double flop, double us,
                       double peak_flop_per_ns, const Card& card) {
  const double rate = flop / (us * 1e3);
  if (rate <= peak_flop_per_ns * kPeakSlack) return absl::OkStatus();
  return table.Error(row, absl::StrCat("runs at ", Tflop(rate), ", more than the ",
                                       Tflop(peak_flop_per_ns), " of ", card.name,
                                       ": a table of another card or in other units; give the "
                                       "hardware that it was measured on"));
}

absl::Status CheckMfu(const KernelTable& table, size_t row, double flop, double us, double mfu,
                      double peak_flop_per_ns, const Card& card) {
  if (mfu < kMfuMin) return absl::OkStatus();
  const double implied = flop / (us * 1e3) / mfu;
  const double slack = 0.05 + 0.0005 / mfu;
  if (std::abs(implied / peak_flop_per_ns - 1.0) <= slack) return absl::OkStatus();
  return table.Error(
      row, absl::StrCat("its mfu implies a card of ", Tflop(implied), ", and ", card.name, " has ",
                        Tflop(peak_flop_per_ns), ": give the hardware that it was measured on"));
}

absl::Status CheckDevice(const KernelTable& table, const Card& card) {
  if (!table.HasColumn("device")) return absl::OkStatus();
  const std::string chip = ChipOf(card.name);
  for (size_t row = 0; row < table.rows(); ++row) {
    const std::string& device = table.Text(row, "device");
    if (absl::StrContains(absl::AsciiStrToLower(device), absl::AsciiStrToLower(chip))) continue;
    return table.Error(row, absl::StrCat("measured on '", device, "', not on ", card.name,
                                         ": give the hardware that it was measured on"));
  }
  return absl::OkStatus();
}

}  // namespace tierscope
