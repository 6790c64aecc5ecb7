// SHA-256 (FIPS 180-4), to name the tables that a fit was made from. Pure; thread-safe.
#ifndef TIERSCOPE_CALIBRATION_SHA256_H_
#define TIERSCOPE_CALIBRATION_SHA256_H_

#include <string>

#include "absl/strings/string_view.h"

namespace tierscope {

// 64 lower-case hexadecimal digits.
std::string Sha256Hex(absl::string_view bytes);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_SHA256_H_
