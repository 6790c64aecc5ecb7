// Checkpoints and dumps as files: every dtype that is read, and every refusal.
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "kernels/fp8.h"
#include "tests/testing/temp_folder.h"
#include "tests/traces/indexer/indexer_testing.h"
#include "traces/indexer/checkpoint.h"
#include "traces/indexer/hidden_dump.h"
#include "traces/indexer/planted_dump.h"

namespace tierscope::testing {
namespace {

constexpr IndexerShape kShape = {12, 6, 3, 8};

void ExpectPart(const absl::Status& status, const std::string& part, const std::string& path) {
  ASSERT_FALSE(status.ok()) << part;
  const std::string message(status.message());
  EXPECT_EQ(message.find(path), 0u) << message;
  EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

class CheckpointTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::vector<LayerWeights>> Read(const Tensors& tensors,
                                                 const std::vector<int>& layers = {}) {
    const auto source = OpenFileSource(WriteTensors(tensors, path_));
    return ReadCheckpoint(**source, layers);
  }
  void ExpectRefused(const std::function<void(Tensors*)>& change, const std::string& part) {
    Tensors tensors = CheckpointTensors(layers_);
    change(&tensors);
    ExpectPart(Read(tensors).status(), part, path_);
  }
  // Replaces a tensor by one of another shape, all values 1.
  void ExpectShapeRefused(const std::string& name, std::vector<int64_t> shape,
                          const std::string& part) {
    int64_t count = 1;
    for (const int64_t d : shape) count *= d;
    ExpectRefused(
        [&](Tensors* t) {
          (*t)["retrievers.l10." + name] = {"F32", shape,
                                            TextOf(std::vector<float>(size_t(count), 1.0f))};
        },
        part);
  }

  TempFolder folder_;
  std::string path_ = folder_.File("weights.safetensors");
  std::vector<LayerWeights> layers_ = {DrawWeights(10, kShape), DrawWeights(20, kShape)};
};

TEST_F(CheckpointTest, RoundTrip) {
  Tensors tensors = CheckpointTensors(layers_);
  tensors["retrievers.l10.freqs_cis"] = {"C64", {1}, std::string(8, '\1')};  // not looked at
  const auto read = Read(tensors);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ((*read)[i].csa_layer, layers_[i].csa_layer);
    EXPECT_EQ((*read)[i].shape, kShape);
    EXPECT_EQ((*read)[i].wq_a, layers_[i].wq_a);
    EXPECT_EQ((*read)[i].q_norm, layers_[i].q_norm);
    EXPECT_EQ((*read)[i].wq_b, layers_[i].wq_b);
    EXPECT_EQ((*read)[i].weights_proj, layers_[i].weights_proj);
  }
  const auto one = Read(tensors, {20});
  ASSERT_TRUE(one.ok()) << one.status();
  ASSERT_EQ(one->size(), 1u);
  EXPECT_EQ((*one)[0].wq_a, layers_[1].wq_a);
}

TEST_F(CheckpointTest, HalfPrecision) {
  // binary16 and bf16 of 1, -2, 2^-24 (binary16's least) and 65504 (its largest), by hand.
  Tensors tensors = CheckpointTensors({layers_[0]});
  TensorText& norm = tensors["retrievers.l10.q_norm_weight"];
  norm = {
      "F16", {6}, TextOf(std::vector<uint16_t>{0x3C00, 0xC000, 0x0001, 0x7BFF, 0x8000, 0x3555})};
  auto read = Read(tensors);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)[0].q_norm, (std::vector<float>{1, -2, 0x1p-24f, 65504, -0.0f, 0x1.554p-2f}));
  norm = {
      "BF16", {6}, TextOf(std::vector<uint16_t>{0x3F80, 0xC000, 0x0001, 0x7F7F, 0x8000, 0x3EAB})};
  read = Read(tensors);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)[0].q_norm,
            (std::vector<float>{1, -2, 0x1p-133f, 0x1.FEp127f, -0.0f, 0x1.56p-2f}));
  norm.dtype = "F16";
  norm.bytes = TextOf(std::vector<uint16_t>{0x3C00, 0x7C00, 0, 0, 0, 0});
  ExpectPart(Read(tensors).status(), "q_norm_weight[1] is not finite", path_);
}

TEST_F(CheckpointTest, Refusals) {
  const std::string l10 = "retrievers.l10.";
  ExpectPart(Read({{"model.x", {"F32", {1}, std::string(4, '\0')}}}).status(),
             "no tensor retrievers.lL.wq_a.weight; it holds model.x", path_);
  ExpectPart(Read({}).status(), "it holds nothing", path_);
  Tensors padded = CheckpointTensors(layers_);
  padded["retrievers.l05.wq_a.weight"] = padded[l10 + "wq_a.weight"];
  ExpectPart(Read(padded, {5}).status(), "it has the layers 10, 20", path_);
  ExpectPart(Read(CheckpointTensors(layers_), {12}).status(), "it has the layers 10, 20", path_);
  for (const char* name : {"wq_a.weight", "q_norm_weight", "wq_b.weight", "weights_proj.weight"}) {
    ExpectRefused([&](Tensors* t) { t->erase(l10 + name); },
                  "tensor " + l10 + name + " is missing");
    ExpectRefused([&](Tensors* t) { (*t)[l10 + name].shape.push_back(1); },
                  l10 + name + " has shape");
    for (const char* dtype : {"I32", "F8_E4M3", "U8"}) {
      ExpectRefused(
          [&](Tensors* t) {
            TensorText& tensor = (*t)[l10 + name];
            if (std::string(dtype) != "I32") tensor.bytes.resize(tensor.bytes.size() / 4);
            tensor.dtype = dtype;
          },
          l10 + name + " has dtype " + dtype);
    }
    for (const float bad : {std::nanf(""), -std::numeric_limits<float>::infinity()}) {
      ExpectRefused(
          [&](Tensors* t) { std::memcpy((*t)[l10 + name].bytes.data() + 8, &bad, sizeof bad); },
          l10 + name + "[2] is not finite");
    }
  }
}

TEST_F(CheckpointTest, ShapesThatDoNotGoTogether) {
  ExpectShapeRefused("wq_a.weight", {6, 13},
                     "weights_proj.weight has shape [3, 12], expected [any, 13]");
  ExpectShapeRefused("wq_a.weight", {7, 12}, "wq_b.weight has shape [24, 6], expected [any, 7]");
  ExpectShapeRefused("q_norm_weight", {5}, "has shape [5], expected [6]");
  ExpectShapeRefused("wq_b.weight", {25, 6}, "25 rows for 3 heads");
  ExpectShapeRefused("wq_b.weight", {21, 6}, "head_dim = 7, expected a power of two");
  ExpectShapeRefused("wq_b.weight", {6, 6}, "head_dim = 2, expected 4 to 1024");
  ExpectShapeRefused("weights_proj.weight", {1025, 12}, "heads = 1025, expected 1 to 1024");
  ExpectShapeRefused("weights_proj.weight", {0, 12}, "heads = 0, expected 1 to 1024");
  layers_[1] = DrawWeights(20, {12, 6, 3, 16});
  ExpectRefused([](Tensors*) {}, "layers 10 and 20 differ");
  layers_ = {DrawWeights(10, {1, kRankMax + 1, 1, 4})};
  ExpectRefused([](Tensors*) {}, "rank = 65537, expected 1 to 65536");
  layers_ = {DrawWeights(10, {kHiddenMax + 1, 1, 1, 4})};
  ExpectRefused([](Tensors*) {}, "hidden = 65537, expected 1 to 65536");
}

// A header that promises more than the file holds, and one whose sizes overflow.
TEST_F(CheckpointTest, AbsurdSizes) {
  for (const std::string& fields :
       {std::string("\"shape\":[1099511627776,8],\"data_offsets\":[0,35184372088832]"),
        std::string("\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"),
        std::string("\"shape\":[-1,8],\"data_offsets\":[0,8]")}) {
    const std::string header =
        "{\"retrievers.l10.wq_a.weight\":{\"dtype\":\"F32\"," + fields + "}}";
    const uint64_t length = header.size();
    const std::string path = folder_.Write(
        "absurd", std::string(reinterpret_cast<const char*>(&length), 8) + header + "12345678");
    const auto source = OpenFileSource(path);
    EXPECT_FALSE(ReadCheckpoint(**source, {}).ok()) << fields;
  }
}

TEST_F(CheckpointTest, EveryCutIsRefused) {
  const std::string path = WriteTensors(CheckpointTensors({DrawWeights(10, {4, 2, 1, 4})}), path_);
  std::string bytes(512 + 4096, '\0');
  const auto whole = OpenFileSource(path);
  bytes.resize(size_t((*whole)->size_bytes()));
  ASSERT_TRUE((*whole)->ReadAt(0, bytes.data(), int64_t(bytes.size())).ok());
  ASSERT_TRUE(ReadCheckpoint(**whole, {}).ok());
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(ReadCheckpoint(*MakeMemorySource("cut", bytes.substr(0, cut)), {}).ok()) << cut;
  }
}

class DumpTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<HiddenDump>> Open(const Tensors& tensors,
                                                   const std::vector<int>& layers = {}) {
    return HiddenDump::Open(*OpenFileSource(WriteTensors(tensors, path_)), layers, 4);
  }
  void ExpectRefused(const std::function<void(Tensors*)>& change, const std::string& part) {
    Tensors tensors = dump_;
    change(&tensors);
    ExpectPart(Open(tensors).status(), part, path_);
  }

  TempFolder folder_;
  std::string path_ = folder_.File("dump.safetensors");
  Tensors dump_ = DumpTensors({10, 12}, kShape, 5, 100, 30);
};

TEST_F(DumpTest, Reads) {
  TensorText& keys = dump_["compk_layer_12"];
  keys.shape = {30, 1, 12};                                     // as some versions write it
  dump_["hidden_layer_11"] = dump_["hidden_layer_12"];          // without keys: no layer
  for (const char* name : {"hidden_layer_", "compk_layer_"}) {  // names of no layer
    dump_[std::string(name) + "05"] = dump_[std::string(name) + "12"];
    dump_[std::string(name) + "-1"] = dump_[std::string(name) + "12"];
  }
  dump_["compk_layer_5"] = dump_["compk_layer_12"];
  const auto dump = Open(dump_);
  ASSERT_TRUE(dump.ok()) << dump.status();
  EXPECT_EQ((*dump)->layers(), (std::vector<int>{10, 12}));
  EXPECT_EQ((*dump)->rows(), 5);
  EXPECT_EQ((*dump)->hidden(), 12);
  EXPECT_EQ((*dump)->head_dim(), 8);
  EXPECT_EQ((*dump)->position(4), 104);
  EXPECT_EQ((*dump)->history(0), 25);
  EXPECT_EQ((*dump)->history(3), 26);
  EXPECT_FALSE((*dump)->has_labels());
  std::vector<float> row(12);
  ASSERT_TRUE((*dump)->ReadHidden(1, 3, row).ok());
  EXPECT_EQ(TextOf(row), dump_["hidden_layer_12"].bytes.substr(3 * 12 * 4, 12 * 4));
  std::vector<uint8_t> read(2 * 12);
  ASSERT_TRUE((*dump)->ReadKeys(0, 7, 2, read).ok());
  EXPECT_EQ(TextOf(read), dump_["compk_layer_10"].bytes.substr(7 * 12, 24));
}

TEST_F(DumpTest, Refusals) {
  ExpectPart(Open({}).status(), "no layer L has both tensors", path_);
  ExpectPart(Open(dump_, {10, 11}).status(), "layer 11 has no hidden_layer_11", path_);
  ExpectRefused([](Tensors* t) { (*t)["compk_layer_10"].dtype = "I8"; }, "expected U8 [entries");
  ExpectRefused([](Tensors* t) { (*t)["compk_layer_10"].shape = {360}; }, "expected U8 [entries");
  ExpectRefused([](Tensors* t) { (*t)["compk_layer_10"].shape = {60, 6}; }, "expected U8 [entries");
  ExpectRefused([](Tensors* t) { (*t)["compk_layer_12"].shape = {15, 24}; }, "differs in shape");
  ExpectRefused([](Tensors* t) { (*t)["hidden_layer_10"].shape = {4, 15}; }, "expected [5, 15]");
  ExpectRefused([](Tensors* t) { (*t)["hidden_layer_12"].shape = {10, 6}; }, "expected [5, 12]");
  ExpectRefused([](Tensors* t) { (*t)["hidden_layer_10"].dtype = "I32"; }, "has dtype I32");
  ExpectRefused(
      [](Tensors* t) {
        (*t)["hidden_layer_10"] = {"F32", {0, 12}, ""};
      },
      "expected [5, 12]");
  ExpectRefused(
      [](Tensors* t) {
        t->erase("positions_layer_10");
        t->erase("positions_layer_12");
      },
      "no tensor positions_layer_L");
  const auto positions = [](std::vector<int64_t> values) {
    return [values](Tensors* t) {
      for (const char* name : {"positions_layer_10", "positions_layer_12"}) {
        (*t)[name].bytes = TextOf(values);
      }
    };
  };
  ExpectRefused(positions({0, 1, 2, 3, 5}), "does not rise evenly");
  ExpectRefused(positions({-5, -4, -3, -2, -1}), "holds the position -5");
  ExpectRefused(positions({0, 0, 0, 0, 0}), "does not rise evenly");
  const int64_t far = int64_t{1} << 27;
  ExpectRefused(positions({far, far + 1, far + 2, far + 3, far + 4}),
                "at a position up to 67108864");
  const int64_t huge = int64_t{1} << 62;
  ExpectRefused(positions({huge, huge + 1, huge + 2, huge + 3, huge + 4}), "holds the position");
  AddLabels({{1}, {2}, {3}}, &dump_);
  ExpectRefused([](Tensors*) {}, "label_pointers has 4 values, expected 6 for 5 rows");
}

TEST_F(DumpTest, KeysOfNaNAreNamed) {
  const auto dump = Open(dump_);
  const std::string message((*dump)->BadKey(1, 17).message());
  EXPECT_NE(message.find("compk_layer_12[17]"), std::string::npos) << message;
}

TEST(PlantedDumpTest, Refusals) {
  const TempFolder folder;
  const auto error = [&folder](const std::function<void(PlantedOptions*)>& change) {
    PlantedOptions options;
    change(&options);
    const absl::Status status = WritePlantedDump(options, folder.File("d"), "");
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  };
  EXPECT_NE(error([](PlantedOptions* o) { o->shape.head_dim = 12; }).find("power of two"),
            std::string::npos);
  EXPECT_NE(error([](PlantedOptions* o) { o->shape.heads = 1; }).find("2 or more"),
            std::string::npos);
  EXPECT_NE(error([](PlantedOptions* o) { o->prompt_tokens = 3; }).find("an entry at row 0"),
            std::string::npos);
  EXPECT_NE(error([](PlantedOptions* o) { o->rows = 1 << 20; }).find("positions up to"),
            std::string::npos);
}

TEST(PlantedDumpTest, DocumentsShareTheIndexer) {
  const TempFolder folder;
  PlantedOptions options;
  options.rows = 8;
  std::vector<std::string> checkpoints, dumps;
  for (const uint64_t document : {0, 1, 1}) {
    options.document = document;
    const std::string name = std::to_string(checkpoints.size());
    ASSERT_TRUE(WritePlantedDump(options, folder.File("d" + name), folder.File("p" + name)).ok());
    std::string bytes;
    for (auto* list : {&dumps, &checkpoints}) {
      const auto source = OpenFileSource(folder.File((list == &dumps ? "d" : "p") + name));
      bytes.resize(size_t((*source)->size_bytes()));
      ASSERT_TRUE((*source)->ReadAt(0, bytes.data(), int64_t(bytes.size())).ok());
      list->push_back(bytes);
    }
  }
  EXPECT_EQ(checkpoints[0], checkpoints[1]);
  EXPECT_NE(dumps[0], dumps[1]);
  EXPECT_EQ(dumps[1], dumps[2]);
}

}  // namespace
}  // namespace tierscope::testing
