// Which settings each kind of policy takes, and the refusals of all others.
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"

#include "scenarios/validate.h"
#include "tests/scenarios/scenario_text.h"

namespace tierscope {
namespace {

std::string SetRefusal(const std::string& set) { return Refusal(SmallScenario(), {set}); }

// Every field of the policy that a rival does not read stays at its default, and the fields of hot
// buffers under all others: nothing is accepted that nobody simulates.
TEST(ValidateTest, ARivalTakesOnlyWhatItReads) {
  const struct {
    const char* field;
    const char* value;
    const char* readers;  // of the rivals; "-" = of no rival
  } cases[] = {{"threshold", "0.25", "-"},
               {"page_kmax", "97", "streaming_llm h2o quest"},
               {"recency_entries", "1", "streaming_llm h2o quest"},
               {"sink_entries", "64", "streaming_llm h2o quest"},
               {"reserve_entries", "983104", "streaming_llm h2o"},
               {"eviction", "fifo", "-"},
               {"level1", "sync", "-"},
               {"publish", "next_tick", "-"},
               {"phase", "aligned", "streaming_llm h2o quest"},
               {"layout", "layer_major", "-"},
               {"index_key_offload", "true", "-"},
               {"index_key_pool_entries", "1", "-"},
               {"level1_fixed_ms", "1", "-"},
               {"publish_fixed_ms", "1", "-"},
               {"gather_item_bytes", "584", "topk_swap ess"},
               {"staged_pieces", "per_entry", "-"},
               {"hot_buffer_entries", "2048", "topk_swap"},
               {"pool_ratio", "0.5", "ess"},
               {"pool_warmup_steps", "16", "ess"},
               {"fetch_overlap", "0.5", "topk_swap ess"},
               {"fetch_layer_us", "1", "topk_swap ess"}};
  std::set<std::string> known = {"kind", "tau_steps", "recall_path"};
  for (const auto& [field, value, readers] : cases) {
    known.insert(field);
    for (const char* kind : {"streaming_llm", "h2o", "quest", "topk_swap", "ess"}) {
      const std::string set = absl::StrCat("policy.kind=", kind, ",policy.", field, "=", value);
      const bool reads = absl::StrContains(readers, kind);
      const std::string refusal = SetRefusal(set);
      if (reads) {
        EXPECT_EQ(refusal, "accepted") << set;
      } else {
        EXPECT_TRUE(absl::StartsWith(
            refusal, absl::StrCat("--set policy.", field, ": has no effect under policy ")))
            << set << ": " << refusal;
      }
    }
  }
  for (int i = 0; i < Policy::descriptor()->field_count(); ++i) {
    EXPECT_EQ(known.count(Policy::descriptor()->field(i)->name()), 1u)
        << Policy::descriptor()->field(i)->name() << ": say above which rivals read it";
  }
  EXPECT_EQ(SetRefusal("policy.kind=topk_swap,policy.page_kmax=192"),
            "--set policy.page_kmax: has no effect under policy TOPK_SWAP; remove it (--set "
            "policy.page_kmax=none)");
  EXPECT_EQ(SetRefusal("policy.kind=h2o,policy.level1=sync"),
            "--set policy.level1: has no effect under policy H2O; remove it (--set "
            "policy.level1=ASYNC)");
  EXPECT_EQ(SetRefusal("policy.kind=lsa,policy.fetch_overlap=0"),
            "--set policy.fetch_overlap: has no effect under policy LSA; remove it (--set "
            "policy.fetch_overlap=none)");
  EXPECT_EQ(SetRefusal("policy.kind=topk_swap,policy.page_kmax=none"), "accepted");
}

TEST(ValidateTest, WhatRivalsAreNotModelledWith) {
  EXPECT_EQ(SetRefusal("policy.kind=topk_swap,policy.recall_path=copy_engine"),
            "--set policy.recall_path: COPY_ENGINE cannot fetch entries, which policy TOPK_SWAP "
            "does; give GATHER_KERNEL");
  EXPECT_EQ(SetRefusal("policy.kind=topk_swap,policy.hot_buffer_entries=511"),
            "--set policy.hot_buffer_entries: 511 hold less than a layer takes in one step; give "
            "at least model.top_k (512)");
  EXPECT_EQ(SetRefusal("policy.kind=topk_swap,policy.hot_buffer_entries=512"), "accepted");
  for (const char* kind : {"streaming_llm", "h2o", "quest", "topk_swap", "ess"}) {
    EXPECT_TRUE(absl::StrContains(
        SetRefusal(
            absl::StrCat("policy.kind=", kind, ",engine.admit=optimistic,engine.preemption=swap")),
        "engine.admit: OPTIMISTIC is not modelled under policy"))
        << kind;
    EXPECT_TRUE(absl::StrContains(
        SetRefusal(absl::StrCat("policy.kind=", kind, ",engine.prefix_store.host_bytes=1")),
        "engine.prefix_store.host_bytes: is not modelled under policy"))
        << kind;
    EXPECT_EQ(SetRefusal(absl::StrCat("policy.kind=", kind, ",engine.dp_attention=2")),
              absl::StrCat("--set engine.dp_attention: is not modelled under policy ",
                           absl::AsciiStrToUpper(kind), "; give 1"));
    EXPECT_EQ(SetRefusal(absl::StrCat("policy.kind=", kind,
                                      ",engine.mtp.draft_tokens=1,engine.mtp.acceptance=0.7")),
              absl::StrCat("--set engine.mtp.draft_tokens: is not modelled under policy ",
                           absl::AsciiStrToUpper(kind), "; give 0"));
    EXPECT_EQ(SetRefusal(absl::StrCat("policy.kind=", kind, ",engine.replicas=2")), "accepted");
  }
}

}  // namespace
}  // namespace tierscope
