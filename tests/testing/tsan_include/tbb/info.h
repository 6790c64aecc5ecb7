// See tbb_stand_in.h.
#ifndef TIERSCOPE_TESTS_TESTING_TSAN_INCLUDE_TBB_INFO_H_
#define TIERSCOPE_TESTS_TESTING_TSAN_INCLUDE_TBB_INFO_H_

#include "tests/testing/tsan_include/tbb_stand_in.h"

#endif  // TIERSCOPE_TESTS_TESTING_TSAN_INCLUDE_TBB_INFO_H_
