// Prints a digest of what this process's libm computes. glibc picks variants of exp, log and sin by
// CPU; determinism_test uses it to see that switching the CPU's features off does something.
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <initializer_list>

int main() {
  uint64_t digest = 14695981039346656037u;
  for (int i = 1; i < 200'000; ++i) {
    const double x = i * 0.00123456789;
    for (const double y : {std::exp(x / 40), std::log(x), std::sin(x), std::pow(x, 1.37)}) {
      uint64_t bits = 0;
      std::memcpy(&bits, &y, sizeof bits);
      digest = (digest ^ bits) * 1099511628211u;
    }
  }
  std::printf("%016" PRIx64 "\n", digest);
}
