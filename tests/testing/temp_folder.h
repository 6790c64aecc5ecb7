// A folder of small files that lives as long as its owner.
#ifndef TIERSCOPE_TESTS_TESTING_TEMP_FOLDER_H_
#define TIERSCOPE_TESTS_TESTING_TEMP_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/string_view.h"

namespace tierscope::testing {

class TempFolder {
 public:
  TempFolder() {
    path_ = (std::filesystem::temp_directory_path() / "tierscope.XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TempFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

  // Writes a file, with its folders, and returns its path.
  std::string Write(const std::string& name, absl::string_view text) const {
    const std::filesystem::path file = File(name);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary)
        .write(text.data(), static_cast<std::streamsize>(text.size()));
    return file.string();
  }

 private:
  std::string path_;
};

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TESTING_TEMP_FOLDER_H_
