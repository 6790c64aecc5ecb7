// The card that tables were measured on, and the checks that they were.
#ifndef TIERSCOPE_CALIBRATION_CARD_H_
#define TIERSCOPE_CALIBRATION_CARD_H_

#include <string>

#include "absl/status/status.h"

#include "calibration/kernel_table.h"
#include "scenarios/scenario.pb.h"
#include "sim/model/kernel_model.h"

namespace tierscope {

struct Card {
  std::string name;  // "NVIDIA H100 SXM"
  CardRates rates;
};

Card CardOf(const Hardware& hardware, int32_t sm_count);

// The row does `flop` in `us` microseconds: no more than the peak of its type allows (5 % of slack
// for clocks). InvalidArgument at the row's file and line: a table of another card, or of other
// units.
absl::Status CheckRate(const KernelTable& table, size_t row, double flop, double us,
                       double peak_flop_per_ns, const Card& card);

// The peak that a row's own `mfu` implies is the card's, within 5 % and the rounding of mfu.
absl::Status CheckMfu(const KernelTable& table, size_t row, double flop, double us, double mfu,
                      double peak_flop_per_ns, const Card& card);

// Where the table has a `device` column, each cell shares the chip's name (the word of `card.name`
// that holds a digit, such as H100) with the card.
absl::Status CheckDevice(const KernelTable& table, const Card& card);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_CARD_H_
