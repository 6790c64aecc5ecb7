// Runs the tierscope binary and keeps what it wrote.
#ifndef TIERSCOPE_TESTS_TESTING_COMMAND_H_
#define TIERSCOPE_TESTS_TESTING_COMMAND_H_

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

#include "tests/testing/temp_folder.h"

namespace tierscope::testing {

struct CommandOutput {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// `arguments` are the shell's words after the binary's name.
inline CommandOutput RunTierscope(const std::string& arguments) {
  const TempFolder folder;
  const std::string command = std::string(TIERSCOPE_BINARY) + " " + arguments + " >" +
                              folder.File("out") + " 2>" + folder.File("err");
  const int status = std::system(command.c_str());
  const auto text_of = [&folder](const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(folder.File(name), std::ios::binary).rdbuf();
    return text.str();
  };
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of("out"), text_of("err")};
}

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TESTING_COMMAND_H_
