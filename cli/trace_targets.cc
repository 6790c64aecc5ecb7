#include "cli/trace_targets.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace tierscope::cli {
namespace {

constexpr char kV4[] = "v4_flash", kV32[] = "dsa_v32", kGlm51[] = "dsa_glm51";
constexpr int32_t kDsaTopK = 2048;

struct Statistic {
  const char* name;
  const char* label;
  double ProfileStatistics::*value;
  bool needs_layers;
  double low, high, tolerance;
  const char* source;
  const char* model;  // that was measured
};

constexpr Statistic kStatistics[] = {
    {"kept_fraction", "kept at the threshold / history", &ProfileStatistics::kept_fraction, false,
     0.10, 0.15, 0.0, "FM, V4", kV4},
    {"recorded_fraction", "recorded scores / history", &ProfileStatistics::recorded_fraction, false,
     -1.0, -1.0, 0.0, "", ""},
    {"distinct_entries_per_window", "distinct entries selected per window",
     &ProfileStatistics::distinct_entries, false, 10000.0, 10000.0, 2000.0, "FM, V4 at 512K", kV4},
    {"golden_entries_per_window", "golden entries per window", &ProfileStatistics::golden_entries,
     false, 100.0, 1000.0, 0.0, "FM, V4", kV4},
    {"step_overlap", "overlap of adjacent steps", &ProfileStatistics::step_overlap, false, 0.50,
     0.73, 0.05, "ESS fig. 2, V3.2 by layer", kV32},
    {"layer_overlap", "overlap of adjacent layers", &ProfileStatistics::layer_overlap, true, 0.70,
     1.00, 0.0, "arXiv 2603.12201, DSA", kV32},
    {"kept_page_fraction", "pages with a kept entry / pages",
     &ProfileStatistics::kept_page_fraction, false, 0.986, 0.986, 0.04,
     "FM, V4 at 4.1 kept entries a page", kV4},
    {"kept_entries_per_page", "kept entries per page", &ProfileStatistics::kept_entries_per_page,
     false, -1.0, -1.0, 0.0, "", ""},
    {"page_churn", "churn of the kmax densest pages", &ProfileStatistics::page_churn, false, -1.0,
     -1.0, 0.0, "", ""},
    {"selected_page_churn", "churn of the kmax most selected pages",
     &ProfileStatistics::selected_page_churn, false, -1.0, -1.0, 0.0, "", ""},
};

// ESS figure 2, DeepSeek-V3.2: means over the layers of a band, the range over contexts of 16K to
// 128K. The band of layers 0 has no lower end.
struct Band {
  int first, last;
  double low, high;
};
constexpr Band kV32Bands[] = {
    {0, 0, 0.0, 0.10}, {1, 17, 0.72, 0.72}, {18, 51, 0.50, 0.59}, {52, 60, 0.63, 0.73}};
constexpr double kBandTolerance = 0.05;

bool IsDsa(const ProfileHeader& header) {
  return header.tokens_per_entry() == 1 && header.top_k() == kDsaTopK;
}

TargetRow RowOf(const Statistic& s, const ProfileStatistics& profile) {
  TargetRow row{s.name,         s.label,  profile.*s.value,
                s.needs_layers, s.low,    s.high,
                s.tolerance,    s.source, profile.header.model() == s.model};
  if (s.value == &ProfileStatistics::layer_overlap) row.of_this_model = IsDsa(profile.header);
  // Grows with the context and the layers, so it can be compared at 512K of V4 alone.
  const int64_t context = profile.header.prompt_tokens();
  if (s.value == &ProfileStatistics::distinct_entries &&
      (!row.of_this_model || std::abs(context - 524288) > 5243)) {
    row.low = -1.0;
  }
  return row;
}

double MeanOverlap(const ProfileStatistics& profile, int first, int last) {
  const std::vector<double>& overlaps = profile.step_overlap_by_layer;
  if (overlaps.size() != static_cast<size_t>(profile.header.csa_layer_count())) return -1.0;
  double sum = 0.0;
  for (int layer = first; layer <= last; ++layer) sum += overlaps[static_cast<size_t>(layer)];
  return sum / (last - first + 1);
}

TargetRow BandRow(const ProfileStatistics& profile, int first, int last) {
  const std::string layers =
      first == last ? absl::StrCat(first) : absl::StrCat(first, "_to_", last);
  TargetRow row;
  row.name = absl::StrCat("step_overlap_layer_", layers);
  row.label = first == last ? absl::StrCat("  layer ", first)
                            : absl::StrCat("  layers ", first, " to ", last);
  row.value = MeanOverlap(profile, first, last);
  row.needs_layers = true;
  return row;
}

// Overlap by layer group: ESS's bands for V3.2, else the groups that a generated trace was made of,
// for which nothing is published.
void AppendBands(const ProfileStatistics& profile, std::vector<TargetRow>* rows) {
  const ProfileHeader& header = profile.header;
  if (IsDsa(header) && header.csa_layer_count() == kV32Bands[3].last + 1) {
    for (const Band& band : kV32Bands) {
      TargetRow& row = rows->emplace_back(BandRow(profile, band.first, band.last));
      row.low = band.low;
      row.high = band.high;
      row.tolerance = kBandTolerance;
      row.source = "ESS fig. 2, V3.2";
      row.of_this_model = header.model() == kV32;
    }
    rows->push_back({"step_overlap_coding", "  all, against a coding prompt", profile.step_overlap,
                     false, 0.35, 0.50, 0.0, "TensorRT-LLM blog 21, one coding prompt", true});
    return;
  }
  int first = 0;
  for (const int layers : header.provenance().synthetic().layer_group_layers()) {
    rows->push_back(BandRow(profile, first, first + layers - 1));
    first += layers;
  }
}

// HiSparse's miss rates, published for top-2,048 alone.
void AppendMissRates(const ProfileStatistics& profile, std::span<const HotBufferRate> hot_buffers,
                     std::vector<TargetRow>* rows) {
  if (!IsDsa(profile.header)) return;
  struct Published {
    int32_t slots;
    double miss_rate;
  };
  for (const Published& published : {Published{2048, 0.30}, Published{4096, 0.134}}) {
    TargetRow row;
    row.name = absl::StrCat("lru_miss_rate_", published.slots);
    row.label = absl::StrCat("misses of an LRU hot buffer of ", published.slots);
    row.needs_layers = true;
    row.low = row.high = published.miss_rate;
    row.tolerance = 0.02;
    row.source = "HiSparse, GLM-5.1";
    row.of_this_model = profile.header.model() == kGlm51;
    for (const HotBufferRate& rate : hot_buffers) {
      if (rate.slots == published.slots) row.value = rate.miss_rate;
    }
    rows->push_back(row);
  }
}

}  // namespace

std::string VerdictOf(const TargetRow& row) {
  if (row.value < 0.0) return row.needs_layers ? "not recorded per layer" : "not recorded";
  if (row.low < 0.0) return "validated by nothing";
  const bool within = row.value >= row.low - row.tolerance && row.value <= row.high + row.tolerance;
  return within ? "within" : "outside";
}

std::vector<TargetRow> TargetRowsOf(const ProfileStatistics& profile,
                                    std::span<const HotBufferRate> hot_buffers) {
  std::vector<TargetRow> rows;
  for (const Statistic& statistic : kStatistics) {
    rows.push_back(RowOf(statistic, profile));
    if (statistic.value == &ProfileStatistics::step_overlap) AppendBands(profile, &rows);
    if (statistic.value == &ProfileStatistics::layer_overlap) {
      AppendMissRates(profile, hot_buffers, &rows);
    }
  }
  return rows;
}

}  // namespace tierscope::cli
