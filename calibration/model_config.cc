#include "calibration/model_config.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "simdjson.h"

#include "scenarios/scenario.pb.h"
#include "sim/base/status_macros.h"
#include "sim/model/layer_work.h"

namespace tierscope {
namespace {

constexpr int64_t kValueMax = int64_t{1} << 24;
constexpr int64_t kLayersMax = 10000;
// V4-Flash, scenarios/models/v4_flash.txtpb: what is carried.
constexpr int32_t kTargetLayers = 3, kMemoryHeads = 128, kMemoryDim = 128;
constexpr double kFixedBytesPerLayer = 5.26e9 / 43;

class Config {
 public:
  Config(simdjson::dom::object object, std::string file)
      : object_(object), file_(std::move(file)) {}

  absl::StatusOr<int64_t> Whole(const char* key) const {
    int64_t value = 0;
    if (object_[key].get_int64().get(value) == simdjson::SUCCESS && value >= 1 &&
        value <= kValueMax) {
      return value;
    }
    return Error(absl::StrCat("'", key, "' is not there or no whole number of 1 to 16777216"));
  }
  int64_t WholeOr(const char* key, int64_t otherwise) const {
    int64_t value = otherwise;
    const bool given = object_[key].get_int64().get(value) == simdjson::SUCCESS;
    return given && value >= 0 && value <= kValueMax ? value : otherwise;
  }
  std::string Text(const char* key) const {
    std::string_view text;
    return object_[key].get_string().get(text) == simdjson::SUCCESS ? std::string(text) : "";
  }
  bool Quantized() const {
    simdjson::dom::object quantization;
    return object_["quantization_config"].get_object().get(quantization) == simdjson::SUCCESS;
  }
  // Layers of one compression among the first `layers`: by ratio, or by the name of the layer type.
  absl::StatusOr<std::vector<int64_t>> Ratios(int64_t layers) const;
  absl::Status Error(const std::string& problem) const {
    return absl::InvalidArgumentError(
        absl::StrCat(file_, ": ", problem, "; give the config.json of the model"));
  }

 private:
  simdjson::dom::object object_;
  std::string file_;
};

absl::StatusOr<std::vector<int64_t>> Config::Ratios(int64_t layers) const {
  std::vector<int64_t> ratios;
  simdjson::dom::array array;
  if (object_["compress_ratios"].get_array().get(array) == simdjson::SUCCESS) {
    for (const simdjson::dom::element element : array) {
      int64_t ratio = -1;
      if (element.get_int64().get(ratio) != simdjson::SUCCESS) ratio = -1;
      ratios.push_back(ratio);
    }
  } else if (object_["layer_types"].get_array().get(array) == simdjson::SUCCESS) {
    for (const simdjson::dom::element element : array) {
      std::string_view type;
      const bool text = element.get_string().get(type) == simdjson::SUCCESS;
      ratios.push_back(!text                                    ? -1
                       : type == "compressed_sparse_attention"  ? 4
                       : type == "heavily_compressed_attention" ? 128
                       : type == "sliding_attention"            ? 0
                                                                : -1);
    }
  }
  if (static_cast<int64_t>(ratios.size()) < layers) {
    return Error(absl::StrCat("compress_ratios or layer_types has ", ratios.size(),
                              " layers of num_hidden_layers ", layers));
  }
  ratios.resize(static_cast<size_t>(layers));  // what follows are layers of the MTP module
  for (const int64_t ratio : ratios) {
    if (ratio == 0 || ratio == 1 || ratio == 4 || ratio == 128) continue;
    return Error("a layer is compressed by none of 0, 1, 4 and 128");
  }
  return ratios;
}

absl::Status ReadShared(const Config& config, Model* model) {
  struct Field {
    const char* key;
    void (Model::*set)(int32_t);
  };
  const Field fields[] = {{"hidden_size", &Model::set_hidden_size},
                          {"q_lora_rank", &Model::set_q_lora_rank},
                          {"num_attention_heads", &Model::set_query_heads},
                          {"n_routed_experts", &Model::set_experts},
                          {"num_experts_per_tok", &Model::set_experts_per_token},
                          {"moe_intermediate_size", &Model::set_expert_intermediate},
                          {"index_n_heads", &Model::set_index_heads},
                          {"index_head_dim", &Model::set_index_head_dim},
                          {"index_topk", &Model::set_top_k},
                          {"vocab_size", &Model::set_vocab_size}};
  for (const Field& field : fields) {
    TIERSCOPE_ASSIGN_OR_RETURN(const int64_t value, config.Whole(field.key));
    (model->*field.set)(static_cast<int32_t>(value));
  }
  model->set_shared_experts(static_cast<int32_t>(config.WholeOr("n_shared_experts", 1)));
  const bool fp4 = config.Text("expert_dtype") == "fp4";
  model->set_expert_weight_bits(fp4 ? 4.25 : config.Quantized() ? 8.0 : 16.0);
  model->set_index_key_bytes(model->index_head_dim() + 4);  // FP8 values and an FP32 scale
  model->set_target_layers(kTargetLayers);
  model->set_memory_index_heads(kMemoryHeads);
  model->set_memory_index_head_dim(kMemoryDim);
  return absl::OkStatus();
}

absl::Status ReadV4(const Config& config, int64_t layers, Model* model) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<int64_t> ratios, config.Ratios(layers));
  const auto count = [&](int64_t ratio) {
    return static_cast<int32_t>(std::count(ratios.begin(), ratios.end(), ratio));
  };
  model->set_csa_layers(count(4));
  model->set_hca_layers(count(128));
  model->set_swa_layers(count(0) + count(1));
  model->set_csa_tokens_per_entry(4);
  model->set_hca_tokens_per_entry(128);
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t head_dim, config.Whole("head_dim"));
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t o_lora, config.Whole("o_lora_rank"));
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t o_groups, config.Whole("o_groups"));
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t window, config.Whole("sliding_window"));
  const int64_t rope = config.WholeOr("qk_rope_head_dim", 64);
  model->set_head_dim(static_cast<int32_t>(head_dim));
  model->set_o_lora_rank(static_cast<int32_t>(o_lora));
  model->set_o_groups(static_cast<int32_t>(o_groups));
  model->set_window_tokens(static_cast<int32_t>(window));
  // FP8 values, BF16 rope, a scale byte for each 64 values, padded to 8.
  model->set_kv_entry_bytes(
      head_dim - rope + 2 * rope +
      static_cast<int64_t>(std::ceil(static_cast<double>(head_dim - rope) / 64.0 / 8.0)) * 8);
  return absl::OkStatus();
}

absl::Status ReadDsa(const Config& config, int64_t layers, Model* model) {
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t latent, config.Whole("kv_lora_rank"));
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t nope, config.Whole("qk_nope_head_dim"));
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t rope, config.Whole("qk_rope_head_dim"));
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t value, config.Whole("v_head_dim"));
  model->set_csa_layers(static_cast<int32_t>(layers));
  model->set_hca_layers(0);
  model->set_swa_layers(0);
  model->set_csa_tokens_per_entry(1);
  model->set_hca_tokens_per_entry(128);
  model->set_window_tokens(0);
  model->set_kv_lora_rank(static_cast<int32_t>(latent));
  model->set_head_dim(static_cast<int32_t>(latent + rope));
  model->set_qk_head_dim(static_cast<int32_t>(nope + rope));
  model->set_v_head_dim(static_cast<int32_t>(value));
  // FP8 values with an FP32 scale for each 128, BF16 rope.
  model->set_kv_entry_bytes(latent + latent / 32 + 2 * rope);
  const int64_t dense = std::min(layers, config.WholeOr("first_k_dense_replace", 0));
  model->set_dense_layers(static_cast<int32_t>(dense));
  if (dense > 0) {
    TIERSCOPE_ASSIGN_OR_RETURN(const int64_t inner, config.Whole("intermediate_size"));
    model->set_dense_intermediate(static_cast<int32_t>(inner));
  }
  return absl::OkStatus();
}

double Weights(const std::vector<GemmWork>& products, bool bytes) {
  double sum = 0.0;
  for (const GemmWork& product : products) {
    sum += product.groups * product.n * product.k * (bytes ? product.weight_bytes : 1.0);
  }
  return sum;
}

// Weights (or bytes of them) of all layers' attention on one of `ranks` ranks.
double AttentionWeights(const Model& model, int32_t ranks, bool bytes) {
  const auto of = [&](LayerKind kind) {
    return Weights(AttentionGemms(model, kind, ranks, 1.0, 1.0), bytes);
  };
  return model.csa_layers() * of(LayerKind::kCsa) + model.hca_layers() * of(LayerKind::kHca) +
         model.swa_layers() * of(LayerKind::kSwa);
}

void DeriveTotals(Model* model) {
  const double layers = model->csa_layers() + model->hca_layers() + model->swa_layers();
  const double moe_layers = layers - model->dense_layers();
  const double expert = 3.0 * model->hidden_size() * model->expert_intermediate();
  const double head = 2.0 * model->vocab_size() * model->hidden_size();  // BF16
  const double dense = 3.0 * model->hidden_size() * model->dense_intermediate();
  // One rank of r has replicated + sharded / r.
  const double whole = AttentionWeights(*model, 1, true);
  const double sharded = 2.0 * (whole - AttentionWeights(*model, 2, true));
  const double experts_bytes =
      moe_layers * expert *
      (model->experts() * model->expert_weight_bits() / 8.0 + model->shared_experts());
  const double router = moe_layers * 2.0 * model->hidden_size() * model->experts();
  model->set_weight_bytes_sharded(
      std::llround(sharded + experts_bytes + model->dense_layers() * dense + 2.0 * head));
  model->set_attention_weight_bytes_sharded(std::llround(sharded));
  model->set_weight_bytes_replicated(std::llround(whole - sharded + router));
  const double active =
      AttentionWeights(*model, 1, false) +
      moe_layers * (expert * (model->experts_per_token() + model->shared_experts()) +
                    static_cast<double>(model->hidden_size()) * model->experts()) +
      model->dense_layers() * dense + head / 2.0;
  model->set_gflop_per_token_constant(std::round(2.0 * active / 1e7) / 100.0);
  const bool v4 = model->kv_lora_rank() == 0;
  model->set_fixed_hbm_bytes(v4 ? std::llround(kFixedBytesPerLayer * layers) : 0);
  const double csa = static_cast<double>(model->kv_entry_bytes() + model->index_key_bytes()) /
                     model->csa_tokens_per_entry();
  const double hca = static_cast<double>(model->kv_entry_bytes()) / model->hca_tokens_per_entry();
  model->set_full_kv_budget_bytes_per_token(
      std::llround(std::ceil(model->csa_layers() * csa + model->hca_layers() * hca)));
}

std::string SourceOf(const std::string& field, bool dsa) {
  if (field == "target_layers" || field == "memory_index_heads" ||
      field == "memory_index_head_dim") {
    return "UNKNOWN: as V4-Flash with FM's memory indexer";
  }
  if (field == "fixed_hbm_bytes") {
    return dsa ? "UNKNOWN: no sliding window and no compressor"
               : "UNKNOWN: V4-Flash's pools scaled by layers";
  }
  if (field == "full_kv_budget_bytes_per_token") return "UNKNOWN: KV and index keys alone";
  if (field == "page_entries") return "UNKNOWN: as V4-Flash with FM";
  for (const char* derived :
       {"weight_bytes_sharded", "weight_bytes_replicated", "attention_weight_bytes_sharded",
        "gflop_per_token_constant", "kv_entry_bytes", "index_key_bytes", "csa_tokens_per_entry",
        "hca_tokens_per_entry", "expert_weight_bits", "qk_head_dim", "csa_layers", "hca_layers",
        "swa_layers"}) {
    if (field == derived) return "[D] from the shapes and layers of config.json";
  }
  if (dsa && (field == "window_tokens" || field == "head_dim")) {
    return "[D] from the shapes and layers of config.json";
  }
  return "[S] config.json";
}

std::string PresetText(const Model& model, bool dsa) {
  std::string text =
      "# proto-file: scenarios/scenario.proto\n# proto-message: tierscope.Model\n#\n"
      "# Read from a config.json. Tags: [S] read in the source named, [D] arithmetic on [S] "
      "numbers, UNKNOWN an\n# assumption to sweep.\n";
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  const auto& reflection = *model.GetReflection();
  reflection.ListFields(model, &fields);
  for (const auto* field : fields) {
    using Descriptor = google::protobuf::FieldDescriptor;
    std::string value;
    if (field->cpp_type() == Descriptor::CPPTYPE_STRING) {
      absl::StrAppend(&text, "name: \"", absl::CHexEscape(reflection.GetString(model, field)),
                      "\"\n");
      continue;
    }
    if (field->cpp_type() == Descriptor::CPPTYPE_INT32) {
      value = absl::StrCat(reflection.GetInt32(model, field));
    } else if (field->cpp_type() == Descriptor::CPPTYPE_INT64) {
      value = absl::StrCat(reflection.GetInt64(model, field));
    } else {
      value = absl::StrFormat("%.6g", reflection.GetDouble(model, field));
    }
    absl::StrAppend(&text, field->name(), ": ", value, "  # ", SourceOf(field->name(), dsa), "\n");
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> ModelPresetFromConfig(const std::string& json,
                                                  const std::string& file) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(json).get_object().get(object) != simdjson::SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": is no JSON object; give the config.json of the model"));
  }
  const Config config(object, file);
  const std::string type = config.Text("model_type");
  const bool v4 = type == "deepseek_v4";
  if (!v4 && type != "deepseek_v32" && type != "glm_moe_dsa") {
    return config.Error(absl::StrCat("model_type '", absl::CHexEscape(type.substr(0, 40)),
                                     "' is none of deepseek_v4, deepseek_v32 and glm_moe_dsa"));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t layers, config.Whole("num_hidden_layers"));
  if (layers > kLayersMax) return config.Error("num_hidden_layers is more than 10000");
  Model model;
  model.set_name(type);
  model.set_page_entries(64);
  TIERSCOPE_RETURN_IF_ERROR(ReadShared(config, &model));
  TIERSCOPE_RETURN_IF_ERROR(v4 ? ReadV4(config, layers, &model) : ReadDsa(config, layers, &model));
  if (model.csa_layers() < kTargetLayers) {
    return config.Error(absl::StrCat("has fewer than ", kTargetLayers, " layers with an indexer"));
  }
  DeriveTotals(&model);
  return PresetText(model, !v4);
}

}  // namespace tierscope
