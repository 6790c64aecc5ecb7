// Sets one field of a message from the text of a --set value. Stateless; thread-safe.
#ifndef TIERSCOPE_SCENARIOS_SET_VALUE_H_
#define TIERSCOPE_SCENARIOS_SET_VALUE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace tierscope {

// Where a path leads: the message that holds the field, the field, and the element where one is
// named.
struct FieldTarget {
  google::protobuf::Message* parent;
  const google::protobuf::FieldDescriptor* field;
  int index;  // -1: the field itself
};

// InvalidArgument "--set <path>: <problem>".
absl::Status RefuseSet(const std::string& path, absl::string_view problem);

// Sets `target`, or appends to it, from `text`: enums without regard to case, whole numbers also as
// 141e9, strings with or without double quotes, file names made absolute against the working
// directory. `path` names the field in messages. InvalidArgument when the text is no value of the
// field's type.
absl::Status SetValue(const std::string& path, const std::string& text, const FieldTarget& target,
                      bool append);

// Whether the value at `path` names a file: an attention or request trace, or a preset's file.
bool IsFilePath(const std::string& path, const std::string& value);

// Whether a system could open it and a message show it: no control characters, at most 4,095 bytes.
bool IsFileName(const std::string& value);

// What is wrong with a value that is none.
inline constexpr char kNoFileName[] =
    " is no file name; give one without control "
    "characters, of at most 4,095 bytes";

// "model.preset", "hardware.preset" and "node.preset".
bool IsPresetPath(const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_SET_VALUE_H_
