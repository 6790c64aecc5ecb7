// Field paths of a scenario ("policy.tau_steps", "workload.classes[0].weight") over protobuf
// reflection. Stateless; thread-safe.
#ifndef TIERSCOPE_SCENARIOS_FIELDS_H_
#define TIERSCOPE_SCENARIOS_FIELDS_H_

#include <functional>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace tierscope {

// One value that is set: a scalar, an element of a repeated scalar, or a message.
struct FieldValue {
  const google::protobuf::Message* parent;
  const google::protobuf::FieldDescriptor* field;
  int index;  // -1 unless the field is repeated
};

// The path of `field` inside the message at path `prefix`; an element's where index >= 0.
std::string FieldPath(const std::string& prefix, const google::protobuf::FieldDescriptor& field,
                      int index = -1);

// Calls `visit` for everything set in `message`, in order of declaration, a message before its
// fields.
void VisitSetFields(
    const google::protobuf::Message& message, const std::string& prefix,
    const std::function<void(const std::string& path, const FieldValue& value)>& visit);

// A numeric value as a double (64-bit integers are rounded). Precondition: `value` is numeric.
double NumericValue(const FieldValue& value);
bool IsNumeric(const google::protobuf::FieldDescriptor& field);
bool IsInteger(const google::protobuf::FieldDescriptor& field);

// Every scalar path that `type` can hold, elements of a repeated field as "[]".
std::vector<std::string> SchemaPaths(const google::protobuf::Descriptor& type);

// "a.b[3].c" -> "a.b[].c".
std::string WithoutIndices(const std::string& path);

// The schema path most like `path`: one that ends in the same name, or else the one fewest edits
// away.
std::string NearestPath(const google::protobuf::Descriptor& type, const std::string& path);

// Sets every unset scalar field that declares a default to it, in sub-messages too.
void FillDefaults(google::protobuf::Message* message);

// Sets in `into` what is set in `from` and not in `into`; a repeated field counts as one value.
void FillUnset(const google::protobuf::Message& from, google::protobuf::Message* into);

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_FIELDS_H_
