#include "scenarios/overrides.h"

#include <cmath>
#include <filesystem>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "scenarios/fields.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

absl::Status Refuse(const std::string& path, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("--set ", path.substr(0, 100), ": ", problem));
}

// A value as a message shows it.
std::string Quoted(const std::string& value) { return absl::StrCat("'", value.substr(0, 60), "'"); }

bool IsPathChar(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '[' ||
         c == ']';
}

// Whether "name=" stands at `from`.
bool NameFollows(const std::string& text, size_t from) {
  size_t i = from;
  while (i < text.size() && IsPathChar(text[i])) ++i;
  return i > from && i < text.size() && text[i] == '=' &&
         !absl::ascii_isdigit(static_cast<unsigned char>(text[from]));
}

std::vector<std::string> SplitPieces(const std::string& text) {
  std::vector<std::string> pieces(1);
  bool quoted = false;
  int brackets = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') quoted = !quoted;
    if (!quoted && c == '[') ++brackets;
    if (!quoted && c == ']') --brackets;
    if (c == ',' && !quoted && brackets <= 0 && NameFollows(text, i + 1)) {
      pieces.emplace_back();
    } else {
      pieces.back() += c;
    }
  }
  return pieces;
}

// Where a path leads: the message that holds the field, the field, and the element where one is
// named.
struct Target {
  Message* parent;
  const FieldDescriptor* field;
  int index;
};

absl::Status UnknownPath(const Message& root, const std::string& path) {
  return Refuse(path, absl::StrCat("no such field; the nearest is ",
                                   NearestPath(*root.GetDescriptor(), path)));
}

// Splits "classes[0]" into its name and index, -1 without one. False when it is neither.
bool SplitIndex(absl::string_view part, std::string* name, int* index) {
  *index = -1;
  const size_t open = part.find('[');
  *name = std::string(part.substr(0, open));
  if (open == absl::string_view::npos) return true;
  absl::string_view digits = part.substr(open + 1);
  return absl::ConsumeSuffix(&digits, "]") && absl::SimpleAtoi(digits, index) && *index >= 0;
}

absl::Status CheckIndex(const std::string& path, const Target& target) {
  if (target.index < 0) return absl::OkStatus();
  if (!target.field->is_repeated()) {
    return Refuse(path, absl::StrCat(target.field->name(), " is no list; drop the index"));
  }
  const int elements = target.parent->GetReflection()->FieldSize(*target.parent, target.field);
  if (target.index < elements) return absl::OkStatus();
  return Refuse(path, absl::StrCat(target.field->name(), " has ", elements,
                                   " elements, counted from 0; write further ones into the file"));
}

absl::StatusOr<Target> Find(const std::string& path, Message* root) {
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  Message* message = root;
  for (size_t i = 0; i < parts.size(); ++i) {
    std::string name;
    Target target{message, nullptr, -1};
    if (!SplitIndex(parts[i], &name, &target.index)) return UnknownPath(*root, path);
    target.field = message->GetDescriptor()->FindFieldByName(name);
    if (target.field == nullptr) return UnknownPath(*root, path);
    TIERSCOPE_RETURN_IF_ERROR(CheckIndex(path, target));
    const bool is_message = target.field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (i + 1 == parts.size()) {
      if (!is_message) return target;
      return Refuse(path, absl::StrCat("is a group of fields; set one of them, such as ",
                                       NearestPath(*root->GetDescriptor(), path)));
    }
    if (!is_message) return UnknownPath(*root, path);
    const Reflection* reflection = message->GetReflection();
    if (!target.field->is_repeated()) {
      message = reflection->MutableMessage(message, target.field);
    } else if (target.index >= 0) {
      message = reflection->MutableRepeatedMessage(message, target.field, target.index);
    } else {
      return Refuse(path, absl::StrCat(name, " is a list; name an element, such as ", name, "[0]"));
    }
  }
  return UnknownPath(*root, path);
}

// Parses digits, or a real that is a whole number ("141e9").
template <typename Int>
absl::Status ParseInteger(const std::string& path, const std::string& text, Int* value) {
  if (absl::SimpleAtoi(text, value)) return absl::OkStatus();
  double real = 0;
  const bool is_real = absl::SimpleAtod(text, &real) && std::isfinite(real);
  if (is_real && real != std::floor(real)) {
    return Refuse(path, absl::StrCat(Quoted(text), " is not a whole number"));
  }
  if (!is_real)
    return Refuse(path, absl::StrCat(Quoted(text), " is not a number; give a whole one"));
  // 2^53: above it a double no longer holds every whole number.
  const double limit = std::min(0x1p53, static_cast<double>(std::numeric_limits<Int>::max()));
  if (real < (std::is_signed_v<Int> ? -limit : 0.0) || real > limit) {
    return Refuse(
        path, absl::StrCat(Quoted(text), " is out of range; give ", std::numeric_limits<Int>::min(),
                           " to ", std::numeric_limits<Int>::max()));
  }
  *value = static_cast<Int>(real);
  return absl::OkStatus();
}

absl::StatusOr<double> ParseReal(const std::string& path, const std::string& text) {
  double value = 0;
  if (absl::SimpleAtod(text, &value) && std::isfinite(value)) return value;
  return Refuse(path, absl::StrCat(Quoted(text), " is not a finite number"));
}

absl::StatusOr<const EnumValueDescriptor*> ParseEnum(const std::string& path,
                                                     const std::string& text,
                                                     const EnumDescriptor& type) {
  std::string names;
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor* value = type.value(i);
    if (absl::EqualsIgnoreCase(absl::string_view(value->name()), text)) return value;
    absl::StrAppend(&names, names.empty() ? "" : ", ", value->name());
  }
  return Refuse(path, absl::StrCat(Quoted(text), " is none of ", names));
}

// Sets, replaces or appends one value. `Set` and `Add` are the reflection's pair for its type.
template <typename Value, typename Set, typename SetAt, typename Add>
void Store(const Target& target, bool append, const Value& value, Set set, SetAt set_at, Add add) {
  const Reflection& reflection = *target.parent->GetReflection();
  if (append) {
    (reflection.*add)(target.parent, target.field, value);
  } else if (target.index >= 0) {
    (reflection.*set_at)(target.parent, target.field, target.index, value);
  } else {
    (reflection.*set)(target.parent, target.field, value);
  }
}

absl::Status SetText(const std::string& path, const std::string& text, const Target& target) {
  std::string value = text;
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  if (IsFilePath(path, value)) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(value, error);
    if (error) return Refuse(path, "the working directory cannot be read; give an absolute path");
    value = absolute.lexically_normal().string();
  }
  const Reflection& reflection = *target.parent->GetReflection();
  reflection.SetString(target.parent, target.field, value);
  return absl::OkStatus();
}

template <typename Int, typename Set, typename SetAt, typename Add>
absl::Status SetInteger(const std::string& path, const std::string& text, const Target& target,
                        bool append, Set set, SetAt set_at, Add add) {
  Int value = 0;
  TIERSCOPE_RETURN_IF_ERROR(ParseInteger(path, text, &value));
  Store(target, append, value, set, set_at, add);
  return absl::OkStatus();
}

absl::Status SetScalar(const std::string& path, const std::string& text, const Target& target,
                       bool append) {
  using R = Reflection;
  switch (target.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return SetInteger<int32_t>(path, text, target, append, &R::SetInt32, &R::SetRepeatedInt32,
                                 &R::AddInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return SetInteger<int64_t>(path, text, target, append, &R::SetInt64, &R::SetRepeatedInt64,
                                 &R::AddInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return SetInteger<uint32_t>(path, text, target, append, &R::SetUInt32, &R::SetRepeatedUInt32,
                                  &R::AddUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return SetInteger<uint64_t>(path, text, target, append, &R::SetUInt64, &R::SetRepeatedUInt64,
                                  &R::AddUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      TIERSCOPE_ASSIGN_OR_RETURN(const double value, ParseReal(path, text));
      Store(target, append, value, &R::SetDouble, &R::SetRepeatedDouble, &R::AddDouble);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      bool value = false;
      if (!absl::SimpleAtob(text, &value)) {
        return Refuse(path, absl::StrCat(Quoted(text), " is neither true nor false"));
      }
      Store(target, append, value, &R::SetBool, &R::SetRepeatedBool, &R::AddBool);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      TIERSCOPE_ASSIGN_OR_RETURN(const EnumValueDescriptor* value,
                                 ParseEnum(path, text, *target.field->enum_type()));
      Store(target, append, value, &R::SetEnum, &R::SetRepeatedEnum, &R::AddEnum);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_STRING:
      return SetText(path, text, target);
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return Refuse(path, "cannot be set from the command line; write it into the file");
}

absl::Status SetList(const Override& set, const Target& target) {
  absl::string_view list = absl::StripAsciiWhitespace(set.value);
  if (absl::ConsumePrefix(&list, "[") && !absl::ConsumeSuffix(&list, "]")) {
    return Refuse(set.path, "the list has no closing ]");
  }
  target.parent->GetReflection()->ClearField(target.parent, target.field);
  for (const absl::string_view element : absl::StrSplit(list, ',', absl::SkipWhitespace())) {
    const std::string text(absl::StripAsciiWhitespace(element));
    TIERSCOPE_RETURN_IF_ERROR(SetScalar(set.path, text, target, /*append=*/true));
  }
  return absl::OkStatus();
}

absl::Status Apply(const Override& set, Scenario* scenario, Origins* origins) {
  TIERSCOPE_ASSIGN_OR_RETURN(const Target target, Find(set.path, scenario));
  const bool whole_list = target.field->is_repeated() && target.index < 0;
  const std::string value(absl::StripAsciiWhitespace(set.value));
  if (value.empty() && target.index < 0) {
    target.parent->GetReflection()->ClearField(target.parent, target.field);
  } else if (whole_list) {
    TIERSCOPE_RETURN_IF_ERROR(SetList(set, target));
  } else {
    TIERSCOPE_RETURN_IF_ERROR(SetScalar(set.path, value, target, /*append=*/false));
  }
  origins->AddOverride(set.path);
  return absl::OkStatus();
}

bool IsPresetPath(const std::string& path) {
  return path == "model.preset" || path == "hardware.preset" || path == "node.preset";
}

// A message without a preset is one somebody wrote out; a preset given with --set stands in its
// place.
void DropWrittenOut(const std::string& path, Scenario* scenario, Origins* origins) {
  const std::string name = path.substr(0, path.find('.'));
  const FieldDescriptor* field = scenario->GetDescriptor()->FindFieldByName(name);
  const Reflection& reflection = *scenario->GetReflection();
  const Message& written = reflection.GetMessage(*scenario, field);
  const FieldDescriptor* preset = written.GetDescriptor()->FindFieldByName("preset");
  if (!written.GetReflection()->GetString(written, preset).empty()) return;
  reflection.ClearField(scenario, field);
  origins->Forget(name);
}

}  // namespace

absl::StatusOr<std::vector<Override>> ParseOverrides(const std::vector<std::string>& sets) {
  std::vector<Override> overrides;
  for (const std::string& set : sets) {
    for (const std::string& piece : SplitPieces(set)) {
      const size_t equals = piece.find('=');
      const std::string path(absl::StripAsciiWhitespace(piece.substr(0, equals)));
      if (equals == std::string::npos || path.empty()) {
        return Refuse(piece, "is not path=value; write for example --set policy.tau_steps=32");
      }
      overrides.push_back({path, piece.substr(equals + 1)});
    }
  }
  return overrides;
}

bool IsFilePath(const std::string& path, const std::string& value) {
  if (value.empty()) return false;
  if (path == "workload.trace" || path == "workload.attention.trace") return true;
  return IsPresetPath(path) && (absl::StrContains(value, '/') || absl::EndsWith(value, ".txtpb"));
}

absl::Status ApplyOverrides(const std::vector<Override>& overrides, Scenario* scenario,
                            Origins* origins) {
  for (const Override& set : overrides) {
    if (IsPresetPath(set.path)) DropWrittenOut(set.path, scenario, origins);
  }
  for (const Override& set : overrides) {
    TIERSCOPE_RETURN_IF_ERROR(Apply(set, scenario, origins));
  }
  return absl::OkStatus();
}

}  // namespace tierscope
