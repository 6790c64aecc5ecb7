// A loop with a race, which tests/tsan.sh must see reported: else its other results say nothing.
#include "tbb/parallel_for.h"

int main() {
  int sum = 0;
  tbb::parallel_for(0, 1000, [&sum](int i) { sum += i; });
  return sum == 0 ? 1 : 0;
}
