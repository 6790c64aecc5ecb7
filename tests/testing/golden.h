// Expected text in files: tests/golden/<name>. UPDATE_GOLDEN=1 in the environment rewrites a file
// instead of comparing; the rewritten file is reviewed as a diff.
#ifndef TIERSCOPE_TESTS_TESTING_GOLDEN_H_
#define TIERSCOPE_TESTS_TESTING_GOLDEN_H_

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace tierscope::testing {

// The whole file, or a failure of the test and "".
inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    ADD_FAILURE() << "cannot read " << path;
    return "";
  }
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void ExpectGolden(const std::string& actual, const std::string& name) {
  const std::string path = std::string(TIERSCOPE_SOURCE_DIR) + "/tests/golden/" + name;
  const char* update = std::getenv("UPDATE_GOLDEN");
  if (update != nullptr && std::string(update) == "1") {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << actual;
    ASSERT_TRUE(file.good()) << "cannot write " << path;
    return;
  }
  EXPECT_EQ(actual, ReadFile(path)) << path << " differs; UPDATE_GOLDEN=1 rewrites it";
}

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TESTING_GOLDEN_H_
