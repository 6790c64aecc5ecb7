// A kernel with a planted mistake must not pass: mutant_main CASE PATTERN. Exits 0 when the case,
// or the SIMT machine that runs it, reports something that contains PATTERN.
#include <cstdio>
#include <cstring>

#include "tests/kernels/kernel_case.h"
#include "tests/testing/simt.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::string report;
  for (const auto& test : tierscope::testing::KernelCases()) {
    if (std::strcmp(test.name, argv[1]) != 0) continue;
    report = test.run(1, tierscope::testing::CaseSize::kSmall) + "\n";
    for (const std::string& line : tierscope::simt::TakeViolations()) report += line + "\n";
  }
  std::printf("%s", report.c_str());
  return report.find(argv[2]) != std::string::npos ? 0 : 1;
}
