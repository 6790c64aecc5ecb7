// The JSON of a sweep turned on its side for the page: an array a metric instead of an object a
// point, constant columns once, so that 10,000 points take a tenth of the room. Bounded: where the
// budget is reached further metrics are left out and named.
#ifndef TIERSCOPE_REPORTS_SWEEP_COLUMNS_H_
#define TIERSCOPE_REPORTS_SWEEP_COLUMNS_H_

#include <string>

#include "absl/status/statusor.h"

namespace simdjson::dom {
class element;
}

namespace tierscope {

inline constexpr size_t kSweepColumnBytesMax = size_t{9} << 20;

// {"sweep", "build", "objectives", "limits", "front", "points", "axes": [{"name", "values"}],
//  "seeds", "errors": [[point, text]], "metrics": [{"name", "unit", "constant" | "values"}],
//  "left_out": [name]}; null where a point has no value. Metrics of the objectives come first, the
// others in the order of their definitions. `path` stands in errors: a point without its members.
absl::StatusOr<std::string> SweepColumns(const std::string& path,
                                         const simdjson::dom::element& sweep);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_SWEEP_COLUMNS_H_
