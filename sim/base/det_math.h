// exp, log, sigmoid, sine and cosine that give the same bits on every x86-64. glibc's pick FMA
// variants by CPU, so simulator and generator use these; sqrt is exact by IEEE 754 and stays
// std::sqrt. Relative error below 1e-14 (of sine and cosine: absolute) over the range stated;
// tested against libm.
#ifndef TIERSCOPE_SIM_BASE_DET_MATH_H_
#define TIERSCOPE_SIM_BASE_DET_MATH_H_

namespace tierscope {

// e^x. Returns 0 below -745 and infinity above 709.78.
double DetExp(double x);

// Natural logarithm. Precondition: x > 0 and normal.
double DetLog(double x);

// x^y = e^(y log x). Precondition: x > 0.
inline double DetPow(double x, double y) { return DetExp(y * DetLog(x)); }

// 1 / (1 + e^-x).
inline double DetSigmoid(double x) { return 1.0 / (1.0 + DetExp(-x)); }

struct SinCos {
  double sin;
  double cos;
};

// Sine and cosine of x radians. Precondition: |x| <= 2^26.
SinCos DetSinCos(double x);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_DET_MATH_H_
