// Which way a metric is better, for comparisons. Stateless.
#ifndef TIERSCOPE_REPORTS_SCHEMA_DIRECTION_H_
#define TIERSCOPE_REPORTS_SCHEMA_DIRECTION_H_

#include "absl/strings/string_view.h"

namespace tierscope {

// kNone: neither way is better by itself (steps, output_tokens): a change is a change.
enum class Direction { kNone, kHigherBetter, kLowerBetter };

// Of a metric of metrics.h or of host.json. A name that stands in no list has none, so that a
// metric someone forgot to list fails a comparison when it changes and cannot pass as an
// improvement.
Direction DirectionOf(absl::string_view metric);

// "higher", "lower" or "none".
absl::string_view DirectionName(Direction direction);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_SCHEMA_DIRECTION_H_
