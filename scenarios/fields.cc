#include "scenarios/fields.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "sim/base/check.h"

namespace tierscope {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

bool IsMessage(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

bool DeclaresDefaults(const Descriptor& type) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.has_default_value()) return true;
    if (IsMessage(field) && !field.is_repeated() && DeclaresDefaults(*field.message_type())) {
      return true;
    }
  }
  return false;
}

void SetToDefault(const FieldDescriptor& field, Message* message) {
  const Reflection& reflection = *message->GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(message, &field, field.default_value_int32());
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(message, &field, field.default_value_int64());
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.SetUInt32(message, &field, field.default_value_uint32());
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(message, &field, field.default_value_uint64());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(message, &field, field.default_value_double());
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.SetFloat(message, &field, field.default_value_float());
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(message, &field, field.default_value_bool());
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnum(message, &field, field.default_value_enum());
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(message, &field, field.default_value_string());
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  TIERSCOPE_CHECK(false);
}

// Clears in `target` each repeated field that `by` sets.
void ClearRepeated(const Message& by, Message* target) {
  std::vector<const FieldDescriptor*> fields;
  by.GetReflection()->ListFields(by, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated()) {
      target->GetReflection()->ClearField(target, field);
    } else if (IsMessage(*field)) {
      ClearRepeated(by.GetReflection()->GetMessage(by, field),
                    target->GetReflection()->MutableMessage(target, field));
    }
  }
}

void AddSchemaPaths(const Descriptor& type, const std::string& prefix,
                    std::vector<std::string>* paths) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string path =
        absl::StrCat(FieldPath(prefix, field), field.is_repeated() ? "[]" : "");
    if (IsMessage(field)) {
      AddSchemaPaths(*field.message_type(), path, paths);
    } else {
      paths->push_back(path);
    }
  }
}

std::string LastName(const std::string& path) { return path.substr(path.rfind('.') + 1); }

// Levenshtein distance, one row at a time.
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string FieldPath(const std::string& prefix, const FieldDescriptor& field, int index) {
  std::string path = absl::StrCat(prefix, prefix.empty() ? "" : ".", field.name());
  if (index >= 0) absl::StrAppend(&path, "[", index, "]");
  return path;
}

void VisitSetFields(
    const Message& message, const std::string& prefix,
    const std::function<void(const std::string& path, const FieldValue& value)>& visit) {
  const Reflection& reflection = *message.GetReflection();
  const Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    if (!field->is_repeated()) {
      if (!reflection.HasField(message, field)) continue;
      const std::string path = FieldPath(prefix, *field);
      visit(path, {&message, field, -1});
      if (IsMessage(*field)) VisitSetFields(reflection.GetMessage(message, field), path, visit);
      continue;
    }
    for (int k = 0; k < reflection.FieldSize(message, field); ++k) {
      const std::string path = FieldPath(prefix, *field, k);
      visit(path, {&message, field, k});
      if (!IsMessage(*field)) continue;
      VisitSetFields(reflection.GetRepeatedMessage(message, field, k), path, visit);
    }
  }
}

bool IsInteger(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return true;
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_BOOL:
    case FieldDescriptor::CPPTYPE_ENUM:
    case FieldDescriptor::CPPTYPE_STRING:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return false;
  }
  return false;
}

bool IsNumeric(const FieldDescriptor& field) {
  return IsInteger(field) || field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE ||
         field.cpp_type() == FieldDescriptor::CPPTYPE_FLOAT;
}

double NumericValue(const FieldValue& value) {
  TIERSCOPE_CHECK(IsNumeric(*value.field));
  const Reflection& r = *value.parent->GetReflection();
  const Message& m = *value.parent;
  const FieldDescriptor* f = value.field;
  const int i = value.index;
  const bool one = i < 0;
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? r.GetInt32(m, f) : r.GetRepeatedInt32(m, f, i);
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<double>(one ? r.GetInt64(m, f) : r.GetRepeatedInt64(m, f, i));
    case FieldDescriptor::CPPTYPE_UINT32:
      return one ? r.GetUInt32(m, f) : r.GetRepeatedUInt32(m, f, i);
    case FieldDescriptor::CPPTYPE_UINT64:
      return static_cast<double>(one ? r.GetUInt64(m, f) : r.GetRepeatedUInt64(m, f, i));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return static_cast<double>(one ? r.GetFloat(m, f) : r.GetRepeatedFloat(m, f, i));
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_BOOL:
    case FieldDescriptor::CPPTYPE_ENUM:
    case FieldDescriptor::CPPTYPE_STRING:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return one ? r.GetDouble(m, f) : r.GetRepeatedDouble(m, f, i);
}

std::vector<std::string> SchemaPaths(const Descriptor& type) {
  std::vector<std::string> paths;
  AddSchemaPaths(type, "", &paths);
  return paths;
}

std::string WithoutIndices(const std::string& path) {
  std::string plain;
  bool inside = false;
  for (const char c : path) {
    if (c == ']') inside = false;
    if (!inside) plain += c;
    if (c == '[') inside = true;
  }
  return plain;
}

std::string NearestPath(const Descriptor& type, const std::string& path) {
  // A path is typed, so it is short; what is longer cannot be near anything.
  const std::string wanted = WithoutIndices(path).substr(0, 100);
  std::string nearest;
  size_t fewest = 0;
  for (const std::string& candidate : SchemaPaths(type)) {
    const bool akin =
        LastName(candidate) == LastName(wanted) || absl::StartsWith(candidate, wanted);
    const size_t distance = (akin ? 0 : 1000) + EditDistance(candidate, wanted);
    if (nearest.empty() || distance < fewest) {
      nearest = candidate;
      fewest = distance;
    }
  }
  return nearest;
}

void FillDefaults(Message* message) {
  const Reflection& reflection = *message->GetReflection();
  const Descriptor& type = *message->GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    if (IsMessage(*field) && field->is_repeated()) {
      for (int k = 0; k < reflection.FieldSize(*message, field); ++k) {
        FillDefaults(reflection.MutableRepeatedMessage(message, field, k));
      }
    } else if (IsMessage(*field)) {
      const bool wanted =
          reflection.HasField(*message, field) || DeclaresDefaults(*field->message_type());
      if (wanted) FillDefaults(reflection.MutableMessage(message, field));
    } else if (!field->is_repeated() && field->has_default_value() &&
               !reflection.HasField(*message, field)) {
      SetToDefault(*field, message);
    }
  }
}

void FillUnset(const Message& from, Message* into) {
  std::unique_ptr<Message> merged(from.New());
  merged->CopyFrom(from);
  ClearRepeated(*into, merged.get());
  merged->MergeFrom(*into);
  into->CopyFrom(*merged);
}

}  // namespace tierscope
