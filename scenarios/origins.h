// Where each value of a scenario was given, for messages: file:line:column, or the --set that set
// it. Owned by one load; not thread-safe.
#ifndef TIERSCOPE_SCENARIOS_ORIGINS_H_
#define TIERSCOPE_SCENARIOS_ORIGINS_H_

#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"

namespace tierscope {

class Origins {
 public:
  // Notes the position in `file` of every field set in `message`, which was parsed with `tree`,
  // under `prefix`. A path that is known already keeps its origin.
  void AddFile(const google::protobuf::Message& message,
               const google::protobuf::TextFormat::ParseInfoTree& tree, const std::string& prefix,
               const std::string& file);

  // Notes that `path` was given with --set, and forgets what was known of it and of what is inside
  // it.
  void AddOverride(const std::string& path);

  // The same, and that it was given as unset: no preset fills it.
  void AddUnset(const std::string& path);
  const std::set<std::string>& unset() const { return unset_; }

  // Forgets `path` and all that is inside it.
  void Forget(const std::string& path);

  bool IsOverride(const std::string& path) const;

  // "file:line:column: path", "--set path", or "file: path" of the scenario where nobody gave it.
  std::string Where(const std::string& path) const;

  // InvalidArgument: "<where>: <problem>".
  absl::Status Error(const std::string& path, absl::string_view problem) const;

 private:
  void AddPosition(const std::string& path,
                   const google::protobuf::TextFormat::ParseLocation& location,
                   const std::string& file);

  std::map<std::string, std::string> positions_;  // empty value: --set
  std::set<std::string> unset_;
  std::string file_;  // of the scenario
};

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_ORIGINS_H_
