// Runs that the tests of the reports share. The numbers are made up but hang together: pools sum to
// the totals, causes to the stall, misses to the coverage.
#ifndef TIERSCOPE_TESTS_REPORTS_SAMPLE_RUN_H_
#define TIERSCOPE_TESTS_REPORTS_SAMPLE_RUN_H_

#include "reports/host_result.h"

namespace tierscope::testing {

// 60 requests under lsa, no prefill.
RunReport SampleLsaRun();

// The same load under full: fewer requests, no recall, no coverage to lose.
RunReport SampleFullRun();

// Every string of it is hostile: quotes, markup, line breaks, escape sequences, bytes that are not
// UTF-8.
RunReport HostileRun();

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_REPORTS_SAMPLE_RUN_H_
