// tierscope validate: published results against what the code predicts. Rates of rows 7 and 8 are
// the step model's at the published operating point, directly, without the engine; rows 9 and 10
// are simulated.
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/rows.h"
#include "cli/validate_rows.h"
#include "cli/verb.h"

#include "scenarios/presets.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

// Bounds of a kernel family's errors on the rows kept out.
constexpr double kFamilyMedian = 0.10;
constexpr double kFamilyP90 = 0.25;
constexpr double kLayerMedian = 0.15;

bool IsLayer(const FamilyFit& fit) {
  return fit.family() == "CSA layer" || fit.family() == "HCA layer";
}

// Families that are there to show an error, not to be used, have no bound.
std::string FamilyVerdict(const FamilyFit& fit) {
  if (fit.rows_fitted() == 0) return "-";
  const bool pass = IsLayer(fit)
                        ? fit.median_error() <= kLayerMedian
                        : fit.median_error() <= kFamilyMedian && fit.p90_error() <= kFamilyP90;
  return pass ? "yes" : "MISSED";
}

Rows PublishedRows(const Validation& validation) {
  Rows rows = {.columns = {"row", "published result", "published", "predicted", "error_%", "bound",
                           "class", "fitted", "pass", "note"},
               .cells = {}};
  for (const PublishedRow& row : validation.rows) {
    rows.cells.push_back({Cell::String(row.id), Cell::String(row.subject),
                          Cell::String(row.published), Cell::String(row.predicted),
                          row.error ? Cell::Number(100.0 * *row.error, 1) : Cell::Absent(),
                          Cell::String(row.bound), Cell::String(std::string(1, row.evidence_class)),
                          Cell::String(row.fitted ? "yes" : "no"),
                          Cell::String(row.pass ? "yes" : "FAILED"), Cell::String(row.note)});
  }
  return rows;
}

Rows ServingRows(const Validation& validation) {
  Rows rows = {.columns = {"card", "top-k", "FP4 tile rows", "base_ms", "per_request_ms",
                           "worst_error_%", "worst_left_out_%", "kendall_tau"},
               .cells = {}};
  for (const ServingValidation& serving : validation.serving) {
    rows.cells.push_back(
        {Cell::String(serving.hardware), Cell::String(serving.top_k),
         Cell::Number(serving.expert_tile_rows, 0), Cell::Number(serving.used.base_ms, 3),
         Cell::Number(serving.used.per_request_ms, 4),
         Cell::Number(100.0 * serving.worst_error(), 1),
         Cell::Number(100.0 * serving.worst_left_out(), 1), Cell::Number(serving.kendall_tau, 2)});
  }
  return rows;
}

absl::StatusOr<Rows> KernelRows() {
  Rows rows = {.columns = {"card", "kernel family", "rows fitted", "kept out", "median_%", "p90_%",
                           "worst_%", "bias_%", "within bound", "note"},
               .cells = {}};
  for (const char* name : {"h100", "h20"}) {
    TIERSCOPE_ASSIGN_OR_RETURN(const CalibrationFile file, CalibrationPreset(name));
    for (const FamilyFit& fit : file.fits()) {
      const auto percent = [](double value) { return Cell::Number(100.0 * value, 1); };
      rows.cells.push_back({Cell::String(fit.device()), Cell::String(fit.family()),
                            Cell::Count(fit.rows_fitted()), Cell::Count(fit.rows_kept_out()),
                            percent(fit.median_error()), percent(fit.p90_error()),
                            percent(fit.worst_error()), percent(fit.bias()),
                            Cell::String(FamilyVerdict(fit)), Cell::String(fit.note())});
    }
  }
  return rows;
}

std::string MarkdownText(const Rows& rows) {
  std::string text = absl::StrCat("| ", absl::StrJoin(rows.columns, " | "), " |\n|");
  for (size_t i = 0; i < rows.columns.size(); ++i) absl::StrAppend(&text, "---|");
  absl::StrAppend(&text, "\n");
  for (const auto& row : rows.cells) {
    absl::StrAppend(&text, "| ",
                    absl::StrJoin(row, " | ",
                                  [](std::string* out, const Cell& cell) {
                                    absl::StrAppend(out, cell.text());
                                  }),
                    " |\n");
  }
  return text;
}

std::string JsonArray(const Rows& rows) {
  std::vector<std::string> objects;
  for (size_t i = 0; i < rows.cells.size(); ++i) objects.push_back(JsonObject(rows, i));
  return absl::StrCat("[", absl::StrJoin(objects, ","), "]");
}

constexpr char kMarkdown[] = "markdown";

absl::StatusOr<std::string> ResultsText(const Validation& validation, const std::string& format) {
  const Rows published = PublishedRows(validation);
  const Rows serving = ServingRows(validation);
  TIERSCOPE_ASSIGN_OR_RETURN(const Rows kernels, KernelRows());
  if (format == kMarkdown) {
    return absl::StrCat(MarkdownText(published),
                        "\nRows 7 and 8 as shipped, and with the engine's two constants fitted to "
                        "the other choices:\n\n",
                        MarkdownText(serving),
                        "\nKernel times, errors on every fifth row, which was kept out of the fit:"
                        "\n\n",
                        MarkdownText(kernels));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat parsed, ParseOutputFormat(format));
  switch (parsed) {
    case OutputFormat::kTable:
      return absl::StrCat(TableText(published), "\n", TableText(serving), "\n", TableText(kernels));
    case OutputFormat::kCsv:
      return CsvText(published);
    case OutputFormat::kJson:
      return absl::StrCat("{\"rows\":", JsonArray(published), ",\"serving\":", JsonArray(serving),
                          ",\"kernels\":", JsonArray(kernels), "}\n");
  }
  return std::string();
}

absl::StatusOr<int> RunValidate(const std::string& format) {
  if (format != kMarkdown) TIERSCOPE_RETURN_IF_ERROR(ParseOutputFormat(format).status());
  TIERSCOPE_ASSIGN_OR_RETURN(const Validation validation, Validate());
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ResultsText(validation, format));
  std::fputs(text.c_str(), stdout);
  for (const PublishedRow& row : validation.rows) {
    if (!row.pass && row.evidence_class != 'C') return kExitBoundFailed;
  }
  return kExitDone;
}

}  // namespace

void AddValidateVerb(CLI::App& app, int* exit_code) {
  auto format = std::make_shared<std::string>("table");
  CLI::App* verb = app.add_subcommand(
      "validate",
      "Published results against what the code predicts; exit 1 if a bound of class A "
      "or B is broken");
  verb->add_option("--format", *format, "table, csv (published rows), json or markdown")
      ->capture_default_str();
  verb->callback([format, exit_code] {
    const absl::StatusOr<int> result = RunValidate(*format);
    *exit_code = result.ok() ? *result : ExitCode(result.status());
  });
}

}  // namespace tierscope::cli
