#include "scenarios/origins.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "scenarios/fields.h"

namespace tierscope {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

namespace {

// Of an element of a list "[1, 2]", which is located as a whole: that of its first element.
TextFormat::ParseLocation LocationOf(const TextFormat::ParseInfoTree& tree,
                                     const FieldDescriptor* field, int index) {
  const TextFormat::ParseLocation location = tree.GetLocation(field, index);
  return location.line < 0 && index > 0 ? tree.GetLocation(field, 0) : location;
}

}  // namespace

void Origins::AddPosition(const std::string& path, const TextFormat::ParseLocation& location,
                          const std::string& file) {
  if (location.line < 0) return;
  positions_.emplace(path, absl::StrCat(file, ":", location.line + 1, ":", location.column + 1));
}

void Origins::AddFile(const Message& message, const TextFormat::ParseInfoTree& tree,
                      const std::string& prefix, const std::string& file) {
  if (prefix.empty()) file_ = file;
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool repeated = field->is_repeated();
    const int last = repeated ? reflection.FieldSize(message, field) - 1 : -1;
    for (int i = repeated ? 0 : -1; i <= last; ++i) {
      const std::string path = FieldPath(prefix, *field, i);
      AddPosition(path, LocationOf(tree, field, i), file);
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
      const TextFormat::ParseInfoTree* inner = tree.GetTreeForNested(field, i);
      if (inner == nullptr) continue;
      AddFile(repeated ? reflection.GetRepeatedMessage(message, field, i)
                       : reflection.GetMessage(message, field),
              *inner, path, file);
    }
  }
}

void Origins::AddOverride(const std::string& path) {
  Forget(path);
  positions_[path] = "";
}

void Origins::AddUnset(const std::string& path) {
  AddOverride(path);
  unset_.insert(path);
}

void Origins::Forget(const std::string& path) {
  unset_.erase(path);
  for (auto it = positions_.lower_bound(path);
       it != positions_.end() && absl::StartsWith(it->first, path);) {
    const char next = it->first.size() == path.size() ? '\0' : it->first[path.size()];
    const bool inside = next == '\0' || next == '.' || next == '[';
    it = inside ? positions_.erase(it) : std::next(it);
  }
}

bool Origins::IsOverride(const std::string& path) const {
  const auto it = positions_.find(path);
  return it != positions_.end() && it->second.empty();
}

std::string Origins::Where(const std::string& path) const {
  const auto it = positions_.find(path);
  if (it == positions_.end()) {
    // An element of a list that --set gave whole.
    const std::string list = path.substr(0, path.rfind('['));
    if (IsOverride(list)) return absl::StrCat("--set ", list);
    return file_.empty() ? path : absl::StrCat(file_, ": ", path);
  }
  if (it->second.empty()) return absl::StrCat("--set ", path);
  return absl::StrCat(it->second, ": ", path);
}

absl::Status Origins::Error(const std::string& path, absl::string_view problem) const {
  return absl::InvalidArgumentError(absl::StrCat(Where(path), ": ", problem));
}

}  // namespace tierscope
