// Input that no editor wrote: each gives a status, one short line, and neither crashes nor hangs.
#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

#include "scenarios/text_file.h"
#include "sim/base/rng.h"
#include "tests/scenarios/scenario_text.h"

namespace tierscope {
namespace {

std::string Repeat(const std::string& piece, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += piece;
  return text;
}

void ExpectRefused(const std::string& text) {
  const std::string message = Refusal(text);
  EXPECT_NE(message, "accepted") << text.substr(0, 80);
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_LT(message.size(), 1000);
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes)
      : path_(
            std::filesystem::path(testing::TempDir()) /
            absl::StrCat(testing::UnitTest::GetInstance()->current_test_info()->name(), ".txtpb")) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

std::string LoadRefusal(const std::string& path) {
  const absl::StatusOr<Scenario> scenario = LoadScenario(path, {});
  return scenario.ok() ? "accepted" : std::string(scenario.status().message());
}

TEST(HostileTest, DeepNesting) {
  ExpectRefused(Repeat("model { ", 100'000));
  ExpectRefused(Repeat("workload { attention { ", 50'000));
  ExpectRefused("engine { graph_batch_sizes: " + Repeat("[", 100'000));
  ExpectRefused("[type.googleapis.com/x] " + Repeat("{ a ", 100'000));
}

TEST(HostileTest, Garbage) {
  ExpectRefused(std::string("\0\0\0\0", 4));
  ExpectRefused("\xff\xfe\x00policy");
  ExpectRefused(Repeat("a", 500'000));
  ExpectRefused("name: \"" + Repeat("a", 500'000));
  ExpectRefused("name: \"" + Repeat("a", 500'000) + "\"");
  ExpectRefused("name: \"../../etc\"");
  ExpectRefused("seed: " + Repeat("9", 10'000));
  Rng rng(5);
  for (int i = 0; i < 200; ++i) {
    std::string bytes(1 + rng.NextBelow(400), '\0');
    for (char& byte : bytes) byte = static_cast<char>(rng.NextUint64());
    ExpectRefused(bytes);
  }
}

TEST(HostileTest, EveryTruncationOfAScenario) {
  // Cut inside the model, hardware or workload it lacks something; later it may be complete.
  const std::string text = SmallScenario();
  for (size_t bytes = 0; bytes + 3 < text.size(); ++bytes) ExpectRefused(text.substr(0, bytes));
}

TEST(HostileTest, EveryFlippedByteGivesAStatus) {
  const std::string text = SmallScenario("policy { kind: LSA tau_steps: 64 threshold: 0.5 }");
  for (size_t at = 0; at < text.size(); ++at) {
    for (const unsigned char mask : {0x01, 0x10, 0x80}) {
      std::string flipped = text;
      flipped[at] = static_cast<char>(flipped[at] ^ mask);
      EXPECT_EQ(Refusal(flipped).find('\n'), std::string::npos) << at;
    }
  }
}

TEST(HostileTest, HostileOverrides) {
  const std::string values[] = {Repeat("[", 100'000),
                                Repeat(",", 100'000),
                                Repeat("a.", 100'000),
                                Repeat("9", 100'000),
                                std::string("\0=\0", 3),
                                "\"",
                                "[\"",
                                "]"};
  for (const std::string& value : values) {
    for (const std::string& set :
         {value, absl::StrCat("policy.tau_steps=", value), absl::StrCat(value, "=1"),
          absl::StrCat("engine.graph_batch_sizes=", value, "x")}) {
      const std::string message = Refusal(SmallScenario(), {set});
      EXPECT_NE(message, "accepted") << set.substr(0, 60);
      EXPECT_LT(message.size(), 1000) << set.substr(0, 60);
      EXPECT_EQ(message.find('\n'), std::string::npos);
    }
  }
}

TEST(HostileTest, Files) {
  EXPECT_EQ(LoadRefusal("/nowhere/s.txtpb"),
            "/nowhere/s.txtpb: cannot be opened (No such file or directory); check the path");
  EXPECT_EQ(LoadRefusal(testing::TempDir()),
            absl::StrCat(testing::TempDir(), ": is a folder; give a .txtpb file"));
  EXPECT_EQ(LoadRefusal("/dev/zero"),
            "/dev/zero: is larger than 1048576 bytes; give a scenario or preset file");
}

TEST(HostileTest, EmptyFile) {
  const TemporaryFile file("");
  EXPECT_EQ(LoadRefusal(file.path()), absl::StrCat(file.path(), ": is empty; give a .txtpb file"));
}

TEST(HostileTest, LargestFile) {
  const std::string scenario = SmallScenario();
  const TemporaryFile file(scenario + std::string(kTextFileBytesMax - scenario.size(), '\n'));
  EXPECT_EQ(LoadRefusal(file.path()), "accepted");
}

TEST(HostileTest, HugeFile) {
  const std::string scenario = SmallScenario();
  const TemporaryFile file(scenario + std::string(kTextFileBytesMax + 1 - scenario.size(), '\n'));
  EXPECT_EQ(
      LoadRefusal(file.path()),
      absl::StrCat(file.path(), ": is larger than 1048576 bytes; give a scenario or preset file"));
}

}  // namespace
}  // namespace tierscope
