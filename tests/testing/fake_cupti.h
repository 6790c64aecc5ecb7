// CUPTI's activity records of what the stand-in runtime runs, and what may go wrong with them.
#ifndef TIERSCOPE_TESTS_TESTING_FAKE_CUPTI_H_
#define TIERSCOPE_TESTS_TESTING_FAKE_CUPTI_H_

#include <cstdint>

namespace tierscope::testing {

struct CuptiOptions {
  bool permitted = true;
  int64_t records_until_drop = -1;         // from there on records are dropped; -1: never
  int64_t records_until_untimed = -1;      // that one of an op has no times; -1: none
  bool links = true;                       // false: records belong to no tag
  int64_t clock_ahead_ns = 5'000'000'000;  // of CUPTI's clock before the host's
};
CuptiOptions& TheCupti();

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TESTING_FAKE_CUPTI_H_
