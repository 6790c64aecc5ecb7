#include "calibration/model_config.h"

#include "absl/strings/str_replace.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "scenarios/presets.h"
#include "scenarios/text_file.h"

namespace tierscope {
namespace {

// V4-Flash's keys, four layers of MTP and the like left out.
std::string FlashConfig() {
  std::string ratios = "0,0";
  for (int layer = 2; layer < 43; ++layer) ratios += layer % 2 == 0 ? ",4" : ",128";
  return "{\"model_type\":\"deepseek_v4\",\"num_hidden_layers\":43,\"hidden_size\":4096,"
         "\"q_lora_rank\":1024,\"o_lora_rank\":1024,\"o_groups\":8,\"num_attention_heads\":64,"
         "\"head_dim\":512,\"qk_rope_head_dim\":64,\"n_routed_experts\":256,"
         "\"num_experts_per_tok\":6,\"n_shared_experts\":1,\"moe_intermediate_size\":2048,"
         "\"index_n_heads\":64,\"index_head_dim\":128,\"index_topk\":512,\"sliding_window\":128,"
         "\"vocab_size\":129280,\"expert_dtype\":\"fp4\",\"quantization_config\":{},"
         "\"compress_ratios\":[" +
         ratios + ",0]}";
}

std::string V32Config() {
  return "{\"model_type\":\"deepseek_v32\",\"num_hidden_layers\":61,\"hidden_size\":7168,"
         "\"q_lora_rank\":1536,\"kv_lora_rank\":512,\"qk_nope_head_dim\":128,"
         "\"qk_rope_head_dim\":64,\"v_head_dim\":128,\"num_attention_heads\":128,"
         "\"n_routed_experts\":256,\"num_experts_per_tok\":8,\"n_shared_experts\":1,"
         "\"moe_intermediate_size\":2048,\"intermediate_size\":18432,"
         "\"first_k_dense_replace\":3,\"index_n_heads\":64,\"index_head_dim\":128,"
         "\"index_topk\":2048,\"vocab_size\":129280,\"quantization_config\":{}}";
}

Model Read(const std::string& json) {
  const auto text = ModelPresetFromConfig(json, "config.json");
  EXPECT_TRUE(text.ok()) << text.status();
  Model model;
  google::protobuf::TextFormat::ParseInfoTree tree;
  if (text.ok()) {
    EXPECT_TRUE(ParseText(*text, "m.txtpb", &model, &tree).ok()) << *text;
  }
  return model;
}

std::string Problem(const std::string& json) {
  const auto text = ModelPresetFromConfig(json, "config.json");
  return text.ok() ? "accepted" : std::string(text.status().message());
}

// The config gives the shapes that the shipped preset has, and totals near those FM measured: 144.8
// GB sharded and 3.6 GB replicated, 26.6 GFLOP a token.
TEST(ModelConfigTest, V4Flash) {
  const Model read = Read(FlashConfig());
  const Model shipped = *ModelPreset("v4_flash");
  EXPECT_EQ(read.csa_layers(), shipped.csa_layers());
  EXPECT_EQ(read.hca_layers(), shipped.hca_layers());
  EXPECT_EQ(read.swa_layers(), shipped.swa_layers());
  EXPECT_EQ(read.kv_entry_bytes(), shipped.kv_entry_bytes());
  EXPECT_EQ(read.index_key_bytes(), shipped.index_key_bytes());
  EXPECT_EQ(read.o_groups(), shipped.o_groups());
  EXPECT_EQ(read.expert_weight_bits(), shipped.expert_weight_bits());
  EXPECT_EQ(read.top_k(), shipped.top_k());
  EXPECT_NEAR(static_cast<double>(read.weight_bytes_sharded()) / (144.8 * 0x1p30), 1.0, 0.02);
  EXPECT_NEAR(read.gflop_per_token_constant() / 26.6, 1.0, 0.06);
}

// 671 B parameters at 8 bits, 37 B active: DeepSeek's own figures for the V3 family.
TEST(ModelConfigTest, V32) {
  const Model read = Read(V32Config());
  EXPECT_EQ(read.csa_layers(), 61);
  EXPECT_EQ(read.hca_layers(), 0);
  EXPECT_EQ(read.csa_tokens_per_entry(), 1);
  EXPECT_EQ(read.head_dim(), 576);
  EXPECT_EQ(read.qk_head_dim(), 192);
  EXPECT_EQ(read.kv_entry_bytes(), 656);
  EXPECT_EQ(read.dense_layers(), 3);
  EXPECT_NEAR(
      static_cast<double>(read.weight_bytes_sharded() + read.weight_bytes_replicated()) / 671e9,
      1.0, 0.05);
  EXPECT_NEAR(read.gflop_per_token_constant() / 74.0, 1.0, 0.06);
}

TEST(ModelConfigTest, Glm5IsOfTheSameFamily) {
  const Model read =
      Read(absl::StrReplaceAll(V32Config(), {{"deepseek_v32", "glm_moe_dsa"},
                                             {"\"index_n_heads\":64", "\"index_n_heads\":32"}}));
  EXPECT_EQ(read.name(), "glm_moe_dsa");
  EXPECT_EQ(read.index_heads(), 32);
}

// Every number of the text has its source, as every preset's must.
TEST(ModelConfigTest, EveryLineHasASource) {
  const std::string text = *ModelPresetFromConfig(FlashConfig(), "c");
  EXPECT_NE(text.find("hidden_size: 4096  # [S] config.json\n"), std::string::npos);
  EXPECT_NE(text.find("target_layers: 3  # UNKNOWN: as V4-Flash"), std::string::npos);
}

TEST(ModelConfigTest, Refusals) {
  EXPECT_EQ(Problem("[1]"), "config.json: is no JSON object; give the config.json of the model");
  EXPECT_EQ(Problem("{\"model_type\":\"llama\"}"),
            "config.json: model_type 'llama' is none of deepseek_v4, deepseek_v32 and glm_moe_dsa; "
            "give the config.json of the model");
  EXPECT_EQ(
      Problem(absl::StrReplaceAll(V32Config(), {{"\"index_topk\":2048", "\"index_topk\":-1"}})),
      "config.json: 'index_topk' is not there or no whole number of 1 to 16777216; give the "
      "config.json of the model");
  EXPECT_EQ(
      Problem(absl::StrReplaceAll(FlashConfig(),
                                  {{"\"num_hidden_layers\":43", "\"num_hidden_layers\":99"}})),
      "config.json: compress_ratios or layer_types has 44 layers of num_hidden_layers 99; give "
      "the config.json of the model");
  EXPECT_EQ(
      Problem(absl::StrReplaceAll(FlashConfig(), {{"[0,0,4,128", "[0,0,4,7"}})),
      "config.json: a layer is compressed by none of 0, 1, 4 and 128; give the config.json of "
      "the model");
}

}  // namespace
}  // namespace tierscope
