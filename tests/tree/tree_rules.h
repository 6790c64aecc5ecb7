// The rules that the whole source tree keeps: who includes whom, what results may not depend on,
// how long a file gets, no path of a machine. Pure functions of one file's path and text, so that a
// test can hand them bad examples. Not a compiler: a tokenizer that knows comments, literals and
// directives.
#ifndef TIERSCOPE_TESTS_TREE_TREE_RULES_H_
#define TIERSCOPE_TESTS_TREE_TREE_RULES_H_

#include <string>
#include <vector>

namespace tierscope::testing {

struct TreeFile {
  std::string path;  // from the repository's root
  std::string text;
};

// One folder and what it may include besides itself and sim/base: folders, or single files.
struct LayerRow {
  std::string folder;
  std::vector<std::string> may_include;  // {"*"}: everything
};

// design.md, section 2, a row a folder.
const std::vector<LayerRow>& LayerTable();

// The longest folder of the table that holds `path`; "" when none does.
std::string LayerOf(const std::string& path);

// What the file breaks, "path:line: what" each; empty when nothing.
std::vector<std::string> LayeringViolations(const TreeFile& file);     // #include and import
std::vector<std::string> DeterminismViolations(const TreeFile& file);  // sim/ and traces/ only
std::vector<std::string> LengthViolations(const TreeFile& file);       // source files only
std::vector<std::string> MachinePathViolations(const TreeFile& file);  // any text

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TREE_TREE_RULES_H_
