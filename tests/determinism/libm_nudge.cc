// Preloaded, this stands in libm's place and makes every function whose bits differ between CPUs
// wrong in the 30th bit. What a run with it writes tells whether any of them is called: switching
// the CPU's FMA off changes one result of exp in about 1,400, which a few calls would survive.
// The long double functions are libm's own and give the value to spoil.
#include <cmath>

namespace {
double Nudge(long double value) { return static_cast<double>(value * (1.0L + 1e-9L)); }
float NudgeFloat(long double value) { return static_cast<float>(value * (1.0L + 1e-5L)); }
}  // namespace

#define TIERSCOPE_NUDGE_1(name)                                                            \
  extern "C" double name(double x) { return Nudge(name##l(static_cast<long double>(x))); } \
  extern "C" float name##f(float x) { return NudgeFloat(name##l(static_cast<long double>(x))); }
#define TIERSCOPE_NUDGE_2(name)                                                           \
  extern "C" double name(double x, double y) {                                            \
    return Nudge(name##l(static_cast<long double>(x), static_cast<long double>(y)));      \
  }                                                                                       \
  extern "C" float name##f(float x, float y) {                                            \
    return NudgeFloat(name##l(static_cast<long double>(x), static_cast<long double>(y))); \
  }

TIERSCOPE_NUDGE_1(acos)
TIERSCOPE_NUDGE_1(acosh)
TIERSCOPE_NUDGE_1(asin)
TIERSCOPE_NUDGE_1(asinh)
TIERSCOPE_NUDGE_1(atan)
TIERSCOPE_NUDGE_1(atanh)
TIERSCOPE_NUDGE_1(cbrt)
TIERSCOPE_NUDGE_1(cos)
TIERSCOPE_NUDGE_1(cosh)
TIERSCOPE_NUDGE_1(erf)
TIERSCOPE_NUDGE_1(erfc)
TIERSCOPE_NUDGE_1(exp)
TIERSCOPE_NUDGE_1(exp2)
TIERSCOPE_NUDGE_1(expm1)
TIERSCOPE_NUDGE_1(lgamma)
TIERSCOPE_NUDGE_1(log)
TIERSCOPE_NUDGE_1(log10)
TIERSCOPE_NUDGE_1(log1p)
TIERSCOPE_NUDGE_1(log2)
TIERSCOPE_NUDGE_1(sin)
TIERSCOPE_NUDGE_1(sinh)
TIERSCOPE_NUDGE_1(tan)
TIERSCOPE_NUDGE_1(tanh)
TIERSCOPE_NUDGE_1(tgamma)
TIERSCOPE_NUDGE_2(atan2)
TIERSCOPE_NUDGE_2(hypot)
TIERSCOPE_NUDGE_2(pow)
