#include "scenarios/overrides.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

#include "scenarios/fields.h"
#include "scenarios/set_value.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

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

absl::Status UnknownPath(const Message& root, const std::string& path) {
  return RefuseSet(path, absl::StrCat("no such field; the nearest is ",
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

absl::Status CheckIndex(const std::string& path, const FieldTarget& target) {
  if (target.index < 0) return absl::OkStatus();
  if (!target.field->is_repeated()) {
    return RefuseSet(path, absl::StrCat(target.field->name(), " is no list; drop the index"));
  }
  const int elements = target.parent->GetReflection()->FieldSize(*target.parent, target.field);
  if (target.index < elements) return absl::OkStatus();
  return RefuseSet(path,
                   absl::StrCat(target.field->name(), " has ", elements,
                                " elements, counted from 0; write further ones into the file"));
}

absl::StatusOr<FieldTarget> Find(const std::string& path, Message* root) {
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  Message* message = root;
  for (size_t i = 0; i < parts.size(); ++i) {
    std::string name;
    FieldTarget target{message, nullptr, -1};
    if (!SplitIndex(parts[i], &name, &target.index)) return UnknownPath(*root, path);
    target.field = message->GetDescriptor()->FindFieldByName(name);
    if (target.field == nullptr) return UnknownPath(*root, path);
    TIERSCOPE_RETURN_IF_ERROR(CheckIndex(path, target));
    const bool is_message = target.field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (i + 1 == parts.size()) {
      if (!is_message) return target;
      return RefuseSet(path, absl::StrCat("is a group of fields; set one of them, such as ",
                                          NearestPath(*root->GetDescriptor(), path)));
    }
    if (!is_message) return UnknownPath(*root, path);
    const Reflection* reflection = message->GetReflection();
    if (!target.field->is_repeated()) {
      message = reflection->MutableMessage(message, target.field);
    } else if (target.index >= 0) {
      message = reflection->MutableRepeatedMessage(message, target.field, target.index);
    } else {
      return RefuseSet(path,
                       absl::StrCat(name, " is a list; name an element, such as ", name, "[0]"));
    }
  }
  return UnknownPath(*root, path);
}

absl::Status SetList(const Override& set, const FieldTarget& target) {
  absl::string_view list = absl::StripAsciiWhitespace(set.value);
  if (absl::ConsumePrefix(&list, "[") && !absl::ConsumeSuffix(&list, "]")) {
    return RefuseSet(set.path, "the list has no closing ]");
  }
  target.parent->GetReflection()->ClearField(target.parent, target.field);
  for (const absl::string_view element : absl::StrSplit(list, ',', absl::SkipWhitespace())) {
    const std::string text(absl::StripAsciiWhitespace(element));
    TIERSCOPE_RETURN_IF_ERROR(SetValue(set.path, text, target, /*append=*/true));
  }
  return absl::OkStatus();
}

// "none" for numbers and flags, nothing for text: an empty number is a typing error, and NONE an
// enum's.
bool Unsets(const std::string& value, const FieldTarget& target) {
  if (target.index >= 0) return false;
  if (target.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) return value.empty();
  return value == "none" && target.field->cpp_type() != FieldDescriptor::CPPTYPE_ENUM;
}

absl::Status Apply(const Override& set, Scenario* scenario, Origins* origins) {
  TIERSCOPE_ASSIGN_OR_RETURN(const FieldTarget target, Find(set.path, scenario));
  const bool whole_list = target.field->is_repeated() && target.index < 0;
  const std::string value(absl::StripAsciiWhitespace(set.value));
  if (Unsets(value, target)) {
    target.parent->GetReflection()->ClearField(target.parent, target.field);
    origins->AddUnset(set.path);
    return absl::OkStatus();
  }
  if (whole_list) {
    TIERSCOPE_RETURN_IF_ERROR(SetList(set, target));
  } else {
    TIERSCOPE_RETURN_IF_ERROR(SetValue(set.path, value, target, /*append=*/false));
  }
  origins->AddOverride(set.path);
  return absl::OkStatus();
}

// A message without a preset is one somebody wrote out; a preset given with --set stands in its
// place.
void DropWrittenOut(absl::string_view path, Scenario* scenario, Origins* origins) {
  absl::ConsumeSuffix(&path, ".preset");
  Message* parent = scenario;
  const FieldDescriptor* field = nullptr;
  for (const absl::string_view name : absl::StrSplit(path, '.')) {
    if (field != nullptr) parent = parent->GetReflection()->MutableMessage(parent, field);
    field = parent->GetDescriptor()->FindFieldByName(std::string(name));
  }
  const Reflection& reflection = *parent->GetReflection();
  const Message& written = reflection.GetMessage(*parent, field);
  const FieldDescriptor* preset = written.GetDescriptor()->FindFieldByName("preset");
  if (!written.GetReflection()->GetString(written, preset).empty()) return;
  reflection.ClearField(parent, field);
  origins->Forget(std::string(path));
}

}  // namespace

absl::StatusOr<std::vector<Override>> ParseOverrides(const std::vector<std::string>& sets) {
  std::vector<Override> overrides;
  for (const std::string& set : sets) {
    for (const std::string& piece : SplitPieces(set)) {
      const size_t equals = piece.find('=');
      const std::string path(absl::StripAsciiWhitespace(piece.substr(0, equals)));
      if (equals == std::string::npos || path.empty()) {
        return RefuseSet(piece, "is not path=value; write for example --set policy.tau_steps=32");
      }
      overrides.push_back({path, piece.substr(equals + 1)});
    }
  }
  return overrides;
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

void ClearUnset(const Origins& origins, Scenario* scenario) {
  for (const std::string& path : origins.unset()) {
    const absl::StatusOr<FieldTarget> target = Find(path, scenario);
    if (target.ok()) target->parent->GetReflection()->ClearField(target->parent, target->field);
  }
}

}  // namespace tierscope
