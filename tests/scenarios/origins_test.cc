#include "scenarios/origins.h"

#include "gtest/gtest.h"

#include "scenarios/scenario.pb.h"
#include "scenarios/text_file.h"

namespace tierscope {
namespace {

Origins OfFile(const std::string& text, const std::string& prefix = "") {
  Scenario scenario;
  google::protobuf::TextFormat::ParseInfoTree tree;
  EXPECT_TRUE(ParseText(text, "f", &scenario, &tree).ok());
  Origins origins;
  origins.AddFile(scenario, tree, prefix, "f");
  return origins;
}

TEST(OriginsTest, PlacesOfAFile) {
  const Origins origins = OfFile(
      "seed: 3\n"
      "workload {\n"
      "  classes { weight: 1 }\n"
      "  classes { name: \"b\" weight: 2 }\n"
      "}\n"
      "engine { graph_batch_sizes: [1, 2] }\n",
      "run");
  EXPECT_EQ(origins.Where("run.seed"), "f:1:1: run.seed");
  EXPECT_EQ(origins.Where("run.workload"), "f:2:1: run.workload");
  EXPECT_EQ(origins.Where("run.workload.classes[1].weight"),
            "f:4:23: run.workload.classes[1].weight");
  EXPECT_EQ(origins.Where("run.engine.graph_batch_sizes[1]"),
            "f:6:10: run.engine.graph_batch_sizes[1]");
  EXPECT_EQ(origins.Where("run.name"), "run.name");
  EXPECT_EQ(origins.Error("run.seed", "is odd").message(), "f:1:1: run.seed: is odd");
}

TEST(OriginsTest, AnOverrideStandsInForTheFile) {
  Origins origins = OfFile("engine { graph_batch_sizes: [1, 2] tensor_parallel: 8 }");
  origins.AddOverride("engine.graph_batch_sizes");
  EXPECT_EQ(origins.Where("engine.graph_batch_sizes[1]"), "--set engine.graph_batch_sizes");
  EXPECT_TRUE(origins.IsOverride("engine.graph_batch_sizes"));
  EXPECT_FALSE(origins.IsOverride("engine.tensor_parallel"));
  EXPECT_EQ(origins.Where("engine.tensor_parallel"), "f:1:36: engine.tensor_parallel");
}

TEST(OriginsTest, ForgetsOnlyWhatLiesInside) {
  Origins origins = OfFile("policy { kind: LSA } model { csa_layers: 1 } name: \"m\"");
  origins.AddOverride("model.top_k");
  origins.Forget("model");
  origins.Forget("nam");
  EXPECT_EQ(origins.Where("model.csa_layers"), "f: model.csa_layers");
  EXPECT_EQ(origins.Where("model.top_k"), "f: model.top_k");
  EXPECT_EQ(origins.Where("policy.kind"), "f:1:10: policy.kind");
  EXPECT_EQ(origins.Where("name"), "f:1:46: name");
}

TEST(OriginsTest, WhatIsKnownKeepsItsOrigin) {
  Origins origins = OfFile("seed: 3");
  origins.AddOverride("name");
  Scenario preset;
  google::protobuf::TextFormat::ParseInfoTree tree;
  ASSERT_TRUE(ParseText("seed: 4 name: \"x\" policy { }", "g", &preset, &tree).ok());
  origins.AddFile(preset, tree, "", "g");
  EXPECT_EQ(origins.Where("seed"), "f:1:1: seed");
  EXPECT_EQ(origins.Where("name"), "--set name");
  EXPECT_EQ(origins.Where("policy"), "g:1:19: policy");
}

}  // namespace
}  // namespace tierscope
