// What a person reads in the terminal: one run, or several side by side.
// A pure function of its arguments. At most 100 columns; several runs take a block for each four.
#ifndef TIERSCOPE_REPORTS_TABLE_H_
#define TIERSCOPE_REPORTS_TABLE_H_

#include <span>
#include <string>

#include "reports/host_result.h"

namespace tierscope {

struct TableOptions {
  bool color = false;  // escape sequences; only for a terminal
};

// Sections Load, Footprint, Attention, Stall by cause, Speed, then what is absent and why,
// violations and notes. Precondition: at least one run.
std::string RunTable(std::span<const RunReport> runs, TableOptions options = {});

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_TABLE_H_
