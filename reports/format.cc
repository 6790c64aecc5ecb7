#include "reports/format.h"

#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"

#include "sim/base/units.h"

namespace tierscope {
namespace {

constexpr absl::string_view kCountUnits[] = {"steps", "tokens", "requests", "selections", "pages"};

constexpr double kMillisecondsMax = 10'000;  // from here on a person reads seconds

bool IsCount(absl::string_view unit) {
  for (absl::string_view count_unit : kCountUnits) {
    if (unit == count_unit) return true;
  }
  return false;
}

std::string WithSeparators(absl::string_view digits) {
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string ToChars(double value, std::chars_format format, int precision) {
  char buffer[400];  // the longest double in fixed form has 309 digits before the point
  const std::to_chars_result end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, format, precision);
  return std::string(buffer, end.ptr);
}

// `magnitude` >= 0 with `decimals` digits after the point, thousands separated.
std::string Fixed(double magnitude, int decimals) {
  const std::string text = ToChars(magnitude, std::chars_format::fixed, decimals);
  const size_t point = text.find('.');
  if (point == std::string::npos) return WithSeparators(text);
  return absl::StrCat(WithSeparators(text.substr(0, point)), text.substr(point));
}

int DecimalsFor(double magnitude) {
  if (magnitude >= 1000) return 0;
  if (magnitude >= 100) return 1;
  if (magnitude >= 10) return 2;
  return magnitude >= 0.1 ? 3 : 4;
}

}  // namespace

std::string FormatCount(int64_t value) {
  const std::string digits = absl::StrCat(value);
  if (value >= 0) return WithSeparators(digits);
  return absl::StrCat("-", WithSeparators(digits.substr(1)));
}

std::string FormatNumber(double value) {
  if (value == 0) return "0";
  const double magnitude = std::abs(value);
  const absl::string_view sign = value < 0 ? "-" : "";
  if (magnitude < 0.001 || magnitude >= 1e15) {
    return absl::StrCat(sign, ToChars(magnitude, std::chars_format::scientific, 2));
  }
  return absl::StrCat(sign, Fixed(magnitude, DecimalsFor(magnitude)));
}

std::string FormatPercent(double fraction) {
  if (fraction == 0) return "0 %";
  if (fraction == 1) return "100 %";
  if (fraction > 0 && fraction < 0.0001) return "<0.01 %";
  if (fraction > 0.9999 && fraction < 1) return ">99.99 %";
  const bool near_an_end = (fraction > 0 && fraction < 0.01) || (fraction > 0.99 && fraction < 1);
  const absl::string_view sign = fraction < 0 ? "-" : "";
  return absl::StrCat(sign, Fixed(std::abs(fraction) * 100, near_an_end ? 2 : 1), " %");
}

std::string FormatFixed(double value, int decimals) {
  if (value == 0) return "0";
  const double magnitude = std::abs(value);
  const absl::string_view sign = value < 0 ? "-" : "";
  const double least = std::pow(10.0, -decimals);
  if (magnitude < least) return absl::StrCat(value < 0 ? ">-" : "<", Fixed(least, decimals));
  return absl::StrCat(sign, Fixed(magnitude, decimals));
}

std::string FormatGib(int64_t bytes) { return absl::StrCat(FormatFixed(ToGiB(bytes), 2), " GiB"); }

std::string FormatValue(double value, absl::string_view unit) {
  if (unit == "fraction") return FormatPercent(value);
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  if (IsCount(unit) && whole) return FormatCount(static_cast<int64_t>(value));
  return FormatNumber(value);
}

std::string FormatQuantity(double value, absl::string_view unit) {
  if (unit == "ms" && std::abs(value) >= kMillisecondsMax) {
    return absl::StrCat(FormatNumber(value * 1e-3), " s");
  }
  const std::string text = FormatValue(value, unit);
  return unit == "fraction" || IsCount(unit) ? text : absl::StrCat(text, " ", unit);
}

}  // namespace tierscope
