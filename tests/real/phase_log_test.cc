#include "reports/schema/phase_log.h"

#include <fstream>
#include <limits>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/testing/temp_folder.h"

namespace tierscope {
namespace {

using testing::TempFolder;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

std::string TextOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string Refusal(const std::string& text) {
  const TempFolder folder;
  const auto spans = ReadPhaseLog(folder.Write("p.csv", text));
  if (spans.ok()) return "accepted";
  const std::string message(spans.status().message());
  return message.substr(std::min(message.size(), folder.path().size() + 1));
}

std::string WithRow(const std::string& row) {
  return absl::StrCat(kPhaseLogHeader, "\n0,-1,-1,step,0,5,0,0\n", row);
}

TEST(PhaseLogTest, ReadsBackWhatItWrote) {
  const TempFolder folder;
  std::vector<PhaseSpan> spans = {{0, -1, -1, Phase::kStep, 0, 12, 0, 7},
                                  {3, 1, 2, Phase::kRecall, 5, 0, 112128, 1},
                                  {-1, 9, -1, Phase::kPublish, 1, kMax - 1, kMax, kMax}};
  for (int i = 0; i < kPhaseCount; ++i) {
    spans.push_back({i, -1, -1, static_cast<Phase>(i), i, i, i, i});
  }
  const std::string path = folder.File("phases.csv");
  ASSERT_TRUE(WritePhaseLog(path, spans).ok());
  const auto read = ReadPhaseLog(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, spans);
}

TEST(PhaseLogTest, TheFileIsAsDescribed) {
  const TempFolder folder;
  const std::string path = folder.File("phases.csv");
  ASSERT_TRUE(WritePhaseLog(path, {{4, -1, -1, Phase::kCsaAttention, 100, 20, 3000, 0},
                                   {4, 0, -1, Phase::kScore, 90, 50, 6000, 0}})
                  .ok());
  EXPECT_EQ(TextOf(path),
            "step,tick,request,phase,begin_ns,duration_ns,bytes,pages\n"
            "4,-1,-1,csa_attention,100,20,3000,0\n"
            "4,0,-1,score,90,50,6000,0\n");
  EXPECT_EQ(PhaseLogOfRepeat(2), "phases-2.csv");
}

TEST(PhaseLogTest, NamesAreUniqueAndFoundAgain) {
  for (int i = 0; i < kPhaseCount; ++i) {
    const auto phase = static_cast<Phase>(i);
    EXPECT_EQ(PhaseFromName(PhaseName(phase)), phase);
  }
  EXPECT_FALSE(PhaseFromName("Step"));
  EXPECT_FALSE(PhaseFromName(""));
}

TEST(PhaseLogTest, AnUnfinishedFileIsNotThere) {
  const TempFolder folder;
  const std::string path = folder.File("phases.csv");
  {
    PhaseLogWriter writer;
    ASSERT_TRUE(writer.Open(path).ok());
    writer.Append({});
  }
  EXPECT_FALSE(std::ifstream(path).good());
}

TEST(PhaseLogTest, RefusesWhatIsNoTable) {
  const struct {
    std::string text;
    const char* message;
  } cases[] = {
      {"", "p.csv:1: the first line is not step,tick"},
      {"step,tick\n", "p.csv:1: the first line is not step,tick"},
      {absl::StrCat(kPhaseLogHeader, "\r\n"), "p.csv:1: the first line is not"},
      {WithRow("1,-1,-1,step,0,5,0,0"), "p.csv:3: the last line has no end"},
      {WithRow("1,-1,-1,step,0,5,0\n"), "p.csv:3: not 8 fields"},
      {WithRow("1,-1,-1,step,0,5,0,0,0\n"), "p.csv:3: not 8 fields"},
      {WithRow("\n"), "p.csv:3: not 8 fields"},
      {WithRow("-2,-1,-1,step,0,5,0,0\n"), "p.csv:3: step is '-2', not a whole number from -1 on"},
      {WithRow("1.0,-1,-1,step,0,5,0,0\n"), "p.csv:3: step is '1.0'"},
      {WithRow("01,-1,-1,step,0,5,0,0\n"), "p.csv:3: step is '01'"},
      {WithRow("1, 2,-1,step,0,5,0,0\n"), "p.csv:3: tick is ' 2'"},
      {WithRow("1,-1,+3,step,0,5,0,0\n"), "p.csv:3: request is '+3'"},
      {WithRow("1,-1,-1,nap,0,5,0,0\n"), "p.csv:3: phase is 'nap', which is none"},
      {WithRow("1,-1,-1,step,-1,5,0,0\n"), "p.csv:3: begin_ns is '-1'"},
      {WithRow("1,-1,-1,step,0,-5,0,0\n"), "p.csv:3: duration_ns is '-5'"},
      {WithRow("1,-1,-1,step,0,5,-1,0\n"), "p.csv:3: bytes is '-1'"},
      {WithRow("1,-1,-1,step,0,5,0,-1\n"), "p.csv:3: pages is '-1'"},
      {WithRow("1,-1,-1,step,9223372036854775808,5,0,0\n"), "p.csv:3: begin_ns is '9223"},
      {WithRow("1,-1,-1,step,9223372036854775807,1,0,0\n"),
       "p.csv:3: begin_ns + duration_ns is beyond"},
      {WithRow(std::string(kPhaseLogLineBytesMax + 1, '1') + "\n"), "p.csv:3: a line of more than"},
      {WithRow(std::string(3, '\0') + "\n"), "p.csv:3: not 8 fields"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_TRUE(absl::StartsWith(Refusal(text), message)) << Refusal(text) << "\nnot " << message;
  }
  EXPECT_EQ(Refusal(WithRow("")), "accepted");
  const TempFolder folder;
  EXPECT_TRUE(absl::IsNotFound(ReadPhaseLog(folder.File("none")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadPhaseLog(folder.path()).status()));
}

}  // namespace
}  // namespace tierscope
