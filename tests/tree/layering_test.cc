// The tree keeps its rules, and the rules bite: each is shown a bad example that it must refuse.
#include <stdio.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

#include "tests/tree/tree_rules.h"

namespace tierscope::testing {
namespace {

using Rule = std::vector<std::string> (*)(const TreeFile&);

// Tracked files, and new ones that nothing ignores.
std::vector<std::string> ListTree() {
  const std::string command = absl::StrCat("git -c safe.directory='*' -C '", TIERSCOPE_SOURCE_DIR,
                                           "' ls-files -z --cached --others --exclude-standard");
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, n);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return absl::StrSplit(output, '\0', absl::SkipEmpty());
}

std::vector<TreeFile> ReadTree() {
  std::vector<TreeFile> files;
  for (const std::string& path : ListTree()) {
    std::ifstream file(absl::StrCat(TIERSCOPE_SOURCE_DIR, "/", path), std::ios::binary);
    if (!file) continue;  // removed, and the removal is not yet committed
    std::ostringstream text;
    text << file.rdbuf();
    files.push_back({path, text.str()});
  }
  return files;
}

std::string AllViolations(Rule rule) {
  std::vector<std::string> all;
  for (const TreeFile& file : ReadTree()) {
    for (std::string& violation : rule(file)) all.push_back(std::move(violation));
  }
  return absl::StrJoin(all, "\n");
}

std::string Of(Rule rule, const std::string& path, const std::string& text) {
  return absl::StrJoin(rule({path, text}), "\n");
}

TEST(TreeTest, IsReadWhole) {
  const std::vector<TreeFile> files = ReadTree();
  std::set<std::string> layers;
  size_t includes = 0;
  for (const TreeFile& file : files) {
    layers.insert(LayerOf(file.path));
    for (size_t at = 0; (at = file.text.find("#include \"", at)) != std::string::npos; ++at)
      ++includes;
  }
  EXPECT_GT(files.size(), 200u);
  EXPECT_GT(includes, 500u);
  for (const char* layer :
       {"cli", "sim/base", "sim/policy", "sim/demand", "sim/model", "sim/engine", "traces",
        "scenarios", "reports", "reports/schema", "tests"}) {
    EXPECT_TRUE(layers.count(layer)) << layer;
  }
}

TEST(TreeTest, IncludesFollowTheDesign) { EXPECT_EQ(AllViolations(LayeringViolations), ""); }
TEST(TreeTest, ResultsDependOnNoMachine) { EXPECT_EQ(AllViolations(DeterminismViolations), ""); }
TEST(TreeTest, NoFileIsLong) { EXPECT_EQ(AllViolations(LengthViolations), ""); }
TEST(TreeTest, NoPathOfAMachine) { EXPECT_EQ(AllViolations(MachinePathViolations), ""); }

// The table once more, the other way round: every pair of folders, allowed or not.
TEST(LayeringRuleTest, EveryDirectionOfTheTable) {
  for (const LayerRow& from : LayerTable()) {
    for (const LayerRow& to : LayerTable()) {
      const bool everything = from.may_include == std::vector<std::string>{"*"};
      const bool listed =
          std::count(from.may_include.begin(), from.may_include.end(), to.folder) > 0;
      const bool allowed =
          everything || listed || from.folder == to.folder || to.folder == "sim/base";
      const std::string text = absl::StrCat("#include \"", to.folder, "/x.h\"\n");
      EXPECT_EQ(Of(LayeringViolations, from.folder + "/a.cc", text).empty(), allowed)
          << from.folder << " -> " << to.folder;
    }
  }
}

TEST(LayeringRuleTest, RefusesBadIncludes) {
  EXPECT_EQ(Of(LayeringViolations, "sim/policy/a.h", "\n#include \"sim/engine/replica.h\"\n"),
            "sim/policy/a.h:2: sim/policy may not include sim/engine/replica.h");
  EXPECT_EQ(Of(LayeringViolations, "sim/engine/a.cc", "#include \"traces/container.h\"\n"),
            "sim/engine/a.cc:1: sim/engine may not include traces/container.h");
  const char* bad[] = {"#include \"sim/engine/replica.h\"",
                       "  #  include \"cli/verb.h\"",
                       "#include <cli/verb.h>",
                       "#include \"../cli/verb.h\"",
                       "#include \"x.h\"",
                       "#include \"sim/new/x.h\"",
                       "#include \"sim/x.h\"",
                       "#include <cuda_runtime.h>",
                       "import \"cli/x.proto\";"};
  for (const char* text : bad) EXPECT_NE(Of(LayeringViolations, "traces/a.h", text), "") << text;
  EXPECT_NE(Of(LayeringViolations, "util/a.cc", ""), "") << "a new folder at the top";
  EXPECT_NE(Of(LayeringViolations, "sim/new/a.cc", ""), "") << "a new folder of sim";
  EXPECT_NE(Of(LayeringViolations, "kernels/a.cu", "#include \"absl/status/status.h\""), "");
}

TEST(LayeringRuleTest, TakesGoodIncludes) {
  const char* good[] = {"#include \"traces/b.h\"", "#include \"sim/base/rng.h\"",
                        "#include <vector>", "#include \"absl/status/status.h\"",
                        "// #include \"cli/verb.h\""};
  for (const char* text : good) EXPECT_EQ(Of(LayeringViolations, "traces/a.h", text), "") << text;
  EXPECT_EQ(Of(LayeringViolations, "sim/engine/a.h", "#include \"traces/request_trace.h\""), "");
  EXPECT_EQ(Of(LayeringViolations, "kernels/a.cu", "#include <cuda_runtime.h>"), "");
}

TEST(DeterminismRuleTest, RefusesWhatDiffersBetweenMachines) {
  EXPECT_EQ(Of(DeterminismViolations, "sim/base/a.cc", "// std::exp\nx = std::exp(y);\n"),
            "sim/base/a.cc:2: exp of libm, whose bits differ between CPUs; sim/base/det_math.h has "
            "its own");
  const char* bad[] = {"x = exp(y);",
                       "x = ::exp(y);",
                       "x = 1'000 + logf(y);",
                       "std::transform(a, b, c, std::log2<double>);",
                       "return __builtin_pow(x, y);",
                       "auto f = &std::round;",
                       "std::normal_distribution<double> d;",
                       "std :: uniform_int_distribution d;",
                       "absl::BitGen gen;",
                       "#include <random>",
                       "#include \"absl/random/random.h\"",
                       "auto t = std::chrono::steady_clock::now();"};
  for (const char* path : {"sim/engine/a.cc", "sim/policy/a.h", "traces/generator.cc"}) {
    for (const char* text : bad) EXPECT_NE(Of(DeterminismViolations, path, text), "") << text;
  }
}

TEST(DeterminismRuleTest, TakesWhatIsExact) {
  const char* good[] = {
      "x = std::sqrt(y) + std::ceil(y) + std::floor(y);",
      "n = std::llround(y);",
      "if (std::isfinite(y)) return;",
      "x = DetExp(y);",
      "out.round(y); out->log(\"exp(x)\");",
      "Table::pow(2); int exp = 3;",
      "/* std::exp(y)\n std::log(y) */ // pow(2)\nconst char* s = R\"(exp(x))\";"};
  for (const char* text : good)
    EXPECT_EQ(Of(DeterminismViolations, "sim/base/a.cc", text), "") << text;
  EXPECT_EQ(Of(DeterminismViolations, "reports/format.cc", "x = std::pow(10, y);"), "");
}

TEST(LengthRuleTest, RefusesLine501) {
  const auto lines = [](int n) { return absl::StrJoin(std::vector<std::string>(n + 1), "\n"); };
  EXPECT_EQ(Of(LengthViolations, "cli/a.cc", lines(500)), "");
  EXPECT_NE(Of(LengthViolations, "cli/a.cc", lines(501)), "");
  EXPECT_NE(Of(LengthViolations, "check.sh", lines(501)), "");
  EXPECT_EQ(Of(LengthViolations, "tests/golden/a.csv", lines(501)), "");
}

TEST(MachinePathRuleTest, RefusesPathsOfAMachine) {
  for (const char* top : {"work", "root", "home", "Users"}) {
    const std::string path = absl::StrCat("/", top, "/someone");
    for (const std::string before : {"", "DIR=", "see \"", "(", " "}) {
      EXPECT_NE(Of(MachinePathViolations, "cli/README.md", before + path), "") << before << path;
    }
    EXPECT_EQ(Of(MachinePathViolations, "a.md", "https://example.org" + path), "");
    EXPECT_EQ(Of(MachinePathViolations, "a.md", "../shared" + path), "");
  }
}

}  // namespace
}  // namespace tierscope::testing
