// tierscope trace info: what a trace holds and what it is like.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/indexer_report.h"
#include "cli/request_trace_info.h"
#include "cli/trace.h"
#include "cli/verb.h"
#include "google/protobuf/util/json_util.h"

#include "sim/base/check.h"
#include "sim/base/status_macros.h"
#include "traces/attention_statistics.h"
#include "traces/container.h"

namespace tierscope::cli {
namespace {

struct Arguments {
  std::string file;
  std::string format = "table";
  StatisticsOptions options;
};

// One statistic of a profile: its name in JSON, its line in the table, what published work says.
struct Row {
  const char* name;
  const char* label;
  const char* target;
  double ProfileStatistics::*value;
};

constexpr Row kRows[] = {
    {"kept_fraction", "kept at the threshold / history", "0.10 to 0.15 (FM)",
     &ProfileStatistics::kept_fraction},
    {"recorded_fraction", "recorded scores / history", "", &ProfileStatistics::recorded_fraction},
    {"distinct_entries_per_window", "distinct entries selected per window",
     "about 10,000 at 512K (FM)", &ProfileStatistics::distinct_entries},
    {"golden_entries_per_window", "golden entries per window", "100 to 1,000 (FM)",
     &ProfileStatistics::golden_entries},
    {"step_overlap", "overlap of adjacent steps", "0.50 to 0.73 by layer (ESS, V3.2)",
     &ProfileStatistics::step_overlap},
    {"layer_overlap", "overlap of adjacent layers", "0.70 to 1.00 (2603.12201)",
     &ProfileStatistics::layer_overlap},
    {"kept_page_fraction", "pages with a kept entry / pages", "0.986 at 4.1 a page (FM)",
     &ProfileStatistics::kept_page_fraction},
    {"kept_entries_per_page", "kept entries per page", "",
     &ProfileStatistics::kept_entries_per_page},
    {"page_churn", "churn of the kmax densest pages", "unpublished",
     &ProfileStatistics::page_churn},
    {"selected_page_churn", "churn of the kmax most selected pages", "unpublished",
     &ProfileStatistics::selected_page_churn},
};

std::string ProvenanceText(const Provenance& provenance) {
  if (provenance.source_case() == Provenance::kRecordedWith) {
    return absl::StrCat("recorded with ", provenance.recorded_with());
  }
  return absl::StrCat("synthetic, not validated on V4: ",
                      provenance.synthetic().ShortDebugString());
}

std::string Number(double value) {
  return value < 0.0 ? "-" : absl::StrFormat(value < 20.0 ? "%.3f" : "%.0f", value);
}

void PrintQuality(const ProfileStatistics& profile) {
  std::printf("  %-9s  %6s  %9s  %6s  %11s\n", "threshold", "kept", "precision", "recall",
              "vote recall");
  for (const IndexerQuality& q : profile.quality) {
    std::printf("  %-9.2f  %6s  %9s  %6s  %11s\n", q.threshold, Number(q.kept_fraction).c_str(),
                Number(q.precision).c_str(), Number(q.recall).c_str(),
                Number(q.vote_recall).c_str());
  }
}

void PrintProfile(size_t number, const ProfileStatistics& profile) {
  const ProfileHeader& h = profile.header;
  std::printf(
      "\nprofile %zu: %s, %lld prompt tokens, steps 0 to %d, tick every %d, score floor %.3f, "
      "%d layers of top %d\n",
      number, h.model().c_str(), static_cast<long long>(h.prompt_tokens()), h.step_count(),
      h.tick_stride_steps(), h.score_floor_code() / 256.0, h.csa_layer_count(), h.top_k());
  std::printf("provenance: %s\n", ProvenanceText(h.provenance()).c_str());
  for (const Row& row : kRows) {
    std::printf("  %-38s  %8s  %s\n", row.label, Number(profile.*row.value).c_str(), row.target);
  }
  PrintQuality(profile);
}

void PrintTable(const Arguments& arguments, const AttentionStatistics& statistics) {
  const StatisticsOptions& o = arguments.options;
  std::printf("%s: attention trace, %zu profiles, digest %s\n", arguments.file.c_str(),
              statistics.profiles.size(), statistics.digest.c_str());
  std::printf(
      "windows of %d steps, pages of %d entries, kmax %d, threshold %.2f; - = not recorded\n",
      o.window_steps, o.page_entries, o.page_kmax, o.kept_threshold);
  for (size_t i = 0; i < statistics.profiles.size(); ++i) PrintProfile(i, statistics.profiles[i]);
}

std::string JsonNumber(double value) {
  return value < 0.0 ? "null" : absl::StrFormat("%.6g", value);
}

std::string QualityJson(const IndexerQuality& q) {
  return absl::StrCat("{\"threshold\":", JsonNumber(q.threshold),
                      ",\"kept_fraction\":", JsonNumber(q.kept_fraction),
                      ",\"precision\":", JsonNumber(q.precision),
                      ",\"recall\":", JsonNumber(q.recall),
                      ",\"vote_recall\":", JsonNumber(q.vote_recall), "}");
}

std::string ProfileJson(const ProfileStatistics& profile) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string header;
  TIERSCOPE_CHECK(
      google::protobuf::util::MessageToJsonString(profile.header, &header, options).ok());
  std::string out = absl::StrCat("{\"header\":", header, ",\"windows\":", profile.windows);
  for (const Row& row : kRows) {
    absl::StrAppend(&out, ",\"", row.name, "\":", JsonNumber(profile.*row.value));
  }
  std::vector<std::string> quality, overlaps;
  for (const IndexerQuality& q : profile.quality) quality.push_back(QualityJson(q));
  for (const double v : profile.step_overlap_by_layer) overlaps.push_back(JsonNumber(v));
  absl::StrAppend(&out, ",\"step_overlap_by_layer\":[", absl::StrJoin(overlaps, ","),
                  "],\"indexer\":[", absl::StrJoin(quality, ","), "]}");
  return out;
}

void PrintJson(const AttentionStatistics& statistics, const std::string& indexer) {
  std::vector<std::string> profiles;
  for (const ProfileStatistics& profile : statistics.profiles) {
    profiles.push_back(ProfileJson(profile));
  }
  std::printf("{\"kind\":\"attention\",\"digest\":\"%s\",\"indexer\":%s,\"profiles\":[%s]}\n",
              statistics.digest.c_str(), indexer.c_str(), absl::StrJoin(profiles, ",\n").c_str());
}

absl::Status PrintAttentionInfo(const Arguments& arguments) {
  TIERSCOPE_ASSIGN_OR_RETURN(const AttentionStatistics statistics,
                             ComputeAttentionStatistics(arguments.file, arguments.options));
  IndexerQualityOptions quality;
  quality.window_steps = arguments.options.window_steps;
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<IndexerQualityCounts> indexer,
                             CountIndexerQuality(arguments.file, quality));
  const std::vector<double>& thresholds = arguments.options.thresholds;
  if (arguments.format == "json") {
    PrintJson(statistics, IndexerJson(indexer, thresholds));
    return absl::OkStatus();
  }
  PrintTable(arguments, statistics);
  std::fputs(IndexerTable(indexer, thresholds).c_str(), stdout);
  return absl::OkStatus();
}

absl::StatusOr<bool> IsAttentionTrace(const std::string& file) {
  if (!LooksLikeContainer(file)) return false;
  TIERSCOPE_ASSIGN_OR_RETURN(const auto reader, ContainerReader::Open(file));
  TraceRecord record;
  TIERSCOPE_ASSIGN_OR_RETURN(const bool has_records, reader->Next(&record));
  return !has_records || !(record.has_requests() || record.has_request());
}

absl::Status Info(const Arguments& arguments) {
  TIERSCOPE_ASSIGN_OR_RETURN(const bool is_attention, IsAttentionTrace(arguments.file));
  return is_attention ? PrintAttentionInfo(arguments)
                      : PrintRequestTraceInfo(arguments.file, arguments.format);
}

}  // namespace

void AddTraceInfo(CLI::App& trace, int* exit_code) {
  CLI::App* app = trace.add_subcommand("info", "Describe a trace beside published statistics");
  auto arguments = std::make_shared<Arguments>();
  StatisticsOptions& options = arguments->options;
  app->add_option("file", arguments->file, "Trace file")->required();
  app->add_option("--format", arguments->format, "table or json; csv for request traces")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->capture_default_str();
  app->add_option("--page-kmax", options.page_kmax, "Pages of a page set")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  app->add_option("--page-entries", options.page_entries, "Entries of a page")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  app->add_option("--window-steps", options.window_steps, "Steps of a window")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app->add_option("--threshold", options.kept_threshold, "Score from which an entry is kept")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app->callback([arguments, exit_code] { *exit_code = ExitCode(Info(*arguments)); });
}

}  // namespace tierscope::cli
