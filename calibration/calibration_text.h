// A calibration as the text of a preset.
#ifndef TIERSCOPE_CALIBRATION_CALIBRATION_TEXT_H_
#define TIERSCOPE_CALIBRATION_CALIBRATION_TEXT_H_

#include <string>

#include "scenarios/calibration.pb.h"

namespace tierscope {

// Cuts every double to six significant digits, so that a file holds what was fitted exactly.
void RoundForText(google::protobuf::Message* message);

// The preset's text, each number with its source in a comment; `command` made it.
std::string CalibrationText(const CalibrationFile& file, const std::string& command);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_CALIBRATION_TEXT_H_
