// Reads and parses text-format files of limited size. Stateless; thread-safe.
#ifndef TIERSCOPE_SCENARIOS_TEXT_FILE_H_
#define TIERSCOPE_SCENARIOS_TEXT_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"

namespace tierscope {

inline constexpr size_t kTextFileBytesMax = size_t{1} << 20;  // of a scenario or preset

// The file's bytes. NotFound when it cannot be opened, InvalidArgument when it is a folder, empty
// or larger than kTextFileBytesMax; never reads more than that.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

// Parses `text` into `message` and its positions into `tree`. InvalidArgument with the first
// problem as "file:line:column: what"; `file` is only named, not read.
absl::Status ParseText(const std::string& text, const std::string& file,
                       google::protobuf::Message* message,
                       google::protobuf::TextFormat::ParseInfoTree* tree);

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_TEXT_FILE_H_
