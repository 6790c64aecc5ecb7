#include "scenarios/set_value.h"

#include <cmath>
#include <filesystem>
#include <limits>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;

// Parses digits, or a real that is a whole number ("141e9").
template <typename Int>
absl::Status ParseInteger(const std::string& path, const std::string& text, Int* value) {
  if (absl::SimpleAtoi(text, value)) return absl::OkStatus();
  double real = 0;
  const bool is_real = absl::SimpleAtod(text, &real) && std::isfinite(real);
  if (is_real && real != std::floor(real)) {
    return RefuseSet(path, absl::StrCat(Quoted(text), " is not a whole number"));
  }
  if (!is_real)
    return RefuseSet(path, absl::StrCat(Quoted(text), " is not a number; give a whole one"));
  // One above the largest value: a power of 2, which a double holds, as it does the least value.
  const double end = std::ldexp(1.0, std::numeric_limits<Int>::digits);
  if (real < static_cast<double>(std::numeric_limits<Int>::min()) || real >= end) {
    return RefuseSet(
        path, absl::StrCat(Quoted(text), " is out of range; give ", std::numeric_limits<Int>::min(),
                           " to ", std::numeric_limits<Int>::max()));
  }
  if (std::abs(real) > 0x1p53) {
    return RefuseSet(path, absl::StrCat(Quoted(text),
                                        " is above 9007199254740992 (2^53), where this notation "
                                        "is not exact; write out all digits"));
  }
  *value = static_cast<Int>(real);
  return absl::OkStatus();
}

absl::StatusOr<double> ParseReal(const std::string& path, const std::string& text) {
  double value = 0;
  if (absl::SimpleAtod(text, &value) && std::isfinite(value)) return value;
  return RefuseSet(path, absl::StrCat(Quoted(text), " is not a finite number"));
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
  return RefuseSet(path, absl::StrCat(Quoted(text), " is none of ", names));
}

// Sets, replaces or appends one value. `Set` and `Add` are the reflection's pair for its type.
template <typename Value, typename Set, typename SetAt, typename Add>
void Store(const FieldTarget& target, bool append, const Value& value, Set set, SetAt set_at,
           Add add) {
  const Reflection& reflection = *target.parent->GetReflection();
  if (append) {
    (reflection.*add)(target.parent, target.field, value);
  } else if (target.index >= 0) {
    (reflection.*set_at)(target.parent, target.field, target.index, value);
  } else {
    (reflection.*set)(target.parent, target.field, value);
  }
}

absl::Status SetText(const std::string& path, const std::string& text, const FieldTarget& target) {
  std::string value = text;
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  if (IsFilePath(path, value)) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(value, error);
    if (error)
      return RefuseSet(path, "the working directory cannot be read; give an absolute path");
    const std::string name = absolute.lexically_normal().string();
    if (!IsFileName(name)) return RefuseSet(path, absl::StrCat(Quoted(value), kNoFileName));
    value = name;
  }
  const Reflection& reflection = *target.parent->GetReflection();
  reflection.SetString(target.parent, target.field, value);
  return absl::OkStatus();
}

template <typename Int, typename Set, typename SetAt, typename Add>
absl::Status SetInteger(const std::string& path, const std::string& text, const FieldTarget& target,
                        bool append, Set set, SetAt set_at, Add add) {
  Int value = 0;
  TIERSCOPE_RETURN_IF_ERROR(ParseInteger(path, text, &value));
  Store(target, append, value, set, set_at, add);
  return absl::OkStatus();
}

}  // namespace

absl::Status RefuseSet(const std::string& path, absl::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat("--set ", absl::CHexEscape(path.substr(0, 100)), ": ", problem));
}

bool IsPresetPath(const std::string& path) {
  return path == "model.preset" || path == "hardware.preset" || path == "node.preset" ||
         path == "hardware.step_model.kernels.preset";
}

bool IsFileName(const std::string& value) {
  constexpr size_t kBytesMax = 4095;  // PATH_MAX without its end
  return value.size() <= kBytesMax && IsPlainText(value);
}

bool IsFilePath(const std::string& path, const std::string& value) {
  if (value.empty()) return false;
  if (path == "workload.trace" || path == "workload.attention.trace") return true;
  return IsPresetPath(path) && (absl::StrContains(value, '/') || absl::EndsWith(value, ".txtpb"));
}

absl::Status SetValue(const std::string& path, const std::string& text, const FieldTarget& target,
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
        return RefuseSet(path, absl::StrCat(Quoted(text), " is neither true nor false"));
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
  return RefuseSet(path, "cannot be set from the command line; write it into the file");
}

}  // namespace tierscope
