#include "traces/generator.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

#include "tests/traces/trace_testing.h"
#include "traces/attention_statistics.h"
#include "traces/attention_trace.h"
#include "traces/generator_tables.h"

namespace tierscope {
namespace {

GeneratorOptions Options(int64_t context_tokens, int32_t steps) {
  GeneratorOptions options;
  options.parameters = *GeneratorPreset("v4_flash");
  options.context_tokens = {context_tokens};
  options.profiles_per_context = 1;
  options.step_count = steps;
  return options;
}

std::string Generate(const GeneratorOptions& options, const std::string& name) {
  const std::string path = TempPath(name);
  const absl::Status status = GenerateAttentionTrace(options, path);
  EXPECT_TRUE(status.ok()) << status;
  return path;
}

ProfileStatistics Describe(const GeneratorOptions& options, int32_t page_kmax = 192) {
  StatisticsOptions statistics_options;
  statistics_options.page_kmax = page_kmax;
  const auto statistics =
      ComputeAttentionStatistics(Generate(options, "described"), statistics_options);
  EXPECT_TRUE(statistics.ok()) << statistics.status();
  return statistics->profiles.at(0);
}

TEST(GeneratorTest, SameOptionsSameBytes) {
  const GeneratorOptions options = Options(65536, 128);
  const std::string a = ReadFile(Generate(options, "a"));
  EXPECT_EQ(a, ReadFile(Generate(options, "b")));
  GeneratorOptions other = options;
  other.parameters.set_seed(2);
  EXPECT_NE(a, ReadFile(Generate(other, "c")));
}

// The records of this trace on every machine and in every build type. A change of it is a changed
// result: it goes into CHANGELOG.md.
TEST(GeneratorTest, DigestIsPinned) {
  const auto reader = ContainerReader::Open(Generate(Options(65536, 128), "a"));
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->digest(), "0c286e34f899b694");
}

TEST(GeneratorTest, ProfileDependsOnItsContextAndIndexAlone) {
  GeneratorOptions options = Options(65536, 32);
  options.profiles_per_context = 2;
  const auto alone = ReadContainer(Generate(options, "alone")).records;
  options.context_tokens = {32768, 65536};
  const auto among = ReadContainer(Generate(options, "among")).records;
  ASSERT_EQ(among.size(), 2 * alone.size());
  for (size_t i = 0; i < alone.size(); ++i) {
    ASSERT_TRUE(
        google::protobuf::util::MessageDifferencer::Equals(alone[i], among[alone.size() + i]));
  }
  // The two profiles differ from each other in their selections, not only in their headers.
  EXPECT_FALSE(
      google::protobuf::util::MessageDifferencer::Equals(alone[1], alone[alone.size() / 2 + 1]));
}

// Names of the parameters that are neither 0 nor empty.
std::set<std::string> NamesSet(const GeneratorParameters& p) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  p.GetReflection()->ListFields(p, &fields);
  std::set<std::string> names;
  for (const auto* field : fields) names.insert(field->name());
  return names;
}

TEST(GeneratorTest, HeaderNamesEveryParameterAndSaysSynthetic) {
  const auto records = ReadContainer(Generate(Options(32768, 16), "a")).records;
  const ProfileHeader& header = records.at(0).profile();
  ASSERT_TRUE(header.provenance().has_synthetic());
  const GeneratorParameters& p = header.provenance().synthetic();
  std::set<std::string> names = NamesSet(p);
  // 0 or empty here: the index, and what the presets of DSA models use.
  for (const char* name :
       {"profile_index", "overlap_history_entries", "return_share", "return_distance"}) {
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(static_cast<int>(names.size()), p.GetDescriptor()->field_count());
  EXPECT_EQ(static_cast<int>(NamesSet(*GeneratorPreset("dsa_v32")).size()),
            p.GetDescriptor()->field_count() - 1);  // all but profile_index
  EXPECT_EQ(header.score_floor_code(), 64u);
  EXPECT_EQ(header.csa_layer_count(), 21);
  EXPECT_EQ(header.top_k(), 512);
}

// Selections of one form, summed per step and entry.
class VoteSum : public AttentionVisitor {
 public:
  absl::Status OnProfile(const ProfileHeader& profile) override {
    first_decoded = HistoryEntries(profile, 0);
    return absl::OkStatus();
  }
  absl::Status OnTick(int32_t, int32_t, std::span<const uint32_t>,
                      std::span<const uint8_t>) override {
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                           std::span<const uint8_t> votes) override {
    for (size_t i = 0; i < entries.size(); ++i) {
      sums[{step, entries[i]}] += votes.empty() ? 1 : votes[i];
      all += votes.empty() ? 1 : votes[i];
      decoded += entries[i] >= first_decoded ? 1 : 0;
    }
    if (layer != kAllLayers) {
      EXPECT_EQ(entries.size(), 512u);
    }
    return absl::OkStatus();
  }
  absl::Status OnProfileEnd() override { return absl::OkStatus(); }

  std::map<std::pair<int32_t, uint32_t>, int> sums;
  int64_t first_decoded = 0, all = 0, decoded = 0;
};

TEST(GeneratorTest, VotesAreTheSumOfTheLayers) {
  GeneratorOptions options = Options(65536, 64);
  VoteSum votes, layers;
  ASSERT_TRUE(ReadAttentionTrace(Generate(options, "votes"), votes).ok());
  options.per_layer = true;
  ASSERT_TRUE(ReadAttentionTrace(Generate(options, "layers"), layers).ok());
  EXPECT_EQ(votes.sums, layers.sums);
  EXPECT_EQ(votes.all, 65 * 21 * 512);  // every layer takes top_k entries at every step
  EXPECT_GT(votes.decoded, 0);          // entries formed while decoding are selected too
}

TEST(GeneratorTest, TargetsOfPublishedStatistics) {
  const ProfileStatistics s = Describe(Options(524288, 512));
  EXPECT_GT(s.kept_fraction, 0.10);
  EXPECT_LT(s.kept_fraction, 0.15);
  EXPECT_NEAR(s.distinct_entries, 10000, 2000);
  EXPECT_GE(s.golden_entries, 100);
  EXPECT_LE(s.golden_entries, 1000);
  EXPECT_GT(s.kept_page_fraction, 0.95);
  EXPECT_EQ(s.windows, 8);
}

TEST(GeneratorTest, GoldenEstimateFromVotesAgreesWithLayers) {
  GeneratorOptions options = Options(524288, 64);
  const double votes = Describe(options).golden_entries;
  options.per_layer = true;
  const double layers = Describe(options).golden_entries;
  EXPECT_GE(layers, 100);
  EXPECT_LE(layers, 1000);
  EXPECT_GT(votes, 0.5 * layers);
  EXPECT_LT(votes, 2.0 * layers);
}

TEST(GeneratorTest, OverlapIsThatOfTheLayerGroup) {
  GeneratorOptions options = Options(262144, 128);
  options.per_layer = true;
  ASSERT_TRUE(
      SetGeneratorParameter("layer_group_overlap", "0.8:0.5:0.3:0.65", &options.parameters).ok());
  const ProfileStatistics s = Describe(options);
  const double expected[] = {0.8, 0.5, 0.3, 0.65};
  const int layers[] = {6, 6, 6, 3};
  ASSERT_EQ(s.step_overlap_by_layer.size(), 21u);
  size_t layer = 0;
  for (int group = 0; group < 4; ++group) {
    for (int i = 0; i < layers[group]; ++i, ++layer) {
      EXPECT_NEAR(s.step_overlap_by_layer[layer], expected[group], 0.04) << layer;
    }
  }
  EXPECT_GT(s.layer_overlap, 0.7);
}

TEST(GeneratorTest, ChurnFollowsItsParameter) {
  double scored = -1.0, selected = -1.0;
  for (const double churn : {0.0, 0.2, 0.4, 0.7}) {
    GeneratorOptions options = Options(524288, 512);
    options.parameters.set_window_churn(churn);
    const ProfileStatistics s = Describe(options);
    EXPECT_GT(s.page_churn, scored + 0.04) << churn;
    EXPECT_GT(s.selected_page_churn, selected + 0.04) << churn;
    EXPECT_NEAR(s.selected_page_churn, churn, 0.15);
    scored = s.page_churn;
    selected = s.selected_page_churn;
  }
}

TEST(GeneratorTest, PrecisionAndRecallMoveWithTheThreshold) {
  const ProfileStatistics s = Describe(Options(524288, 256));
  ASSERT_GE(s.quality.size(), 4u);
  for (size_t t = 1; t < s.quality.size(); ++t) {
    EXPECT_GT(s.quality[t].precision, s.quality[t - 1].precision + 0.03);
    EXPECT_LT(s.quality[t].recall, s.quality[t - 1].recall - 0.02);
    EXPECT_LT(s.quality[t].kept_fraction, s.quality[t - 1].kept_fraction);
  }
  // Far better than a guess of as many entries, far from perfect: births inside a window are
  // missed.
  for (const IndexerQuality& q : s.quality) EXPECT_GT(q.recall, 3.0 * q.kept_fraction);
  EXPECT_LT(s.quality.front().recall, 0.95);
  EXPECT_LT(s.quality.back().precision, 0.95);
}

TEST(GeneratorTest, MoreChurnIsHarderToForesee) {
  GeneratorOptions calm = Options(524288, 256), restless = calm;
  calm.parameters.set_window_churn(0.0);
  restless.parameters.set_window_churn(0.6);
  EXPECT_GT(Describe(calm).quality[2].vote_recall,
            Describe(restless).quality[2].vote_recall + 0.05);
}

TEST(GeneratorTest, EveryParameterHasLimits) {
  const auto* descriptor = GeneratorParameters::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (field->name() == "preset" || field->name() == "seed" || field->name() == "profile_index") {
      continue;
    }
    for (const std::string value : {"-5", "2000000000"}) {
      GeneratorOptions options = Options(65536, 16);
      ASSERT_TRUE(SetGeneratorParameter(field->name(), value, &options.parameters).ok());
      const absl::Status status = ValidateGeneratorOptions(options);
      EXPECT_NE(status.message().find(field->name()), std::string::npos) << status;
    }
    GeneratorParameters parameters;
    EXPECT_FALSE(SetGeneratorParameter(field->name(), "lots", &parameters).ok()) << field->name();
  }
}

TEST(GeneratorTest, WrongOptions) {
  const auto message = [](auto change) {
    GeneratorOptions options = Options(65536, 16);
    change(&options);
    return std::string(GenerateAttentionTrace(options, TempPath("t")).message());
  };
  EXPECT_NE(message([](auto* o) { o->step_count = 17; }).find("multiple"), std::string::npos);
  EXPECT_NE(message([](auto* o) { o->context_tokens = {100}; }).find("8192"), std::string::npos);
  EXPECT_NE(message([](auto* o) { o->context_tokens = {}; }).find("context"), std::string::npos);
  EXPECT_NE(message([](auto* o) { o->profiles_per_context = 0; }).find("profiles"),
            std::string::npos);
  EXPECT_NE(message([](auto* o) { o->parameters.set_csa_layer_count(20); }).find("layer_group"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(TempPath("t")));
  EXPECT_NE(GeneratorPreset("v5").status().message().find("v4_flash"), std::string::npos);
}

TEST(GeneratorTest, SmallestContextAndExtremeParametersFinish) {
  GeneratorOptions options = Options(8192, 64);
  options.parameters.set_window_churn(0.95);
  options.parameters.set_recency_share(0.9);
  options.parameters.set_popularity_sigma(4.0);
  options.parameters.set_score_floor(0.5);
  options.parameters.set_layer_overlap(1.0);
  VoteSum votes;
  ASSERT_TRUE(ReadAttentionTrace(Generate(options, "t"), votes).ok());
  EXPECT_EQ(votes.all, 65 * 21 * 512);
}

TEST(GeneratorTablesTest, NormalQuantiles) {
  EXPECT_NEAR(NormalQuantile(0.5), 0.0, 1e-9);
  EXPECT_NEAR(NormalQuantile(0.975), 1.959963985, 1e-7);
  EXPECT_NEAR(NormalQuantile(0.001), -3.090232306, 1e-7);
}

TEST(GeneratorTablesTest, CodesOfLogits) {
  const GeneratorTables& tables = GeneratorTables::Get();
  EXPECT_EQ(tables.Code(0.0), 128);
  EXPECT_EQ(tables.Code(-0.001), 127);
  EXPECT_EQ(tables.Code(100.0), 255);
  EXPECT_EQ(tables.Code(-100.0), 0);
}

}  // namespace
}  // namespace tierscope
