// tierscope trace info: what a trace holds and what it is like.
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/indexer_report.h"
#include "cli/request_trace_info.h"
#include "cli/trace.h"
#include "cli/trace_targets.h"
#include "cli/verb.h"
#include "google/protobuf/util/json_util.h"

#include "sim/base/check.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"
#include "sim/demand/step_demand.h"
#include "traces/attention_statistics.h"
#include "traces/container.h"

namespace tierscope::cli {
namespace {

struct Arguments {
  std::string file;
  std::string format = "table";
  StatisticsOptions options;
};

// Entry slots of the hot buffers whose miss rates are shown: one and more sets of top-2,048.
constexpr int32_t kHotBufferSlots[] = {2048, 4096, 6144, 8192};

// Statistics of a profile and, where selections stand per layer, its hot buffers.
struct ProfileInfo {
  ProfileStatistics statistics;
  std::vector<HotBufferRate> hot_buffers;
  int32_t hot_buffer_first_step = 0;
};

struct TraceInfo {
  std::string digest;
  std::vector<ProfileInfo> profiles;
};

bool HasLayers(const ProfileStatistics& profile) {
  return !profile.step_overlap_by_layer.empty() &&
         profile.header.selections() == SELECTIONS_FULL_HISTORY;
}

// Buffers are empty at step 0: the first quarter of the steps fills them and is left out.
void AddHotBuffers(const StepDemand& demand, size_t profile, ProfileInfo* info) {
  const ProfileStepDemand& steps = demand.profiles[profile];
  const auto first = static_cast<int32_t>(CeilDiv(steps.step_count(), 4));
  const int32_t end = steps.step_count() + 1;
  info->hot_buffer_first_step = first;
  const auto selections = static_cast<double>(steps.SelectionsBetween(first, end));
  for (size_t i = 0; i < demand.buffer_slots.size(); ++i) {
    const auto misses = static_cast<double>(steps.MissesBetween(i, first, end));
    info->hot_buffers.push_back(
        {demand.buffer_slots[i], misses / std::max(1.0, selections), misses / (end - first)});
  }
}

// One pass for the statistics, and a second one for the hot buffers where every profile can tell.
absl::StatusOr<TraceInfo> ComputeTraceInfo(const Arguments& arguments) {
  TIERSCOPE_ASSIGN_OR_RETURN(AttentionStatistics statistics,
                             ComputeAttentionStatistics(arguments.file, arguments.options));
  TraceInfo info{std::move(statistics.digest), {}};
  std::vector<int32_t> slots(std::begin(kHotBufferSlots), std::end(kHotBufferSlots));
  bool has_layers = true;
  for (ProfileStatistics& profile : statistics.profiles) {
    const int32_t top_k = profile.header.top_k();
    std::erase_if(slots, [top_k](int32_t n) { return n < top_k; });
    has_layers = has_layers && HasLayers(profile);
    info.profiles.push_back({std::move(profile), {}, 0});
  }
  if (!has_layers || slots.empty()) return info;
  TIERSCOPE_ASSIGN_OR_RETURN(const StepDemand demand, DistilStepDemand(arguments.file, slots));
  for (size_t i = 0; i < info.profiles.size(); ++i) AddHotBuffers(demand, i, &info.profiles[i]);
  return info;
}

std::string ProvenanceText(const ProfileHeader& header) {
  const Provenance& provenance = header.provenance();
  if (provenance.source_case() == Provenance::kRecordedWith) {
    return absl::StrCat("recorded with ", provenance.recorded_with());
  }
  return absl::StrCat(SyntheticText(header.model()), ": ",
                      provenance.synthetic().ShortDebugString());
}

std::string Number(double value) {
  return value < 0.0 ? "-" : absl::StrFormat(value < 20.0 ? "%.3f" : "%.0f", value);
}

void PrintQuality(const char* heading, const std::vector<IndexerQuality>& quality) {
  std::printf("  scores of %s against the selections of the next window: validated by nothing\n",
              heading);
  std::printf("  %-9s  %6s  %9s  %6s  %11s\n", "threshold", "kept", "precision", "recall",
              "vote recall");
  for (const IndexerQuality& q : quality) {
    std::printf("  %-9.2f  %6s  %9s  %6s  %11s\n", q.threshold, Number(q.kept_fraction).c_str(),
                Number(q.precision).c_str(), Number(q.recall).c_str(),
                Number(q.vote_recall).c_str());
  }
}

std::string PublishedText(const TargetRow& row) {
  if (row.low < 0.0) return "-";
  std::string text = row.low == row.high ? Number(row.low)
                     : row.low == 0.0    ? absl::StrCat("under ", Number(row.high))
                                         : absl::StrCat(Number(row.low), " to ", Number(row.high));
  if (row.tolerance > 0.0) absl::StrAppend(&text, " +- ", absl::StrFormat("%.6g", row.tolerance));
  return text;
}

std::string SourceText(const TargetRow& row) {
  if (row.low < 0.0) return "";
  return absl::StrCat("(", row.source, row.of_this_model ? "" : ": another model", ")");
}

void PrintRow(const TargetRow& row) {
  const std::string line =
      absl::StrFormat("  %-38s  %8s  %-22s  %-22s  %s", row.label, Number(row.value),
                      PublishedText(row), VerdictOf(row), SourceText(row));
  std::printf("%s\n", std::string(absl::StripTrailingAsciiWhitespace(line)).c_str());
}

void PrintHotBuffers(const ProfileInfo& profile) {
  if (profile.hot_buffers.empty()) {
    std::printf(
        "  hot buffers and other rows per layer need the selections of each layer: generate with "
        "--per-layer\n");
    return;
  }
  std::printf("  hot buffers of a layer, LRU, empty at step 0, from step %d on:\n",
              profile.hot_buffer_first_step);
  for (const HotBufferRate& rate : profile.hot_buffers) {
    std::printf("  hot buffer of %d slots: miss rate %s, %.0f entries a step in all layers\n",
                rate.slots, Number(rate.miss_rate).c_str(), rate.fetched_mean);
  }
}

void PrintProfile(size_t number, const ProfileInfo& profile) {
  const ProfileHeader& h = profile.statistics.header;
  std::printf(
      "\nprofile %zu: %s, %lld prompt tokens, steps 0 to %d, tick every %d, score floor %.3f, "
      "%d layers of top %d\n",
      number, h.model().c_str(), static_cast<long long>(h.prompt_tokens()), h.step_count(),
      h.tick_stride_steps(), h.score_floor_code() / 256.0, h.csa_layer_count(), h.top_k());
  std::printf("provenance: %s\n", ProvenanceText(h).c_str());
  std::printf("  %-38s  %8s  %-22s  %s\n", "statistic", "achieved", "published", "verdict");
  for (const TargetRow& row : TargetRowsOf(profile.statistics, profile.hot_buffers)) PrintRow(row);
  PrintHotBuffers(profile);
  const auto& by_layer = profile.statistics.quality_by_target_layer;
  PrintQuality(by_layer.empty() ? "all target layers" : "all target layers, their maximum,",
               profile.statistics.quality);
  for (const TargetLayerQuality& target : by_layer) {
    PrintQuality(absl::StrCat("target layer ", target.layer).c_str(), target.quality);
  }
}

void PrintTable(const Arguments& arguments, const TraceInfo& info) {
  const StatisticsOptions& o = arguments.options;
  std::printf("%s: attention trace, %zu profiles, digest %s\n", arguments.file.c_str(),
              info.profiles.size(), info.digest.c_str());
  std::printf(
      "windows of %d steps, pages of %d entries, kmax %d, threshold %.2f; - = not recorded\n",
      o.window_steps, o.page_entries, o.page_kmax, o.kept_threshold);
  for (size_t i = 0; i < info.profiles.size(); ++i) PrintProfile(i, info.profiles[i]);
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

std::string QualitiesJson(const std::vector<IndexerQuality>& qualities) {
  std::vector<std::string> parts;
  for (const IndexerQuality& q : qualities) parts.push_back(QualityJson(q));
  return absl::StrCat("[", absl::StrJoin(parts, ","), "]");
}

std::string TargetJson(const TargetRow& row) {
  return absl::StrCat(
      "{\"name\":\"", row.name, "\",\"value\":", JsonNumber(row.value),
      ",\"low\":", JsonNumber(row.low), ",\"high\":", JsonNumber(row.low < 0.0 ? -1.0 : row.high),
      ",\"tolerance\":", JsonNumber(row.low < 0.0 ? -1.0 : row.tolerance), ",\"source\":\"",
      row.source, "\",\"of_this_model\":", row.of_this_model ? "true" : "false", ",\"verdict\":\"",
      VerdictOf(row), "\"}");
}

std::string HeaderJson(const ProfileHeader& header) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  TIERSCOPE_CHECK(google::protobuf::util::MessageToJsonString(header, &json, options).ok());
  return json;
}

std::string ProfileJson(const ProfileInfo& profile) {
  const ProfileStatistics& s = profile.statistics;
  std::vector<std::string> statistics, targets, buffers, overlaps, layers;
  for (const TargetRow& row : TargetRowsOf(s, profile.hot_buffers)) {
    statistics.push_back(absl::StrCat("\"", row.name, "\":", JsonNumber(row.value)));
    targets.push_back(TargetJson(row));
  }
  for (const HotBufferRate& rate : profile.hot_buffers) {
    buffers.push_back(absl::StrCat("{\"slots\":", rate.slots,
                                   ",\"miss_rate\":", JsonNumber(rate.miss_rate),
                                   ",\"entries_per_step\":", JsonNumber(rate.fetched_mean), "}"));
  }
  for (const double v : s.step_overlap_by_layer) overlaps.push_back(JsonNumber(v));
  for (const TargetLayerQuality& target : s.quality_by_target_layer) {
    layers.push_back(absl::StrCat("{\"layer\":", target.layer,
                                  ",\"indexer\":", QualitiesJson(target.quality), "}"));
  }
  return absl::StrCat("{\"header\":", HeaderJson(s.header), ",\"windows\":", s.windows, ",",
                      absl::StrJoin(statistics, ","), ",\"targets\":[", absl::StrJoin(targets, ","),
                      "],\"hot_buffers\":[", absl::StrJoin(buffers, ","),
                      "],\"step_overlap_by_layer\":[", absl::StrJoin(overlaps, ","),
                      "],\"indexer\":", QualitiesJson(s.quality), ",\"indexer_by_target_layer\":[",
                      absl::StrJoin(layers, ","), "]}");
}

void PrintJson(const TraceInfo& info, const std::string& indexer) {
  std::vector<std::string> profiles;
  for (const ProfileInfo& profile : info.profiles) profiles.push_back(ProfileJson(profile));
  std::printf("{\"kind\":\"attention\",\"digest\":\"%s\",\"indexer\":%s,\"profiles\":[%s]}\n",
              info.digest.c_str(), indexer.c_str(), absl::StrJoin(profiles, ",\n").c_str());
}

absl::Status PrintAttentionInfo(const Arguments& arguments) {
  TIERSCOPE_ASSIGN_OR_RETURN(const TraceInfo info, ComputeTraceInfo(arguments));
  IndexerQualityOptions quality;
  quality.window_steps = arguments.options.window_steps;
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<IndexerQualityCounts> indexer,
                             CountIndexerQuality(arguments.file, quality));
  const std::vector<double>& thresholds = arguments.options.thresholds;
  if (arguments.format == "json") {
    PrintJson(info, IndexerJson(indexer, thresholds));
    return absl::OkStatus();
  }
  PrintTable(arguments, info);
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
