// The ready scenarios of scenarios/, and the --set paths that hold in every one of them.
#include <filesystem>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

#include "scenarios/loader.h"

namespace tierscope {
namespace {

using google::protobuf::util::MessageDifferencer;

const char* const kReady[] = {"h20_lsa",   "h20_full",        "h20_mix",
                              "h20_trace", "h20_flashmemory", "h20_dp_attention",
                              "cpu_small", "reconcile_cpu",   "reconcile_gpu"};

std::string PathOf(const std::string& name) {
  return absl::StrCat(TIERSCOPE_SOURCE_DIR, "/scenarios/", name, ".txtpb");
}

// h20_trace lacks a trace by design.
absl::StatusOr<Scenario> Load(const std::string& name, std::vector<std::string> sets = {}) {
  if (name == "h20_trace") sets.push_back("workload.trace=t.jsonl");
  return LoadScenario(PathOf(name), sets);
}

TEST(ReadyTest, EveryFileInTheFolderIsListedHere) {
  size_t files = 0;
  const std::string folder = absl::StrCat(TIERSCOPE_SOURCE_DIR, "/scenarios");
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files += entry.path().extension() == ".txtpb" ? 1 : 0;
  }
  EXPECT_EQ(files, std::size(kReady));
}

TEST(ReadyTest, EachLoadsUnderItsOwnName) {
  for (const char* name : kReady) {
    const absl::StatusOr<Scenario> scenario = Load(name);
    ASSERT_TRUE(scenario.ok()) << name << ": " << scenario.status();
    EXPECT_EQ(scenario->name(), name);
    EXPECT_FALSE(scenario->description().empty());
    const bool on_h100 = absl::string_view(name) == "reconcile_gpu";
    EXPECT_EQ(scenario->hardware().gpu(), on_h100 ? "NVIDIA H100 SXM" : "NVIDIA H20 141GB");
  }
}

TEST(ReadyTest, TheMainJob) {
  const Scenario lsa = Load("h20_lsa").value();
  EXPECT_EQ(lsa.workload().concurrency(), 60);
  EXPECT_EQ(lsa.workload().context_tokens(), 512 * 1024);
  EXPECT_EQ(lsa.policy().kind(), Policy::LSA);
  EXPECT_EQ(lsa.policy().page_kmax(), 192);
  EXPECT_EQ(lsa.policy().tau_steps(), 64);
  EXPECT_EQ(lsa.policy().threshold(), 0.5);
  EXPECT_EQ(lsa.policy().reserve_entries(), 983040);
  EXPECT_EQ(lsa.engine().simulated_s(), 3600);
  EXPECT_EQ(lsa.workload().attention().profiles_per_context(), 8);
  EXPECT_LE(lsa.workload().output_tokens(), lsa.workload().attention().steps());
}

TEST(ReadyTest, FullIsTheSameLoad) {
  const Scenario lsa = Load("h20_lsa").value();
  const Scenario full = Load("h20_full").value();
  EXPECT_EQ(full.policy().kind(), Policy::FULL);
  EXPECT_TRUE(MessageDifferencer::Equals(lsa.workload(), full.workload()));
  const Scenario switched = Load("h20_full", {"policy.kind=lsa"}).value();
  EXPECT_EQ(ScenarioDigest(switched), ScenarioDigest(lsa));
}

TEST(ReadyTest, FlashMemoryIsTheSameLoad) {
  const Scenario lsa = Load("h20_lsa").value();
  const Scenario fm = Load("h20_flashmemory").value();
  EXPECT_EQ(fm.policy().kind(), Policy::FLASHMEMORY);
  EXPECT_TRUE(MessageDifferencer::Equals(lsa.workload(), fm.workload()));
  EXPECT_EQ(fm.policy().reserve_entries(), 983040);
  EXPECT_EQ(fm.engine().host_contention_ms_per_step(), 3.1);
}

// A length for all requests would outrank the classes.
TEST(ReadyTest, TheMixDrawsItsLengthsFromItsClasses) {
  const Workload mix = Load("h20_mix").value().workload();
  EXPECT_FALSE(mix.has_context_tokens());
  EXPECT_FALSE(mix.has_output_tokens());
  ASSERT_EQ(mix.classes_size(), 3);
  EXPECT_EQ(mix.classes(0).context_tokens(), 32 * 1024);
  EXPECT_EQ(mix.classes(1).context_tokens(), 128 * 1024);
  EXPECT_EQ(mix.classes(2).context_tokens(), 512 * 1024);
  const Workload trace = Load("h20_trace").value().workload();
  EXPECT_FALSE(trace.has_context_tokens());
  EXPECT_FALSE(trace.has_output_tokens());
}

struct HeldPath {
  const char* set;
  std::function<bool(const Scenario&)> holds;
};

TEST(ReadyTest, ThePathsHoldInEach) {
  const HeldPath paths[] = {
      {"workload.concurrency=7", [](auto& s) { return s.workload().concurrency() == 7; }},
      {"workload.context_tokens=4096",
       [](auto& s) { return s.workload().context_tokens() == 4096; }},
      {"workload.output_tokens=99", [](auto& s) { return s.workload().output_tokens() == 99; }},
      {"policy.kind=oracle", [](auto& s) { return s.policy().kind() == Policy::ORACLE; }},
      {"policy.tau_steps=48", [](auto& s) { return s.policy().tau_steps() == 48; }},
      {"policy.threshold=0.75", [](auto& s) { return s.policy().threshold() == 0.75; }},
      {"policy.page_kmax=33", [](auto& s) { return s.policy().page_kmax() == 33; }},
      {"engine.simulated_s=12.5", [](auto& s) { return s.engine().simulated_s() == 12.5; }},
      {"seed=18446744073709551615", [](auto& s) { return s.seed() == 18446744073709551615u; }},
  };
  for (const char* name : kReady) {
    std::vector<std::string> all;
    const std::string digest = ScenarioDigest(Load(name).value());
    for (const HeldPath& path : paths) {
      const absl::StatusOr<Scenario> scenario = Load(name, {path.set});
      ASSERT_TRUE(scenario.ok()) << name << " " << path.set << ": " << scenario.status();
      EXPECT_TRUE(path.holds(*scenario)) << name << " " << path.set;
      EXPECT_NE(ScenarioDigest(*scenario), digest) << name << " " << path.set;
      all.push_back(path.set);
    }
    const absl::StatusOr<Scenario> scenario = Load(name, all);
    ASSERT_TRUE(scenario.ok()) << name << ": " << scenario.status();
    for (const HeldPath& path : paths)
      EXPECT_TRUE(path.holds(*scenario)) << name << " " << path.set;
  }
}

TEST(ReadyTest, EveryPolicyAndHardwareLoadsInEach) {
  for (const char* name : kReady) {
    for (const char* kind :
         {"full", "lsa", "recency", "random", "oracle", "flashmemory", "streaming_llm", "h2o",
          "quest", "topk_swap,policy.page_kmax=none", "ess,policy.page_kmax=none"}) {
      // Groups of ranks are modelled under the first six alone, and the real mode's scenarios give
      // settings that the others do not read.
      const bool is_rival = absl::StartsWith(kind, "streaming") || absl::StartsWith(kind, "h2o") ||
                            absl::StartsWith(kind, "quest") || absl::StartsWith(kind, "topk") ||
                            absl::StartsWith(kind, "ess");
      const bool is_small = absl::EndsWith(name, "_small") || absl::EndsWith(name, "_cpu");
      const bool is_real = is_small || absl::EndsWith(name, "_gpu");
      if (is_rival && (is_real || absl::string_view(name) == "h20_dp_attention")) continue;
      for (const char* hardware : {"h20_96", "h20_141", "h100_sxm", "h200"}) {
        std::vector<std::string> sets = {absl::StrCat("policy.kind=", kind),
                                         absl::StrCat("hardware.preset=", hardware)};
        // Its reserve is smaller than FlashMemory's decode region alone.
        if (is_small) sets.push_back("policy.reserve_entries=131072");
        const auto scenario = Load(name, sets);
        EXPECT_TRUE(scenario.ok()) << name << " " << kind << " " << hardware << scenario.status();
      }
    }
  }
}

TEST(ReadyTest, TheTraceScenarioAsksForItsTrace) {
  const absl::StatusOr<Scenario> scenario = LoadScenario(PathOf("h20_trace"), {});
  EXPECT_EQ(scenario.status().message(),
            PathOf("h20_trace") +
                ": workload.trace: is not given, and arrivals TRACE replay one; give --set "
                "workload.trace=FILE");
}

TEST(ReadyTest, ATraceGivenOnTheCommandLineIsRelativeToTheWorkingDirectory) {
  const Scenario scenario = Load("h20_trace").value();
  EXPECT_EQ(scenario.workload().trace(), (std::filesystem::current_path() / "t.jsonl").string());
  EXPECT_EQ(scenario.engine().simulated_s(), 0);
  EXPECT_EQ(scenario.workload().arrivals(), Workload::TRACE);
}

}  // namespace
}  // namespace tierscope
