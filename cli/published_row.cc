#include "cli/published_row.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tierscope::cli {

PublishedRow NumberRow(const std::string& id, const std::string& subject, double published,
                       double predicted, const char* format, const std::string& unit,
                       double tolerance, bool relative) {
  const auto value = [&](double v) {
    return absl::StrCat(absl::StrFormat(*absl::ParsedFormat<'f'>::New(format), v),
                        unit.empty() ? "" : " ", unit);
  };
  PublishedRow row;
  row.id = id;
  row.subject = subject;
  row.published = value(published);
  row.predicted = value(predicted);
  row.error = predicted / published - 1.0;
  row.bound = relative          ? absl::StrFormat("%.3g %%", 100.0 * tolerance)
              : tolerance > 0.0 ? absl::StrFormat("%.3g %s", tolerance, unit)
                                : "exact";
  const double off = std::abs(predicted - published);
  row.pass = off <= (relative ? tolerance * published : tolerance);
  return row;
}

}  // namespace tierscope::cli
