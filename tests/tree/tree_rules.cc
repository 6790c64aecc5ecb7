#include "tests/tree/tree_rules.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

#include "tests/tree/tokens.h"

namespace tierscope::testing {
namespace {

constexpr int kLinesMax = 500;

std::string At(const TreeFile& file, int line, absl::string_view what) {
  return absl::StrCat(file.path, ":", line, ": ", what);
}

bool EndsWithAny(absl::string_view path, std::initializer_list<absl::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](absl::string_view ending) { return absl::EndsWith(path, ending); });
}

bool IsCuda(absl::string_view path) { return EndsWithAny(path, {".cu", ".cuh"}); }
bool IsCode(absl::string_view path) {
  return IsCuda(path) || EndsWithAny(path, {".h", ".cc", ".proto"});
}
bool IsInside(absl::string_view path, absl::string_view folder) {
  return absl::StartsWith(path, absl::StrCat(folder, "/"));
}

struct Include {
  std::string path;
  bool quoted;
};

// The target of `#include "x"`, `#include <x>` or proto's `import "x"`.
std::optional<Include> ParseInclude(absl::string_view line) {
  line = absl::StripAsciiWhitespace(line);
  if (absl::ConsumePrefix(&line, "#")) {
    line = absl::StripLeadingAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&line, "include")) return std::nullopt;
  } else if (!absl::ConsumePrefix(&line, "import ")) {
    return std::nullopt;
  }
  line = absl::StripLeadingAsciiWhitespace(line);
  if (line.empty() || (line[0] != '"' && line[0] != '<')) return std::nullopt;
  const size_t end = line.find(line[0] == '"' ? '"' : '>', 1);
  if (end == absl::string_view::npos) return std::nullopt;
  return Include{std::string(line.substr(1, end - 1)), line[0] == '"'};
}

bool IsProjectPath(absl::string_view path) {
  const auto& table = LayerTable();
  const std::string top(path.substr(0, path.find('/')));
  return std::any_of(table.begin(), table.end(), [&](const LayerRow& row) {
    return row.folder == top || IsInside(row.folder, top);
  });
}

bool IsExternal(absl::string_view path) {
  static const auto& known =
      *new std::set<std::string>{"absl", "google", "gtest", "gmock",      "benchmark",
                                 "CLI",  "tbb",    "Eigen", "simdjson.h", "zstd.h"};
  return known.count(std::string(path.substr(0, path.find('/')))) > 0;
}

bool MayInclude(const std::string& from, const std::string& target) {
  const std::string layer = LayerOf(target);
  if (layer == from || layer == "sim/base") return true;
  const auto& table = LayerTable();
  const auto row =
      std::find_if(table.begin(), table.end(), [&](const LayerRow& r) { return r.folder == from; });
  return std::any_of(row->may_include.begin(), row->may_include.end(), [&](const std::string& may) {
    return may == "*" || may == layer || may == target;
  });
}

// What is wrong with an include of a library; "" when nothing.
std::string ExternalProblem(const std::string& path, const Include& include) {
  if (include.quoted && !IsExternal(include.path)) {
    return absl::StrCat("\"", include.path, "\" is no path from the root and no known library");
  }
  const bool library = absl::StartsWith(include.path, "absl/") ||
                       absl::StartsWith(include.path, "google/") ||
                       absl::StartsWith(include.path, "Eigen/");
  if (IsCuda(path) && library) return absl::StrCat(include.path, " in CUDA code");
  const bool cuda_allowed = IsInside(path, "real") || IsInside(path, "tests/testing") ||
                            (IsInside(path, "kernels") && IsCuda(path));
  if (absl::StartsWith(include.path, "cuda") && !cuda_allowed) {
    return absl::StrCat(include.path, " outside kernels/*.cu, real/ and tests/testing/");
  }
  return "";
}

std::string IncludeProblem(const std::string& path, const std::string& from,
                           const Include& include) {
  if (absl::StartsWith(include.path, ".") || absl::StrContains(include.path, "/../")) {
    return absl::StrCat("\"", include.path, "\" is not a path from the root");
  }
  if (!IsProjectPath(include.path)) return ExternalProblem(path, include);
  if (LayerOf(include.path).empty())
    return absl::StrCat(include.path, " is in no folder of the design");
  if (MayInclude(from, include.path)) return "";
  return absl::StrCat(from, " may not include ", include.path);
}

// Everything in <cmath> that computes, but sqrt, ceil, floor and llround, which are exact.
bool IsInexactMath(absl::string_view name) {
  static const auto& names = *new std::set<std::string>{
      "acos",   "acosh", "asin",   "asinh",     "atan",      "atan2",     "atanh", "cbrt",
      "cos",    "cosh",  "erf",    "erfc",      "exp",       "exp2",      "expm1", "fabs",
      "fdim",   "fma",   "fmax",   "fmin",      "fmod",      "frexp",     "hypot", "ilogb",
      "ldexp",  "lerp",  "lgamma", "llrint",    "log",       "log10",     "log1p", "log2",
      "logb",   "lrint", "lround", "modf",      "nearbyint", "nextafter", "pow",   "remainder",
      "remquo", "rint",  "round",  "roundeven", "scalbln",   "scalbn",    "sin",   "sincos",
      "sinh",   "tan",   "tanh",   "tgamma",    "trunc",     "beta",      "exp10", "pow10"};
  absl::ConsumePrefix(&name, "__builtin_");
  if (names.count(std::string(name)) > 0) return true;
  const bool suffixed = EndsWithAny(name, {"f", "l"});
  return suffixed && names.count(std::string(name.substr(0, name.size() - 1))) > 0;
}

// Whether tokens[i], a name, is qualified as `scope::name`.
bool IsQualifiedBy(const std::vector<Token>& tokens, size_t i, absl::string_view scope) {
  return i >= 2 && tokens[i - 1].text == "::" && tokens[i - 2].text == scope;
}

// Whether tokens[i] names a function of libm: std::x, or x( that is no member and in no other
// scope.
bool NamesInexactMath(const std::vector<Token>& tokens, size_t i) {
  if (!IsInexactMath(tokens[i].text)) return false;
  if (IsQualifiedBy(tokens, i, "std")) return true;
  const bool called = i + 1 < tokens.size() && tokens[i + 1].text == "(";
  if (!called) return false;
  if (i == 0) return true;
  if (tokens[i - 1].text == "::") return i < 2 || !tokens[i - 2].is_name;
  return tokens[i - 1].text != "." && tokens[i - 1].text != "->";
}

std::string TokenProblem(const std::vector<Token>& tokens, size_t i) {
  const std::string& name = tokens[i].text;
  if (!tokens[i].is_name) return "";
  if (NamesInexactMath(tokens, i)) {
    return absl::StrCat(
        name, " of libm, whose bits differ between CPUs; sim/base/det_math.h has its own");
  }
  if (absl::EndsWith(name, "_distribution") && IsQualifiedBy(tokens, i, "std")) {
    return absl::StrCat("std::", name, ", whose sequence no standard fixes; use sim/base/rng.h");
  }
  if (name == "BitGen" || name == "InsecureBitGen") {
    return absl::StrCat("absl::", name, ", seeded per process; use sim/base/rng.h");
  }
  if (name == "random_device") return "a seed that differs per run";
  if (name == "chrono" || name == "gettimeofday" || name == "clock_gettime") {
    return absl::StrCat(name, ": the wall clock belongs to cli/");
  }
  return "";
}

}  // namespace

const std::vector<LayerRow>& LayerTable() {
  static const auto& table = *new std::vector<LayerRow>{
      {"cli", {"*"}},
      {"sim/base", {}},
      {"sim/policy", {}},
      {"sim/demand", {"traces", "sim/policy"}},
      {"sim/model", {"scenarios"}},
      // Of traces only the request trace, whose arrivals are part of the workload.
      {"sim/engine",
       {"sim/policy", "sim/demand", "sim/model", "scenarios", "reports/schema",
        "traces/request_trace.h"}},
      {"sim/planner", {"sim/engine", "sim/model", "scenarios", "reports", "reports/schema"}},
      // Of the engine what arrives, how memory is divided and who holds which block: nothing is
      // decided twice.
      {"real",
       {"kernels", "sim/policy", "sim/demand", "sim/model", "sim/engine/memory_plan.h",
        "sim/engine/residency.h", "sim/engine/workload_source.h", "traces", "scenarios",
        "reports/schema"}},
      // The decisions that also run on a GPU.
      {"kernels", {"sim/policy/page_selection.h"}},
      {"traces", {}},
      // The number formats and inner loop of the kernels it stands in for; files written whole.
      {"traces/indexer",
       {"traces", "kernels/fp8.h", "kernels/cpu_vector.h", "reports/atomic_file.h"}},
      {"scenarios", {}},
      {"calibration", {"scenarios", "sim/model"}},
      {"reports", {"reports/schema"}},
      {"reports/compare", {"reports", "reports/schema", "scenarios"}},
      // Whatever is written is written whole or not at all.
      {"reports/schema", {"reports/atomic_file.h"}},
      {"tests", {"*"}},
  };
  return table;
}

std::string LayerOf(const std::string& path) {
  std::string layer;
  for (const LayerRow& row : LayerTable()) {
    if (IsInside(path, row.folder) && row.folder.size() > layer.size()) layer = row.folder;
  }
  // sim/x/y.h of a folder without a row is not tests/sim/x/y.h: only tests nests freely.
  const bool nested = absl::StrContains(path.substr(layer.size() + 1), "/");
  const bool nests = layer == "tests" || layer == "real" || layer == "kernels";
  return layer.empty() || (nested && !nests) ? "" : layer;
}

std::vector<std::string> LayeringViolations(const TreeFile& file) {
  if (!IsCode(file.path)) return {};
  const std::string from = LayerOf(file.path);
  if (from.empty()) return {At(file, 1, "source in no folder of the design")};
  std::vector<std::string> violations;
  int line_number = 0;
  for (const absl::string_view line : absl::StrSplit(file.text, '\n')) {
    ++line_number;
    const auto include = ParseInclude(line);
    if (!include) continue;
    const std::string problem = IncludeProblem(file.path, from, *include);
    if (!problem.empty()) violations.push_back(At(file, line_number, problem));
  }
  return violations;
}

std::vector<std::string> DeterminismViolations(const TreeFile& file) {
  const bool applies = IsInside(file.path, "sim") || IsInside(file.path, "traces");
  if (!applies || !IsCode(file.path) || absl::EndsWith(file.path, ".proto")) return {};
  std::vector<std::string> violations;
  int line_number = 0;
  for (const absl::string_view line : absl::StrSplit(file.text, '\n')) {
    ++line_number;
    const auto include = ParseInclude(line);
    if (include && (include->path == "random" || absl::StartsWith(include->path, "absl/random"))) {
      violations.push_back(At(file, line_number, "a random generator that is not sim/base/rng.h"));
    }
  }
  const std::vector<Token> tokens = Tokenize(file.text);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string problem = TokenProblem(tokens, i);
    if (!problem.empty()) violations.push_back(At(file, tokens[i].line, problem));
  }
  return violations;
}

std::vector<std::string> LengthViolations(const TreeFile& file) {
  if (!IsCode(file.path) && !EndsWithAny(file.path, {".sh", ".cmake", "CMakeLists.txt", ".md"}))
    return {};
  const auto lines = std::count(file.text.begin(), file.text.end(), '\n');
  if (lines <= kLinesMax) return {};
  return {At(file, kLinesMax + 1, absl::StrCat(lines, " lines, more than ", kLinesMax))};
}

std::vector<std::string> MachinePathViolations(const TreeFile& file) {
  if (absl::StrContains(file.text, absl::string_view("\0", 1))) return {};  // not text
  std::vector<std::string> violations;
  int line_number = 0;
  for (const absl::string_view line : absl::StrSplit(file.text, '\n')) {
    ++line_number;
    for (const absl::string_view top :
         {"work", "root", "home", "Users", "farm", "mnt", "scratch"}) {
      const std::string path = absl::StrCat("/", top, "/");
      const size_t at = line.find(path);
      if (at == absl::string_view::npos) continue;
      const bool relative =
          at > 0 && (absl::ascii_isalnum(static_cast<unsigned char>(line[at - 1])) ||
                     absl::StrContains("_.-}*", line.substr(at - 1, 1)));
      if (!relative)
        violations.push_back(At(file, line_number, absl::StrCat("a path of a machine, ", path)));
    }
  }
  return violations;
}

}  // namespace tierscope::testing
