#include "traces/attention_trace.h"

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/traces/trace_testing.h"

namespace tierscope {
namespace {

using Records = std::vector<TraceRecord>;

TraceRecord Header() {
  TraceRecord record;
  ProfileHeader* h = record.mutable_profile();
  h->set_model("test");
  h->set_prompt_tokens(40);
  h->set_step_count(4);
  h->set_tick_stride_steps(2);
  h->set_score_floor_code(64);
  h->set_tokens_per_entry(4);
  h->set_csa_layer_count(3);
  h->set_top_k(2);
  h->set_selections(SELECTIONS_FULL_HISTORY);
  h->add_target_layers(1);
  h->mutable_provenance()->set_recorded_with("a test");
  return record;
}

TraceRecord Tick(int32_t step, std::vector<uint32_t> entries, std::vector<uint8_t> codes) {
  TraceRecord record;
  FillTick(step, kAllLayers, entries, codes, &record);
  return record;
}

TraceRecord Votes(int32_t step, std::vector<uint32_t> entries, std::vector<uint8_t> votes) {
  TraceRecord record;
  FillSelection(step, kAllLayers, entries, votes, {}, &record);
  return record;
}

TraceRecord Layer(int32_t step, int32_t layer, std::vector<uint32_t> entries) {
  TraceRecord record;
  FillSelection(step, layer, entries, {}, {}, &record);
  return record;
}

// 40 prompt tokens: 10 entries at step 0, the eleventh is whole after step 3.
Records Profile() {
  return {Header(),
          Votes(0, {0, 7}, {3, 3}),
          Tick(0, {1, 9}, {64, 255}),
          Votes(1, {0, 7}, {1, 2}),
          Votes(2, {3}, {3}),
          Tick(2, {}, {}),
          Votes(3, {10}, {2}),
          Votes(4, {2, 10}, {1, 1})};
}

// Writes every visit as one line.
class Log : public AttentionVisitor {
 public:
  absl::Status OnProfile(const ProfileHeader& profile) override {
    return Add("profile " + profile.model());
  }
  absl::Status OnTick(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                      std::span<const uint8_t> codes) override {
    return Add("tick " + std::to_string(step) + " " + std::to_string(layer) +
               Pairs(entries, codes));
  }
  absl::Status OnSelection(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                           std::span<const uint8_t> votes) override {
    return Add("selection " + std::to_string(step) + " " + std::to_string(layer) +
               Pairs(entries, votes));
  }
  absl::Status OnWeights(int32_t, int32_t, std::span<const uint32_t> entries,
                         std::span<const uint8_t> weights) override {
    return Add("weights" + Pairs(entries, weights));
  }
  absl::Status OnProfileEnd() override { return Add("end"); }
  void OnTraceEnd(const std::string& digest) override { trace_digest = digest; }

  std::string text;
  std::string trace_digest;

 private:
  absl::Status Add(const std::string& line) {
    text += line + "\n";
    return absl::OkStatus();
  }
  static std::string Pairs(std::span<const uint32_t> entries, std::span<const uint8_t> values) {
    std::string out;
    for (size_t i = 0; i < entries.size(); ++i) {
      out += " " + std::to_string(entries[i]);
      if (!values.empty()) out += ":" + std::to_string(values[i]);
    }
    return out;
  }
};

absl::Status Read(const Records& records, Log* log) {
  WriteContainer(TempPath("t"), records);
  return ReadAttentionTrace(TempPath("t"), *log);
}

TEST(AttentionTraceTest, VisitsInOrder) {
  Records records = Profile();
  records[3].mutable_selection()->set_weights("\x10\xff");
  const Records second = Profile();
  records.insert(records.end(), second.begin(), second.end());
  Log log;
  ASSERT_TRUE(Read(records, &log).ok());
  const std::string rest =
      "selection 2 -1 3:3\ntick 2 -1\nselection 3 -1 10:2\n"
      "selection 4 -1 2:1 10:1\nend\n";
  const std::string start =
      "profile test\nselection 0 -1 0:3 7:3\ntick 0 -1 1:64 9:255\n"
      "selection 1 -1 0:1 7:2\n";
  EXPECT_EQ(log.text, start + "weights 0:16 7:255\n" + rest + start + rest);
  EXPECT_EQ(log.trace_digest, (*ContainerReader::Open(TempPath("t")))->digest());
}

TEST(AttentionTraceTest, LayersMayBeRecordedSingly) {
  Records records = {Header()};
  for (int32_t step = 0; step <= 4; ++step) {
    for (const int32_t layer : {0, 2}) records.push_back(Layer(step, layer, {1, 4}));
  }
  Log log;
  EXPECT_TRUE(Read(records, &log).ok());
}

struct Refusal {
  const char* name;
  std::function<void(Records*)> damage;
  const char* message;  // a part of it
  const char* place;
};

void InsertAt(Records* records, int64_t at, TraceRecord record) {
  records->insert(records->begin() + at, std::move(record));
}

ProfileHeader* HeaderOf(Records* r) { return (*r)[0].mutable_profile(); }

const Refusal kRefusals[] = {
    {"entries repeat", [](Records* r) { (*r)[2].mutable_tick()->set_entry_delta(1, 0); },
     "do not rise", "record 2"},
    {"entry in the future",
     [](Records* r) {
       (*r)[1] = Votes(0, {0, 10}, {1, 1});
     },
     "entry 10 lies outside the history of 10", "record 1"},
    {"tick in the future", [](Records* r) { (*r)[2] = Tick(0, {10}, {99}); }, "outside",
     "record 2"},
    {"delta overflows", [](Records* r) { (*r)[1].mutable_selection()->set_entry_delta(1, ~0u); },
     "outside", "record 1"},
    {"code missing", [](Records* r) { (*r)[2].mutable_tick()->set_codes("z"); },
     "1 codes for 2 entries", "record 2"},
    {"vote missing", [](Records* r) { (*r)[1].mutable_selection()->set_votes("\1"); },
     "1 votes for 2 entries", "record 1"},
    {"weight missing", [](Records* r) { (*r)[1].mutable_selection()->set_weights("\1"); },
     "1 weights for 2 entries", "record 1"},
    {"vote 0",
     [](Records* r) {
       (*r)[1] = Votes(0, {0, 7}, {0, 3});
     },
     "vote", "record 1"},
    {"vote above the layers", [](Records* r) { (*r)[1] = Votes(0, {0}, {4}); }, "vote", "record 1"},
    {"more than top-k",
     [](Records* r) {
       (*r)[1] = Votes(0, {0, 1, 2}, {3, 3, 1});
     },
     "top_k", "record 1"},
    {"code below the floor", [](Records* r) { (*r)[2] = Tick(0, {1}, {63}); }, "floor", "record 2"},
    {"step twice", [](Records* r) { InsertAt(r, 4, (*r)[3]); }, "second", "record 4"},
    {"step missing", [](Records* r) { r->erase(r->begin() + 3); }, "step 1", "record 3"},
    {"first step missing", [](Records* r) { r->erase(r->begin() + 1, r->begin() + 3); }, "step 0",
     "record 1"},
    {"step goes back", [](Records* r) { std::swap((*r)[3], (*r)[4]); }, "step", "record 3"},
    {"tick missing", [](Records* r) { r->erase(r->begin() + 5); }, "tick of step 0", "record 7"},
    {"tick off the stride", [](Records* r) { InsertAt(r, 4, Tick(1, {}, {})); }, "step 2",
     "record 4"},
    {"tick before its selections", [](Records* r) { std::swap((*r)[1], (*r)[2]); }, "tick",
     "record 1"},
    {"end missing", [](Records* r) { r->pop_back(); }, "promises step 4", "record 7"},
    {"step behind the end", [](Records* r) { r->push_back(Votes(5, {1}, {1})); }, "step 5",
     "record 8"},
    {"layers change", [](Records* r) { (*r)[3] = Layer(1, 0, {1}); }, "layers", "record 3"},
    {"no such layer", [](Records* r) { (*r)[1] = Layer(0, 3, {1}); }, "layer 3", "record 1"},
    {"no target layer", [](Records* r) { (*r)[2].mutable_tick()->set_target_layer(0); }, "layer 0",
     "record 2"},
    {"no header", [](Records* r) { r->erase(r->begin()); }, "header", "record 0"},
    {"two headers", [](Records* r) { InsertAt(r, 1, (*r)[0]); }, "step -1", "record 1"},
    {"a gap", [](Records* r) { (*r)[3].mutable_gap(); }, "lost", "record 3"},
    {"a request", [](Records* r) { (*r)[0].mutable_request(); }, "request trace", "record 0"},
    {"an unknown record", [](Records* r) { (*r)[3].Clear(); }, "no known kind", "record 3"},
    {"nothing", [](Records* r) { r->clear(); }, "no records", ""},
    {"no selections promised", [](Records* r) { HeaderOf(r)->set_selections(SELECTIONS_NONE); },
     "selection", "record 1"},
    {"no provenance", [](Records* r) { HeaderOf(r)->clear_provenance(); }, "provenance",
     "record 0"},
    {"stride", [](Records* r) { HeaderOf(r)->set_tick_stride_steps(3); }, "multiple", "record 0"},
    {"stride 0", [](Records* r) { HeaderOf(r)->set_tick_stride_steps(0); }, "tick_stride_steps",
     "record 0"},
    {"steps", [](Records* r) { HeaderOf(r)->set_step_count(1 << 30); }, "step_count", "record 0"},
    {"prompt", [](Records* r) { HeaderOf(r)->set_prompt_tokens(int64_t{1} << 60); },
     "prompt_tokens", "record 0"},
    {"negative prompt", [](Records* r) { HeaderOf(r)->set_prompt_tokens(-4); }, "prompt_tokens",
     "record 0"},
    {"tokens per entry", [](Records* r) { HeaderOf(r)->set_tokens_per_entry(0); },
     "tokens_per_entry", "record 0"},
    {"layers", [](Records* r) { HeaderOf(r)->set_csa_layer_count(256); }, "csa_layer_count",
     "record 0"},
    {"top-k", [](Records* r) { HeaderOf(r)->set_top_k(0); }, "top_k", "record 0"},
    {"floor", [](Records* r) { HeaderOf(r)->set_score_floor_code(256); }, "score_floor_code",
     "record 0"},
    {"targets", [](Records* r) { HeaderOf(r)->add_target_layers(1); }, "target_layers", "record 0"},
};

TEST(AttentionTraceTest, Refusals) {
  for (const Refusal& refusal : kRefusals) {
    SCOPED_TRACE(refusal.name);
    Records records = Profile();
    refusal.damage(&records);
    Log log;
    const absl::Status status = Read(records, &log);
    const std::string message(status.message());
    EXPECT_FALSE(status.ok());
    EXPECT_NE(message.find(refusal.message), std::string::npos) << message;
    EXPECT_NE(message.find(refusal.place), std::string::npos) << message;
    EXPECT_EQ(message.find(TempPath("t")), 0u) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(AttentionTraceTest, VisitorsRefusalHasItsPlaceAndCode) {
  class Refuse : public Log {
    absl::Status OnProfile(const ProfileHeader&) override {
      return absl::InvalidArgumentError("threshold 0.1 is under the floor; raise it");
    }
  };
  WriteContainer(TempPath("t"), Profile());
  Refuse refuse;
  const absl::Status status = ReadAttentionTrace(TempPath("t"), refuse);
  EXPECT_EQ(status.message(),
            TempPath("t") + ": record 0: threshold 0.1 is under the floor; raise it");
}

TEST(AttentionTraceTest, HistoryGrowsByWholeEntries) {
  const TraceRecord header = Header();
  EXPECT_EQ(HistoryEntries(header.profile(), 0), 10);
  EXPECT_EQ(HistoryEntries(header.profile(), 2), 10);
  EXPECT_EQ(HistoryEntries(header.profile(), 3), 11);
}

}  // namespace
}  // namespace tierscope
