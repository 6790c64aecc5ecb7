// Early return on a bad status.
#ifndef TIERSCOPE_SIM_BASE_STATUS_MACROS_H_
#define TIERSCOPE_SIM_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define TIERSCOPE_RETURN_IF_ERROR(expression)                 \
  do {                                                        \
    if (absl::Status status_ = (expression); !status_.ok()) { \
      return status_;                                         \
    }                                                         \
  } while (false)

#define TIERSCOPE_CONCAT_INNER(a, b) a##b
#define TIERSCOPE_CONCAT(a, b) TIERSCOPE_CONCAT_INNER(a, b)

// TIERSCOPE_ASSIGN_OR_RETURN(auto x, F()): declares x from F's value or returns F's status.
#define TIERSCOPE_ASSIGN_OR_RETURN(declaration, expression) \
  TIERSCOPE_ASSIGN_OR_RETURN_IMPL(TIERSCOPE_CONCAT(status_or_, __LINE__), declaration, expression)
#define TIERSCOPE_ASSIGN_OR_RETURN_IMPL(result, declaration, expression) \
  auto result = (expression);                                            \
  if (!result.ok()) return std::move(result).status();                   \
  declaration = *std::move(result)

#endif  // TIERSCOPE_SIM_BASE_STATUS_MACROS_H_
