// Mutations of a sequence of records (inputs.h) that keep the lengths right: records come, go and
// change places, and a record's fields change one at a time, which protobuf's nested lengths would
// hide from plain mutation.
#include <algorithm>
#include <string>
#include <vector>

#include "google/protobuf/message.h"

#include "sim/base/rng.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/mutator.h"
#include "traces/trace.pb.h"

namespace tierscope::testing {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Small steps from what is there, and values at the edges.
int64_t MutateNumber(int64_t value, Rng* rng) {
  constexpr int64_t kEdges[] = {-1, 0, 1, 255, 256, 1 << 24, INT32_MAX, INT32_MIN, INT64_MAX};
  switch (rng->NextBelow(4)) {
    case 0:
      return kEdges[rng->NextBelow(std::size(kEdges))];
    case 1:
      return static_cast<int64_t>(static_cast<uint64_t>(value) ^ uint64_t{1} << rng->NextBelow(40));
    default:
      return static_cast<int64_t>(static_cast<uint64_t>(value) + rng->NextBelow(9) - 4);
  }
}

std::string Mutated(std::string bytes) {
  Mutate(&bytes);
  return bytes;
}

void MutateScalar(const FieldDescriptor* field, Message* message, Rng* rng) {
  const Reflection& r = *message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return r.SetInt32(message, field,
                        static_cast<int32_t>(MutateNumber(r.GetInt32(*message, field), rng)));
    case FieldDescriptor::CPPTYPE_UINT32:
      return r.SetUInt32(message, field,
                         static_cast<uint32_t>(MutateNumber(r.GetUInt32(*message, field), rng)));
    case FieldDescriptor::CPPTYPE_INT64:
      return r.SetInt64(message, field, MutateNumber(r.GetInt64(*message, field), rng));
    case FieldDescriptor::CPPTYPE_BOOL:
      return r.SetBool(message, field, !r.GetBool(*message, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return r.SetEnumValue(message, field,
                            static_cast<int>(MutateNumber(r.GetEnumValue(*message, field), rng)));
    case FieldDescriptor::CPPTYPE_STRING:
      return r.SetString(message, field, Mutated(r.GetString(*message, field)));
    default:
      return;  // the generator's parameters, which readers do not look at
  }
}

// Appends, drops or changes an element of a packed list.
template <typename Number>
void MutateList(google::protobuf::RepeatedField<Number>* list, Rng* rng) {
  const int size = list->size();
  if (size == 0 || rng->NextBelow(3) == 0) {
    list->Add(static_cast<Number>(1 + rng->NextBelow(3)));
  } else if (rng->NextBelow(2) == 0) {
    list->RemoveLast();
  } else {
    const auto at = static_cast<int>(rng->NextBelow(static_cast<uint64_t>(size)));
    list->Set(at, static_cast<Number>(MutateNumber(static_cast<int64_t>(list->Get(at)), rng)));
  }
}

void MutateRepeated(const FieldDescriptor* field, Message* message, Rng* rng) {
  const Reflection& r = *message->GetReflection();
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
    MutateList(r.MutableRepeatedField<uint32_t>(message, field), rng);
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT32) {
    MutateList(r.MutableRepeatedField<int32_t>(message, field), rng);
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
    MutateList(r.MutableRepeatedField<uint64_t>(message, field), rng);
  }
}

// One field of the message, or of a message inside it, set already or not.
void MutateMessage(Message* message, Rng* rng) {
  const auto* type = message->GetDescriptor();
  const auto count = static_cast<uint64_t>(type->field_count());
  const FieldDescriptor* field = type->field(static_cast<int>(rng->NextBelow(count)));
  if (field->is_repeated()) return MutateRepeated(field, message, rng);
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return MutateScalar(field, message, rng);
  }
  MutateMessage(message->GetReflection()->MutableMessage(message, field), rng);
}

// A record keeps its kind more often than not.
void MutateRecord(std::string* bytes, Rng* rng) {
  TraceRecord record;
  if (rng->NextBelow(8) == 0 || !record.ParseFromString(*bytes)) return Mutate(bytes);
  std::vector<const FieldDescriptor*> set;
  record.GetReflection()->ListFields(record, &set);
  if (set.empty() || rng->NextBelow(16) == 0) {
    MutateMessage(&record, rng);
  } else {
    MutateMessage(record.GetReflection()->MutableMessage(&record, set[0]), rng);
  }
  *bytes = record.SerializeAsString();
}

void MutateRecords(std::vector<std::string>* records, Rng* rng) {
  if (records->empty()) records->emplace_back();
  const size_t at = rng->NextBelow(records->size());
  const size_t other = rng->NextBelow(records->size());
  const auto place = records->begin() + static_cast<std::ptrdiff_t>(at);
  switch (rng->NextBelow(12)) {
    case 0:
      records->erase(place);
      return;
    case 1:
      records->insert(place, std::string((*records)[other]));
      return;
    case 2:
      std::swap((*records)[at], (*records)[other]);
      return;
    default:
      return MutateRecord(&*place, rng);
  }
}

}  // namespace
}  // namespace tierscope::testing

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  tierscope::Rng rng(seed);
  std::vector<std::string> records =
      tierscope::testing::SplitRecords({reinterpret_cast<const char*>(data), size});
  for (uint64_t i = 0; i <= rng.NextBelow(3); ++i)
    tierscope::testing::MutateRecords(&records, &rng);
  return tierscope::testing::Give(tierscope::testing::JoinRecords(records), data, max_size);
}
