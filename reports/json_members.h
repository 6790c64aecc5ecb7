// Members of JSON objects, read one by one with the first problem kept, so that a reader is a list
// of members and looks at the problem once. Header of readers' .cc files only: it brings simdjson.
#ifndef TIERSCOPE_REPORTS_JSON_MEMBERS_H_
#define TIERSCOPE_REPORTS_JSON_MEMBERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "simdjson.h"

#include "sim/base/quoted.h"

namespace tierscope {

// What is wrong with one file.
class JsonProblem {
 public:
  // `what_to_do` ends every message: "path: what; what_to_do".
  JsonProblem(const std::string& path, absl::string_view what_to_do)
      : path_(path), what_to_do_(what_to_do) {}

  // The first problem stays.
  void Found(absl::string_view what) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(absl::StrCat(path_, ": ", what, "; ", what_to_do_));
  }
  void FoundIn(absl::string_view member, absl::string_view what) {
    if (status_.ok()) Found(absl::StrCat(Quoted(member), " ", what));
  }
  const absl::Status& status() const { return status_; }

  // The document of `text`. Null where it is none, a problem then.
  simdjson::dom::element Parse(const std::string& text, simdjson::dom::parser* parser) {
    simdjson::dom::element root;
    const simdjson::error_code error = parser->parse(text).get(root);
    if (error) Found(absl::StrCat("is not JSON (", simdjson::error_message(error), ")"));
    return root;
  }

 private:
  const std::string& path_;
  absl::string_view what_to_do_;
  absl::Status status_;
};

// One object. What is no object has no members. A value of a problem is empty or 0.
class JsonMembers {
 public:
  JsonMembers(const simdjson::dom::element& from, JsonProblem* problem)
      : from_(from), problem_(problem) {}

  std::string Text(const char* key) const {
    return std::string(Get<std::string_view>(key, "is no text"));
  }
  int64_t Int(const char* key) const { return Get<int64_t>(key, "is no whole number"); }
  int32_t Int32(const char* key) const {
    const int64_t value = Int(key);
    if (value != static_cast<int32_t>(value)) problem_->FoundIn(key, "is too large");
    return static_cast<int32_t>(value);
  }
  uint64_t Uint(const char* key) const {
    return Get<uint64_t>(key, "is no whole number from 0 on");
  }
  double Number(const char* key) const { return Get<double>(key, "is no number"); }
  bool Bool(const char* key) const { return Get<bool>(key, "is neither true nor false"); }
  JsonMembers Object(const char* key) const {
    Get<simdjson::dom::object>(key, "is no object");
    simdjson::dom::element value;
    return {from_[key].get(value) ? from_ : value, problem_};
  }
  // Elements of a list, all of one type.
  template <typename T>
  std::vector<T> List(const char* key) const {
    std::vector<T> values;
    for (const simdjson::dom::element element : Elements(key)) {
      T value{};
      if (element.get(value)) problem_->FoundIn(key, "has an element of another type");
      values.push_back(value);
    }
    return values;
  }
  std::vector<JsonMembers> Objects(const char* key) const {
    std::vector<JsonMembers> objects;
    for (const simdjson::dom::element element : Elements(key)) {
      if (!element.is_object()) problem_->FoundIn(key, "has an element that is no object");
      objects.emplace_back(element, problem_);
    }
    return objects;
  }

  bool Has(const char* key) const { return from_[key].error() == simdjson::SUCCESS; }
  bool IsNull(const char* key) const {
    simdjson::dom::element value;
    return from_[key].get(value) == simdjson::SUCCESS && value.is_null();
  }
  const simdjson::dom::element& element() const { return from_; }
  JsonProblem& problem() const { return *problem_; }

 private:
  template <typename T>
  T Get(const char* key, const char* what) const {
    T value{};
    if (from_[key].get(value)) problem_->FoundIn(key, what);
    return value;
  }
  std::vector<simdjson::dom::element> Elements(const char* key) const {
    simdjson::dom::array list;
    if (from_[key].get(list)) {
      problem_->FoundIn(key, "is no list");
      return {};
    }
    return {list.begin(), list.end()};
  }

  simdjson::dom::element from_;
  JsonProblem* problem_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_JSON_MEMBERS_H_
