// Prints, a line a function, a digest of what this process's libm computes. glibc picks variants of
// exp, pow and sin by CPU; determinism_test uses it to see that its switches reach libm.
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace {

template <typename Function>
void PrintDigest(const char* name, Function function) {
  uint64_t digest = 14695981039346656037u;
  for (int i = 1; i < 200'000; ++i) {
    const double y = function(i * 0.00123456789);
    uint64_t bits = 0;
    std::memcpy(&bits, &y, sizeof bits);
    digest = (digest ^ bits) * 1099511628211u;
  }
  std::printf("%s %016" PRIx64 "\n", name, digest);
}

}  // namespace

int main() {
  PrintDigest("exp", [](double x) { return std::exp(x / 40); });
  PrintDigest("pow", [](double x) { return std::pow(x, 1.37); });
  PrintDigest("sin", [](double x) { return std::sin(x); });
  PrintDigest("log", [](double x) { return std::log(x); });
  PrintDigest("exp2", [](double x) { return std::exp2(x / 40); });
  PrintDigest("atan2", [](double x) { return std::atan2(x, 0.7); });
  PrintDigest("cbrt", [](double x) { return std::cbrt(x); });
}
