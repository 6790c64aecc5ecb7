// fuzz_seeds FOLDER: writes FOLDER/<target>/seed-<n>, small valid inputs of each target (README.md:
// how to regrow the corpus). All of it is made up here.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "tests/fuzz/inputs.h"
#include "tests/scenarios/scenario_text.h"
#include "traces/attention_trace.h"
#include "traces/container_format.h"

namespace tierscope::testing {
namespace {

using Records = std::vector<std::string>;

std::string Serialized(const TraceRecord& record) { return record.SerializeAsString(); }

// 3 steps over a history of 10 to 11 entries, 2 layers.
std::string Profile(SelectionScope selections, bool synthetic) {
  TraceRecord record;
  ProfileHeader& header = *record.mutable_profile();
  header.set_model("toy");
  header.set_prompt_tokens(40);
  header.set_step_count(2);
  header.set_tick_stride_steps(1);
  header.set_score_floor_code(10);
  header.set_tokens_per_entry(4);
  header.set_csa_layer_count(2);
  header.set_top_k(3);
  header.set_selections(selections);
  header.add_target_layers(0);
  header.add_target_layers(1);
  if (synthetic) {
    header.mutable_provenance()->mutable_synthetic()->set_preset("toy");
  } else {
    header.mutable_provenance()->set_recorded_with("by hand");
  }
  return Serialized(record);
}

std::string Tick(int32_t step, int32_t layer) {
  TraceRecord record;
  const std::vector<uint32_t> entries = {0, 2, 7};
  const std::vector<uint8_t> codes = {10, 255, 128};
  FillTick(step, layer, entries, codes, &record);
  return Serialized(record);
}

std::string Select(int32_t step, int32_t layer, bool weights) {
  TraceRecord record;
  const std::vector<uint32_t> entries = {1, 2, 9};
  const std::vector<uint8_t> votes = {1, 2, 1}, none, most = {255, 3, 0};
  FillSelection(step, layer, entries, layer < 0 ? votes : none, weights ? most : none, &record);
  return Serialized(record);
}

std::string Decide(int32_t step) {
  TraceRecord record;
  record.mutable_decision()->set_step(step);
  record.mutable_decision()->set_is_pages(true);
  record.mutable_decision()->add_id_delta(0);
  record.mutable_decision()->add_id_delta(2);
  return Serialized(record);
}

Records WithVotes() {
  Records records = {Profile(SELECTIONS_FULL_HISTORY, true)};
  for (int32_t step = 0; step <= 2; ++step) {
    records.push_back(Select(step, kAllLayers, step == 1));
    if (step < 2) records.push_back(Tick(step, kAllLayers));
  }
  return records;
}

Records PerLayer() {
  Records records = {Profile(SELECTIONS_FULL_HISTORY, false)};
  for (int32_t step = 0; step <= 2; ++step) {
    for (int32_t layer = 0; layer < 2; ++layer) records.push_back(Select(step, layer, true));
    for (int32_t layer = 0; layer < 2 && step < 2; ++layer) records.push_back(Tick(step, layer));
  }
  return records;
}

Records DecisionsOnly() { return {Profile(SELECTIONS_NONE, false), Decide(0), Decide(2)}; }

// Three entries of a history as long as a profile may claim.
Records LongHistory() {
  TraceRecord record;
  record.ParseFromString(Profile(SELECTIONS_NONE, false));
  record.mutable_profile()->set_prompt_tokens((kHistoryEntriesMax - 1) * 4);
  return {Serialized(record), Tick(0, kAllLayers), Tick(1, kAllLayers)};
}

Records Joined(Records a, const Records& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::string RequestHeader(int32_t block_tokens, int64_t conversations) {
  TraceRecord record;
  record.mutable_requests()->set_format("mooncake");
  record.mutable_requests()->set_source_name("toy.jsonl");
  record.mutable_requests()->set_block_tokens(block_tokens);
  record.mutable_requests()->set_conversation_count(conversations);
  return Serialized(record);
}

std::string RequestAt(int64_t ms, int64_t tokens, int32_t conversation,
                      const std::vector<uint64_t>& ids) {
  TraceRecord record;
  Request& request = *record.mutable_request();
  request.set_arrival_ns(ms * 1'000'000);
  request.set_input_tokens(tokens);
  request.set_output_tokens(7);
  request.set_conversation(conversation);
  request.mutable_block_ids()->Add(ids.begin(), ids.end());
  return Serialized(record);
}

Records WithBlocks() {
  return {RequestHeader(512, 2), RequestAt(3, 1024, 0, {0, 1}), RequestAt(0, 700, 1, {0, 2}),
          RequestAt(3, 0, -1, {})};
}

Records WithoutBlocks() { return {RequestHeader(0, 0), RequestAt(1, 1024, -1, {})}; }

// A container of one frame, `frame`, of which the index says what it likes.
std::string WithIndex(const std::string& frame, int64_t raw_bytes, int64_t records) {
  container::Index index;
  index.record_count = records;
  index.frames.push_back({container::kHeadBytes, static_cast<int64_t>(frame.size()), raw_bytes,
                          records, container::DigestOf(frame)});
  return absl::StrCat(std::string(container::Head()), frame, container::EncodeIndex(index));
}

// A zstd frame of 18 bytes that says to hold 65 MiB and holds a run of 100 zeros.
std::string BoastfulFrame() {
  return std::string("\x28\xb5\x2f\xfd\xa4\0\0\x10\x04\x23\x03\0\0\1\2\3\4", 17) + '\0';
}

std::vector<std::string> LyingContainers() {
  const std::string honest = ContainerOf(WithBlocks());
  const std::string frame =
      honest.substr(container::kHeadBytes, honest.size() - container::kHeadBytes -
                                               container::EncodeIndex({0, 0, {{}}}).size());
  return {WithIndex(BoastfulFrame(), int64_t{65} << 20, 1),
          WithIndex(frame, static_cast<int64_t>(JoinRecords(WithBlocks()).size()) + 10, 4),
          WithIndex(frame, static_cast<int64_t>(JoinRecords(WithBlocks()).size()), 3)};
}

std::vector<std::string> Containers() {
  const std::string whole = ContainerOf(Joined(WithVotes(), PerLayer()));
  std::string cut_index = whole;
  cut_index.resize(whole.size() - 30);
  std::string damaged = whole;
  damaged[40] = static_cast<char>(damaged[40] ^ 1);
  std::vector<std::string> all = {whole, ContainerOf(WithBlocks()), ContainerOf({}), cut_index,
                                  damaged};
  for (const std::string& lying : LyingContainers()) all.push_back(lying);
  return all;
}

std::vector<std::string> ObjectFiles() {
  std::string records;
  for (const char object : {1, 2, 1, 3}) {
    records += std::string(4, '\0') + object + std::string(7, '\x01') + object +
               std::string(3, '\0') + std::string(8, '\xff');
  }
  return {records, records.substr(0, 24), records + "cut"};
}

constexpr char kMooncake[] =
    "{\"timestamp\": 0, \"input_length\": 700, \"output_length\": 9, \"hash_ids\": [1, 2]}\n\n"
    "{\"hash_ids\": [1, 9000000000], \"timestamp\": 27, \"input_length\": 1024, "
    "\"output_length\": 1, \"x\": {\"y\": [null, true, \"\\u00e9\"]}}\r\n";
constexpr char kWeka[] =
    "{\"id\": \"c\", \"block_size\": 64, \"hash_id_scope\": \"local\", \"requests\": [\n"
    "{\"t\": 0.5, \"type\": \"n\", \"in\": 130, \"out\": 5, \"hash_ids\": [1, 2]},\n"
    "{\"t\": 1, \"type\": \"subagent\", \"requests\": [{\"t\": 0.25, \"type\": \"s\", \"in\": 64, "
    "\"out\": 1, \"hash_ids\": [7], \"think_time\": 1e-3}]}]}";
constexpr char kAzure[] =
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:17:03.9799600,4808,10\r\n"
    "2023-11-16 18:15:46.6805900,374,44\n";

// Two repeats of a simulated run, their host's figures beside them.
std::string ResultOf(absl::string_view more) {
  return absl::StrCat(
      "{\"schema_version\": 1, \"version\": \"0\", \"kind\": \"simulated\", \"scenario\": \"s\", "
      "\"scenario_digest\": \"d\", \"event_digest\": \"e\", \"inputs\": [{\"role\": \"model\", "
      "\"name\": \"m\", \"digest\": \"1\"}], \"metrics\": {\"coverage\": {\"value\": 0.5, "
      "\"unit\": "
      "\"fraction\"}, \"ttft_ms_p50\": {\"absent\": \"no prefill\", \"unit\": \"ms\"}}, "
      "\"violations\": []",
      more, "}");
}
constexpr char kHost[] = ", \"host\": {\"sim_wall_s\": 1.5, \"cpu\": \"c\", \"build_type\": null}";

constexpr char kGates[] =
    "gate { metric: \"*\" tolerance_relative: 0.01 severity: WARN }\n"
    "gate { metric: \"coverage\" direction: EXACT effect_min: 1e-3 ambiguous_fails: true }\n"
    "waiver { metric: \"step_ms_*\" scenario: \"s\" reason: \"r\" expires: \"2028-02-29\" }";

struct Seeds {
  const char* target;
  std::vector<std::string> inputs;
};

std::vector<Seeds> AllSeeds() {
  return {
      {"container", Containers()},
      {"attention",
       {JoinRecords(WithVotes()), JoinRecords(PerLayer()), JoinRecords(DecisionsOnly()),
        JoinRecords(Joined(WithVotes(), PerLayer())), JoinRecords(LongHistory())}},
      {"wire_record",
       {Tick(0, 1), Tick(3, kAllLayers), Select(2, kAllLayers, true), Select(1, 0, false),
        Decide(2)}},
      {"request_container",
       {JoinRecords(WithBlocks()), JoinRecords(WithoutBlocks()), JoinRecords(WithVotes())}},
      {"mooncake", {kMooncake, "{\"timestamp\": 0}", "{\"chat_id\": 1}"}},
      {"weka", {kWeka, "{\"requests\": []}", "{\"block_size\": 16}"}},
      {"azure", {kAzure, "TIMESTAMP,ContextTokens,GeneratedTokens\n", "a,b\n"}},
      {"request_trace", {kMooncake, kWeka, kAzure, ContainerOf(WithBlocks()), "x"}},
      {"oracle_general", ObjectFiles()},
      {"json_value",
       {"{\"count\": 12, \"seconds\": 1.5e0, \"ids\": [1, 18446744073709551615], \"text\": "
        "\"a\\n\\u0041\"}",
        "{\"count\": -1}", "{\"ids\": [0, [1]]}"}},
      {"scenario",
       {SmallScenario(),
        SmallScenario("policy { kind: LSA page_kmax: 32 threshold: 0.7 } seed: 7\n"
                      "engine { graph_batch_sizes: [1, 2, 4] simulated_s: 9 }"),
        std::string("model { preset: \"preset.txtpb\" top_k: 9 }\0name: \"m\" csa_layers: 3", 65),
        "workload { classes { weight: 1 context_tokens: 9000 } arrivals: POISSON requests_per_s: 2 "
        "}"}},
      {"overrides",
       {"policy.kind=lsa,policy.tau_steps=32\nengine.graph_batch_sizes=[1,2,4]",
        "hardware.preset=h200\nworkload.context_tokens=65e3,seed=2",
        "workload.attention.trace=\"a,b.trace\"\nworkload.requests_per_s=none\nname=x"}},
      {"options",
       {"128MiB\n1000\ninfinite\ns3fifo\nlayer_group_overlap=0.7:0.5:0.5:0.6", "seed=18\n0B\n",
        "9223372036854775807B\n-1"}},
      {"kernel_table",
       {"m,latency,device\n1,2.5,H100\n64,1e2,H100\n", "latency,m\n0,abc\n-1,nan\n",
        "m,latency\n1\n", "m\n1\n"}},
      {"model_config",
       {"{\"model_type\":\"deepseek_v4\",\"num_hidden_layers\":4,\"hidden_size\":4096"
        ",\"q_lora_rank\":1024,\"o_lora_rank\":1024,\"o_groups\":8,\"num_attention_he"
        "ads\":64,\"head_dim\":512,\"qk_rope_head_dim\":64,\"n_routed_experts\":256,"
        "\"num_experts_per_tok\":6,\"n_shared_experts\":1,\"moe_intermediate_size\":2"
        "048,\"index_n_heads\":64,\"index_head_dim\":128,\"index_topk\":512,\"sliding"
        "_window\":128,\"vocab_size\":129280,\"expert_dtype\":\"fp4\",\"quantization_"
        "config\":{},\"compress_ratios\":[0,0,4,128,0]}",
        "{\"model_type\":\"deepseek_v32\",\"num_hidden_layers\":61,\"hidden_size\":71"
        "68,\"q_lora_rank\":1536,\"kv_lora_rank\":512,\"qk_nope_head_dim\":128,\"qk_r"
        "ope_head_dim\":64,\"v_head_dim\":128,\"num_attention_heads\":128,\"n_routed_"
        "experts\":256,\"num_experts_per_tok\":8,\"n_shared_experts\":1,\"moe_interme"
        "diate_size\":2048,\"intermediate_size\":18432,\"first_k_dense_replace\":3,\""
        "index_n_heads\":64,\"index_head_dim\":128,\"index_topk\":2048,\"vocab_size\""
        ":129280,\"quantization_config\":{}}",
        "{\"model_type\":\"llama\"}", "[1]"}},
      {"sweep",
       {"scenario: \"scenario.txtpb\"\naxis { field: \"policy.tau_steps\" values: [8,"
        " 16] }\naxis { field: \"policy.threshold\" range { from: 0.25 to: 0.5 step: "
        "0.125 } }\nrepeats: 2\nlimit: \"stall_fraction<=0.1\"\nobjective { metric: "
        "\"coverage\" goal: MAXIMIZE }\n",
        "scenario: \"scenario.txtpb\" mode: LATIN_HYPERCUBE count: 7\naxis { field: "
        "\"policy.page_kmax\" log_range { from: 1 to: 64 } multiple_of: 2 }\naxis { n"
        "ame: \"c\" case { set: \"workload.concurrency=2\" } case { label: \"x\" set:"
        " \"seed=3\" } }\n",
        "scenario: \"scenario.txtpb\" axis { field: \"no.such\" values: 1 }\n",
        "scenario: \"scenario.txtpb\" axis { field: \"seed\" range { from: 1 to: 1e18"
        " step: 1e-9 } }\n",
        "scenario: \"scenario.txtpb\" mode: ZIP set: \"policy.tau_steps=4\" axis { fi"
        "eld: \"seed\" values: [1,2] } axis { field: \"policy.kind\" names: [\"full\""
        ",\"lsa\"] }\n"}},
      {"result",
       {ResultOf(""), absl::StrCat("[", ResultOf(kHost), ",", ResultOf(kHost), "]"), "{}"}},
      {"gates", {kGates, "gate { metric: \"a*b\" }", "waiver { }"}},
      {"samples",
       {"metric,repeat,value\na,0,1.5\nb,0,-1e9\r\na,1,2\n", "metric,repeat,value\na,0,x\n",
        "a\n"}},
  };
}

void WriteSeeds(const std::string& folder) {
  for (const Seeds& seeds : AllSeeds()) {
    const std::string target = absl::StrCat(folder, "/", seeds.target);
    std::filesystem::create_directories(target);
    for (size_t i = 0; i < seeds.inputs.size(); ++i) {
      std::ofstream(absl::StrCat(target, "/seed-", i), std::ios::binary) << seeds.inputs[i];
    }
  }
}

}  // namespace
}  // namespace tierscope::testing

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  tierscope::testing::WriteSeeds(argv[1]);
}
