// CHECK: our own bugs, on in every build type. Wrong input is a Status, never a CHECK.
#ifndef TIERSCOPE_SIM_BASE_CHECK_H_
#define TIERSCOPE_SIM_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

namespace tierscope::internal {

[[noreturn]] inline void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: internal error, please report: CHECK(%s) failed\n", file, line,
               condition);
  std::abort();
}

}  // namespace tierscope::internal

#define TIERSCOPE_CHECK(condition) \
  ((condition) ? (void)0 : ::tierscope::internal::CheckFailed(__FILE__, __LINE__, #condition))

#endif  // TIERSCOPE_SIM_BASE_CHECK_H_
