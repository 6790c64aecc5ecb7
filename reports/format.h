// Numbers as a person reads them. Independent of the locale. Pure functions.
#ifndef TIERSCOPE_REPORTS_FORMAT_H_
#define TIERSCOPE_REPORTS_FORMAT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace tierscope {

// 1234567 -> "1,234,567".
std::string FormatCount(int64_t value);

// Four digits that mean something, thousands separated: 88.1 -> "88.10", 12345.6 -> "12,346",
// 0.01234 -> "0.0123", 3e-9 -> "3.00e-09". An exact 0 is "0".
std::string FormatNumber(double value);

// A share in [0, 1] as percent: 0.9731 -> "97.3 %", finer within 1 % of either end. Never rounds to
// 0 or 100 what is not: 0.999999 -> ">99.99 %", 1e-9 -> "<0.01 %".
std::string FormatPercent(double fraction);

// `decimals` digits after the point, so that a column of them lines up; "<0.01" for what would
// round to 0.
std::string FormatFixed(double value, int decimals);

// Bytes in GiB with two decimals, "1.50 GiB".
std::string FormatGib(int64_t bytes);

// A metric's value in its unit of MetricDef: "97.3 %" for a fraction, "1,234" for a count,
// otherwise number and unit, ms from 10,000 on as s.
std::string FormatQuantity(double value, absl::string_view unit);

// The same without the unit, for tables that show the unit in its own column; a fraction stays
// percent.
std::string FormatValue(double value, absl::string_view unit);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_FORMAT_H_
