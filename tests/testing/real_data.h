// Published traces that lie beside a checkout in ../shared/data; tests skip with a reason where
// they are absent.
#ifndef TIERSCOPE_TESTS_TESTING_REAL_DATA_H_
#define TIERSCOPE_TESTS_TESTING_REAL_DATA_H_

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace tierscope::testing {

inline std::string RealDataPath(const std::string& name) {
  return std::string(TIERSCOPE_SOURCE_DIR) + "/../shared/data/" + name;
}

// The folder of WEKA's development split, unpacked once into the build folder; "" when it cannot
// be.
inline std::string UnpackedWeka() {
  namespace fs = std::filesystem;
  const std::string folder = std::string(TIERSCOPE_TEST_DATA_DIR) + "/weka_dev";
  if (fs::is_directory(folder)) return folder + "/traces";
  const std::string partial = folder + "." + std::to_string(getpid());
  fs::create_directories(partial);
  const std::string command = "cd '" + partial + "' && '" TIERSCOPE_CMAKE_COMMAND "' -E tar xf '" +
                              RealDataPath("weka-kv-cache-tester/traces_dev.tar.xz") + "'";
  if (std::system(command.c_str()) != 0) {
    fs::remove_all(partial);
    return "";
  }
  std::error_code error;
  fs::rename(partial, folder, error);  // another test may have been faster
  if (error) fs::remove_all(partial);
  return folder + "/traces";
}

}  // namespace tierscope::testing

// Skips the test when a file of ../shared/data is not there.
#define TIERSCOPE_SKIP_WITHOUT_REAL_DATA(name)                                                    \
  if (!std::filesystem::exists(::tierscope::testing::RealDataPath(name))) {                       \
    GTEST_SKIP() << ::tierscope::testing::RealDataPath(name) << " is absent: put the data there"; \
  }

#endif  // TIERSCOPE_TESTS_TESTING_REAL_DATA_H_
