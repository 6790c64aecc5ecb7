// tierscope cache: replays a request trace's block ids, or the objects of an oracleGeneral file,
// through eviction policies.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/rows.h"
#include "cli/verb.h"

#include "sim/base/status_macros.h"
#include "sim/engine/cache_replay.h"
#include "sim/engine/object_replay.h"
#include "traces/oracle_general_reader.h"
#include "traces/request_trace.h"

namespace tierscope::cli {
namespace {

struct CacheOptions {
  std::string trace;
  std::string policies = "lru,fifo";
  std::string capacities = "infinite";
  std::string format = "table";
};

template <typename Value>
struct Named {
  std::string text;  // as typed
  Value value;
};

// The comma-separated values of an option.
template <typename Value>
absl::StatusOr<std::vector<Named<Value>>> ParseList(
    absl::string_view option, absl::string_view list,
    absl::StatusOr<Value> (*parse)(absl::string_view)) {
  std::vector<Named<Value>> values;
  for (const absl::string_view text : absl::StrSplit(list, ',')) {
    const absl::StatusOr<Value> value = parse(text);
    if (!value.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(option, ": ", value.status().message()));
    }
    values.push_back({std::string(text), *value});
  }
  return values;
}

absl::StatusOr<RequestTrace> LoadWithBlockIds(const std::string& path) {
  TIERSCOPE_ASSIGN_OR_RETURN(RequestTrace trace, LoadRequestTrace(path, {.load_block_ids = true}));
  if (trace.block_reference_count > 0) return trace;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": a trace of format ", trace.format,
                   " without block ids has nothing to replay; give one with prefix ids, such as "
                   "Mooncake or WEKA"));
}

// Rows of an oracleGeneral file: capacities in bytes, and bytes missed.
absl::StatusOr<Rows> ReplayObjects(const CacheOptions& options,
                                   const std::vector<Named<CachePolicy>>& policies) {
  TIERSCOPE_ASSIGN_OR_RETURN(const auto capacities,
                             ParseList("--capacity", options.capacities, ParseCacheBytes));
  TIERSCOPE_ASSIGN_OR_RETURN(const ObjectTrace trace, ReadOracleGeneral(options.trace));
  Rows rows = {
      .columns = {"policy", "capacity", "accesses", "unique", "hits", "bytes", "missed_bytes"},
      .cells = {}};
  for (const auto& policy : policies) {
    for (const auto& capacity : capacities) {
      const ObjectHits result = CountObjectHits(policy.value, capacity.value, trace.object_ids,
                                                trace.object_bytes, trace.object_count);
      rows.cells.push_back({Cell::String(policy.text), Cell::String(capacity.text),
                            Cell::Count(static_cast<int64_t>(trace.object_ids.size())),
                            Cell::Count(trace.object_count), Cell::Count(result.hits),
                            Cell::Count(trace.accessed_bytes), Cell::Count(result.missed_bytes)});
    }
  }
  return rows;
}

// Rows of a request trace: capacities in blocks.
absl::StatusOr<Rows> ReplayBlocks(const CacheOptions& options,
                                  const std::vector<Named<CachePolicy>>& policies) {
  TIERSCOPE_ASSIGN_OR_RETURN(const auto capacities,
                             ParseList("--capacity", options.capacities, ParseCacheCapacity));
  TIERSCOPE_ASSIGN_OR_RETURN(const RequestTrace trace, LoadWithBlockIds(options.trace));
  const int64_t unique = CountDistinctBlocks(trace.block_ids, trace.block_count);
  Rows rows = {.columns = {"policy", "capacity", "accesses", "unique", "hits"}, .cells = {}};
  std::vector<int64_t> capacity_blocks;
  for (const auto& capacity : capacities) capacity_blocks.push_back(capacity.value);
  for (const auto& policy : policies) {
    const std::vector<int64_t> hits =
        CountCacheHitsAtEach(policy.value, capacity_blocks, trace.block_ids, trace.block_count);
    for (size_t i = 0; i < capacities.size(); ++i) {
      rows.cells.push_back({Cell::String(policy.text), Cell::String(capacities[i].text),
                            Cell::Count(trace.block_reference_count), Cell::Count(unique),
                            Cell::Count(hits[i])});
    }
  }
  return rows;
}

std::string ResultsText(const Rows& rows, OutputFormat format) {
  switch (format) {
    case OutputFormat::kTable:
      return TableText(rows);
    case OutputFormat::kCsv:
      return CsvText(rows);
    case OutputFormat::kJson: {
      std::vector<std::string> objects;
      for (size_t i = 0; i < rows.cells.size(); ++i) objects.push_back(JsonObject(rows, i));
      return absl::StrCat("{\"results\":[", absl::StrJoin(objects, ","), "]}\n");
    }
  }
  return "";
}

absl::Status RunCache(const CacheOptions& options) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(options.format));
  TIERSCOPE_ASSIGN_OR_RETURN(const auto policies,
                             ParseList("--policy", options.policies, ParseCachePolicy));
  TIERSCOPE_ASSIGN_OR_RETURN(const Rows rows, IsOracleGeneralPath(options.trace)
                                                  ? ReplayObjects(options, policies)
                                                  : ReplayBlocks(options, policies));
  std::fputs(ResultsText(rows, format).c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace

void AddCacheVerb(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<CacheOptions>();
  CLI::App* verb = app.add_subcommand("cache",
                                      "Replay the block ids of a request trace, or an "
                                      "oracleGeneral file, through eviction policies");
  verb->add_option("TRACE", options->trace,
                   "request trace with prefix ids: file or directory; or a file with oracleGeneral "
                   "in its name")
      ->required();
  verb->add_option("--policy", options->policies,
                   absl::StrCat("policies, comma-separated: ", CachePolicyNames(),
                                " (belady knows the future: no other hits more)"))
      ->capture_default_str();
  verb->add_option("--capacity", options->capacities,
                   "capacities in blocks, for oracleGeneral in bytes such as 128MiB, "
                   "comma-separated; infinite is one")
      ->capture_default_str();
  verb->add_option("--format", options->format, "table, csv or json")->capture_default_str();
  verb->callback([options, exit_code] { *exit_code = ExitCode(RunCache(*options)); });
}

}  // namespace tierscope::cli
