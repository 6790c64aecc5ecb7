// Prints a hardware profile of made-up times for the CPU of this machine: without it a
// reconciliation would have to be calibrated first.
#include "tests/testing/made_up_profile.h"

#include <cstdio>

int main() {
  using namespace tierscope;
  std::fputs(ProfileText(testing::MadeUpProfile(), "a browser test").c_str(), stdout);
  return 0;
}
