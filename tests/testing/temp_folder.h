// A new empty folder of one test, removed with all it holds at the end of the scope.
#ifndef TIERSCOPE_TESTS_TESTING_TEMP_FOLDER_H_
#define TIERSCOPE_TESTS_TESTING_TEMP_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace tierscope::testing {

class TempFolder {
 public:
  TempFolder() {
    path_ = (std::filesystem::temp_directory_path() / "tierscope-test-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TESTING_TEMP_FOLDER_H_
