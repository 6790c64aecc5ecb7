#include "scenarios/text_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/io/tokenizer.h"

namespace tierscope {
namespace {

using google::protobuf::TextFormat;

constexpr int kNestingMax = 32;            // the schema nests four deep
constexpr size_t kParserMessageMax = 200;  // a hostile token is quoted no further

class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (!text_.empty()) return;
    // A line below 0 means the input as a whole.
    text_ = line < 0 ? ": " : absl::StrCat(":", line + 1, ":", column + 1, ": ");
    absl::StrAppend(&text_, absl::CHexEscape(message.substr(0, kParserMessageMax)));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  std::error_code ignored;  // a path that cannot be looked at cannot be opened either
  if (std::filesystem::is_directory(path, ignored)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a folder; give a .txtpb file"));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot be opened (", std::strerror(errno), "); check the path"));
  }
  std::string text(kTextFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kTextFileBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is larger than ", kTextFileBytesMax,
                                                   " bytes; give a scenario or preset file"));
  }
  if (text.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is empty; give a .txtpb file"));
  }
  return text;
}

absl::Status ParseText(const std::string& text, const std::string& file,
                       google::protobuf::Message* message, TextFormat::ParseInfoTree* tree) {
  FirstError error;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.WriteLocationsTo(tree);
  parser.SetRecursionLimit(kNestingMax);
  if (parser.ParseFromString(text, message)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(file, error.text()));
}

}  // namespace tierscope
