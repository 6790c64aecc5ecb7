// Wrong words on the command line, and errors that a file name would tear apart.
#include <algorithm>
#include <string>

#include "gtest/gtest.h"

#include "tests/testing/command.h"

namespace tierscope::testing {
namespace {

void ExpectWrong(const std::string& arguments, const std::string& line) {
  const CommandOutput output = RunTierscope(arguments);
  EXPECT_EQ(output.exit_code, 2) << arguments;
  EXPECT_EQ(output.out, "") << arguments;
  EXPECT_EQ(output.err, "tierscope: " + line + "\n");
}

TEST(UsageTest, UnknownAndMissingVerbs) {
  ExpectWrong(
      "frobnicate",
      "unknown verb 'frobnicate'; there are run, cache, calibrate, capacity, compare, indexer, "
      "real, reconcile, report, sweep, "
      "trace, validate; run with --help");
  ExpectWrong(
      "--frob frobnicate x",
      "unknown verb 'frobnicate'; there are run, cache, calibrate, capacity, compare, indexer, "
      "real, reconcile, report, sweep, "
      "trace, validate; run with --help");
  ExpectWrong("",
              "no verb is given; there are run, cache, calibrate, capacity, compare, indexer, "
              "real, reconcile, "
              "report, sweep, trace, validate; run with --help");
  ExpectWrong("trace frobnicate",
              "unknown verb 'frobnicate'; there are generate, import, info, cat, verify; run with "
              "--help");
  ExpectWrong("trace",
              "no verb is given; there are generate, import, info, cat, verify; run with --help");
}

TEST(UsageTest, OtherErrorsStay) {
  ExpectWrong("cache", "TRACE is required; run with --help");
  ExpectWrong("run x --frob", "The following argument was not expected: --frob; run with --help");
}

TEST(UsageTest, AnErrorIsOneLineWhateverTheName) {
  ExpectWrong("cache \"$(printf '/nowhere/a\\nb\\033c\\303\\251.json')\"",
              "/nowhere/a\\nb\\x1bc\xc3\xa9.json: cannot read: No such file or directory; check "
              "the path and its permissions");
}

}  // namespace
}  // namespace tierscope::testing
