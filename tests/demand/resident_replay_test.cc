// FlashMemory's resident dump: what is decided under a trace, dumped and imported again is decided
// the same way; what a dump cannot answer is refused.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/demand/distil.h"
#include "tests/testing/temp_folder.h"
#include "traces/generator.h"
#include "traces/import.h"

namespace tierscope {
namespace {

struct Record {
  int64_t request = 0;
  int64_t step = 0;
  int64_t history = 0;
  std::vector<int64_t> entries;
};

std::string AsLine(const Record& r, int64_t cycle) {
  return absl::StrCat("{\"cycle\": ", cycle, ", \"req\": ", r.request, ", \"step\": ", r.step,
                      ", \"n_blk\": ", r.history, ", \"n_keep\": ", r.entries.size(),
                      ", \"resident_ids\": [", absl::StrJoin(r.entries, ", "), "]}\n");
}

std::string AsDump(const std::vector<Record>& records) {
  std::string text;
  for (size_t i = 0; i < records.size(); ++i) text += AsLine(records[i], static_cast<int64_t>(i));
  return text;
}

// The decisions of a demand as FlashMemory dumps them under page recall: all entries of the pages.
std::vector<Record> RecordsOf(const WindowDemand& demand, int32_t tau) {
  std::vector<Record> records;
  const ProfileDemand& first = demand.profiles[0];
  for (int32_t p = 0; p < first.position_count; p += tau / first.stride_steps) {
    for (size_t i = 0; i < demand.profiles.size(); ++i) {
      const ProfileDemand& profile = demand.profiles[i];
      Record& record = records.emplace_back();
      record.request = static_cast<int64_t>(i) + 3;
      record.step = int64_t{p} * profile.stride_steps;
      record.history = (profile.prompt_tokens + record.step + 1) / 4;
      for (const PageIndex page : profile.WantList(p)) {
        for (int64_t e = page * 64; e < std::min<int64_t>(page * 64 + 64, record.history); ++e) {
          record.entries.push_back(e);
        }
      }
    }
  }
  return records;
}

WindowDemand Distilled(const std::string& path, const DemandSpec& spec) {
  auto demand = DistilTrace(path, spec);
  EXPECT_TRUE(demand.ok()) << demand.status();
  return demand.ok() ? *std::move(demand) : WindowDemand();
}

std::string DistilError(const std::string& path, const DemandSpec& spec) {
  const auto demand = DistilTrace(path, spec);
  EXPECT_FALSE(demand.ok());
  return std::string(demand.status().message());
}

ImportOptions DumpOptions() {
  ImportOptions options;
  options.threshold = 0.5;
  return options;
}

void Import(const std::vector<std::string>& files, const testing::TempFolder& folder) {
  const auto result = ImportAttentionTrace(files, DumpOptions(), folder.File("dump.trace"));
  ASSERT_TRUE(result.ok()) << result.status();
}

TEST(ResidentReplayTest, RoundTripGivesTheSameDecisions) {
  const testing::TempFolder folder;
  GeneratorOptions generator;
  generator.parameters = *GeneratorPreset("v4_flash");
  generator.context_tokens = {32'768};
  generator.profiles_per_context = 3;
  generator.step_count = 256;
  generator.tick_stride_steps = 64;
  ASSERT_TRUE(GenerateAttentionTrace(generator, folder.File("scores.trace")).ok());
  DemandSpec spec;
  spec.page_kmax = 48;
  const WindowDemand demand = Distilled(folder.File("scores.trace"), spec);
  const std::string dump = AsDump(RecordsOf(demand, 64));
  Import({folder.Write("d.tp0", dump), folder.Write("d.tp1", dump)}, folder);

  const WindowDemand replay = Distilled(folder.File("dump.trace"), spec);
  EXPECT_FALSE(replay.coverage_known);
  ASSERT_EQ(replay.profiles.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(replay.profiles[i].position_count, 4);
    EXPECT_EQ(replay.profiles[i].want_begin, demand.profiles[i].want_begin);
    EXPECT_EQ(replay.profiles[i].want_pages, demand.profiles[i].want_pages);
    EXPECT_EQ(replay.profiles[i].formed_page, demand.profiles[i].formed_page);
  }

  // Multiples of its tau are look-ups; nothing else can be answered.
  spec.tau_steps = 128;
  EXPECT_EQ(Distilled(folder.File("dump.trace"), spec).profiles[0].want_pages,
            demand.profiles[0].want_pages);
  spec.tau_steps = 96;
  EXPECT_TRUE(absl::StrContains(DistilError(folder.File("dump.trace"), spec),
                                "set policy.tau_steps to a multiple of 64"));
  spec.tau_steps = 32;
  EXPECT_TRUE(absl::StrContains(DistilError(folder.File("dump.trace"), spec), "multiple of 64"));
  spec.tau_steps = 64;
  for (const int32_t code : {127, 129, 256}) {
    spec.threshold_code = code;
    EXPECT_TRUE(absl::StrContains(
        DistilError(folder.File("dump.trace"), spec),
        absl::StrCat("policy.threshold ", code,
                     "/256 cannot be replayed: the trace holds decisions "
                     "taken at 128/256 and no scores; set policy.threshold to 0.5")))
        << DistilError(folder.File("dump.trace"), spec);
  }
  spec.threshold_code = 128;
  spec.page_kmax = 47;
  EXPECT_TRUE(absl::StrContains(DistilError(folder.File("dump.trace"), spec),
                                "set policy.page_kmax to 48"));
  spec.policy = WantPolicy::kOracle;
  EXPECT_TRUE(
      absl::StrContains(DistilError(folder.File("dump.trace"), spec), "policy.kind ORACLE needs"));
  spec.policy = WantPolicy::kRecency;
  EXPECT_EQ(Distilled(folder.File("dump.trace"), spec).profiles.size(), 3u);
}

// Entries in no whole pages: the want list is the pages that any of them lies in.
TEST(ResidentReplayTest, SingleEntries) {
  const testing::TempFolder folder;
  const std::vector<Record> records = {{1, 0, 200, {0, 5, 130}}, {1, 64, 216, {64, 215}}};
  Import({folder.Write("d", AsDump(records))}, folder);
  DemandSpec spec;
  const WindowDemand demand = Distilled(folder.File("dump.trace"), spec);
  ASSERT_EQ(demand.profiles.size(), 1u);
  EXPECT_EQ(demand.profiles[0].want_pages, (std::vector<PageIndex>{0, 2, 1, 3}));
  EXPECT_EQ(demand.profiles[0].want_begin, (std::vector<uint32_t>{0, 2, 4}));
}

// What the dump's writer does with slots, late step counters and staggered ticks.
TEST(ResidentReplayTest, ProfilesOfASlot) {
  const testing::TempFolder folder;
  const std::vector<Record> records = {
      {1, 0, 200, {0}},   {1, 65, 216, {1}},  {1, 128, 232, {2}},  // the second is a step late
      {1, 0, 500, {3}},   {1, 64, 516, {4}},                       // another request in the slot
      {1, 192, 900, {5}}, {1, 256, 916, {6}},                      // its records have a gap
      {2, 0, 300, {7}},   {2, 20, 305, {8}},  {2, 84, 321, {9}},   // staggered by 20 steps
  };
  const auto result = ImportAttentionTrace({folder.Write("d", AsDump(records))}, DumpOptions(),
                                           folder.File("dump.trace"));
  ASSERT_TRUE(result.ok()) << result.status();
  const std::string notes = absl::StrJoin(result->notes, "\n");
  EXPECT_TRUE(absl::StrContains(notes, "decisions every 64 steps")) << notes;
  EXPECT_TRUE(absl::StrContains(notes, "1 decisions carry a step")) << notes;
  EXPECT_TRUE(absl::StrContains(notes, "1 shorter first windows")) << notes;
  EXPECT_TRUE(absl::StrContains(notes, "1 decisions do not follow")) << notes;
  DemandSpec spec;
  const WindowDemand demand = Distilled(folder.File("dump.trace"), spec);
  std::vector<int32_t> ticks;
  std::vector<int64_t> prompts;
  for (const ProfileDemand& profile : demand.profiles) {
    ticks.push_back(profile.position_count);
    prompts.push_back(profile.prompt_tokens);
  }
  EXPECT_EQ(ticks, (std::vector<int32_t>{3, 2, 2, 2}));
  EXPECT_EQ(prompts, (std::vector<int64_t>{799, 1'999, 3'599, 1'219}));
}

TEST(ResidentReplayTest, RanksMustAgree) {
  const testing::TempFolder folder;
  std::vector<Record> records = {{1, 0, 200, {0, 1}}, {2, 0, 200, {5}}, {1, 64, 216, {1, 7, 9}}};
  const std::string first = folder.Write("d.tp0", AsDump(records));
  const auto error = [&](const std::string& second) {
    const auto result = ImportAttentionTrace({first, folder.Write("d.tp1", second)}, DumpOptions(),
                                             folder.File("dump.trace"));
    EXPECT_FALSE(result.ok());
    return std::string(result.status().message());
  };
  records[2].entries = {1, 8, 9, 10};
  EXPECT_EQ(
      error(AsDump(records)),
      folder.File("d.tp1") + ":3: the ranks disagree with " + first +
          ":3 on request 1, window from step 64: 1 of its entries are missing here, 2 are here "
          "alone; such a server computes wrong attention; import one rank alone to look at it");
  records.pop_back();
  EXPECT_TRUE(absl::StrContains(error(AsDump(records)), first + ":3: the ranks are unequal"));
  records[1].request = 3;
  EXPECT_TRUE(absl::StrContains(error(AsDump(records)), ":2: the ranks disagree"));
}

TEST(ResidentReplayTest, WrongDumpsAreNamedWithTheirLine) {
  const testing::TempFolder folder;
  const auto error = [&](const std::string& text, const ImportOptions& options) {
    const auto result =
        ImportAttentionTrace({folder.Write("d", text)}, options, folder.File("dump.trace"));
    EXPECT_FALSE(result.ok()) << text;
    return std::string(result.status().message());
  };
  const std::string good = AsDump({{1, 0, 200, {0, 1}}, {1, 64, 216, {3}}});
  EXPECT_TRUE(absl::StrContains(error(good, ImportOptions()), "--threshold is needed"));
  const ImportOptions options = DumpOptions();
  EXPECT_TRUE(absl::StrContains(error(AsDump({{1, 0, 200, {0}}}), options), "give --tau-steps"));
  EXPECT_TRUE(absl::StrContains(error(good + AsDump({{1, 0, 200, {200}}}), options),
                                ":3: entry 200 lies outside the history of n_blk = 200"));
  EXPECT_TRUE(
      absl::StrContains(error(AsDump({{1, 0, 200, {5, 5}}}), options), ":1: resident_ids[1]"));
  EXPECT_TRUE(
      absl::StrContains(error(AsDump({{1, 0, 200, {5, -1}}}), options), "resident_ids[1] is -1"));
  EXPECT_TRUE(absl::StrContains(error(AsDump({{1, -4, 200, {5}}}), options), "'step'"));
  std::string miscounted = good;
  miscounted.replace(miscounted.find("\"n_keep\": 2"), 11, "\"n_keep\": 3");
  EXPECT_TRUE(absl::StrContains(error(miscounted, options), "2 resident_ids, n_keep says 3"));
  for (size_t lost = 2; lost < 40; ++lost) {
    EXPECT_TRUE(absl::StrContains(error(good.substr(0, good.size() - lost), options), ":2: "));
  }
}

TEST(ResidentReplayTest, DamagedBytesGiveAnErrorOrAValidTrace) {
  const testing::TempFolder folder;
  Rng rng(3);
  const std::string good = AsDump({{1, 0, 200, {0, 1}}, {1, 64, 216, {3}}, {2, 0, 90, {64, 65}}});
  DemandSpec spec;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (uint64_t i = 0; i <= rng.NextBelow(3); ++i) {
      bytes[rng.NextBelow(bytes.size())] = static_cast<char>(rng.NextBelow(256));
    }
    const std::string file = folder.Write("d", bytes);
    const auto format = DetectImportFormat(file);
    if (!format.ok() || *format == ImportFormat::kRequestTrace) continue;
    const auto result = ImportAttentionTrace({file}, DumpOptions(), folder.File("dump.trace"));
    if (!result.ok()) continue;
    const auto demand = DistilTrace(folder.File("dump.trace"), spec);
    EXPECT_TRUE(demand.ok() || absl::StrContains(demand.status().message(), "multiple of") ||
                absl::StrContains(demand.status().message(), "pages"))
        << demand.status();
  }
}

// A trace of selections alone holds no scores: LSA cannot run on it, oracle can.
TEST(ResidentReplayTest, SelectionsAloneAnswerNoThreshold) {
  ProfileHeader header;
  header.set_tick_stride_steps(16);
  header.set_no_scores(true);
  header.set_selections(SELECTIONS_FULL_HISTORY);
  DemandSpec spec;
  EXPECT_TRUE(absl::StrContains(CheckAnswerable(header, spec).message(), "holds no scores"));
  spec.policy = WantPolicy::kOracle;
  EXPECT_TRUE(CheckAnswerable(header, spec).ok());
}

}  // namespace
}  // namespace tierscope
