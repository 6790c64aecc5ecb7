#include "traces/azure_reader.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/testing/request_traces.h"
#include "tests/testing/temp_folder.h"

namespace tierscope {
namespace {

using testing::ArrivalsNs;
using testing::Inputs;
using testing::Load;
using testing::LoadError;
using testing::Outputs;

constexpr absl::string_view kHeader = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
constexpr absl::string_view kRow = "2023-11-16 18:17:03.9799600,4808,10\n";

class AzureReaderTest : public ::testing::Test {
 protected:
  std::string Write(absl::string_view rows) {
    return folder_.Write("a.csv", absl::StrCat(kHeader, rows));
  }
  std::string SecondRowError(absl::string_view row) {
    const std::string path = Write(absl::StrCat(kRow, row));
    const std::string error = LoadError(path);
    const std::string place = absl::StrCat(path, ":3: ");
    EXPECT_EQ(error.substr(0, place.size()), place);
    return error.substr(std::min(place.size(), error.size()));
  }
  testing::TempFolder folder_;
};

TEST_F(AzureReaderTest, ReadsAHundredNanosecondsRelativeToTheFirstRow) {
  const RequestTrace trace =
      Load(Write("2023-11-16 18:17:03.9799600,4808,10\n"
                 "2023-11-16 18:17:03.9799601,3180,8\n"
                 "2023-11-16 18:17:04.0319600,110,0\n"));
  EXPECT_EQ(trace.format, "azure2023");
  EXPECT_EQ(ArrivalsNs(trace), (std::vector<int64_t>{0, 100, 52'000'000}));
  EXPECT_EQ(Inputs(trace), (std::vector<int64_t>{4808, 3180, 110}));
  EXPECT_EQ(Outputs(trace), (std::vector<int64_t>{10, 8, 0}));
}

// Rows of the same length could share; the trace does not say so.
TEST_F(AzureReaderTest, InventsNoSharing) {
  const RequestTrace trace = Load(Write(absl::StrCat(kRow, kRow)));
  EXPECT_EQ(trace.block_tokens, 0);
  EXPECT_EQ(trace.block_reference_count, 0);
  EXPECT_EQ(trace.block_count, 0);
  EXPECT_TRUE(trace.block_ids.empty());
  EXPECT_EQ(trace.block_begin, (std::vector<uint64_t>{0, 0, 0}));
  EXPECT_EQ(trace.conversation_count, 0);
  EXPECT_EQ(trace.requests[0].conversation, -1);
}

TEST_F(AzureReaderTest, CrossesDaysMonthsAndLeapYears) {
  constexpr int64_t kDay = 86'400'000'000'000;
  const RequestTrace trace =
      Load(Write("2023-12-31 23:59:59.9999999,1,1\n"
                 "2024-01-01 00:00:00.0000000,1,1\n"
                 "2024-02-28 00:00:00.0000000,1,1\n"
                 "2024-03-01 00:00:00.0000000,1,1\n"));
  EXPECT_EQ(ArrivalsNs(trace), (std::vector<int64_t>{0, 100, 58 * kDay + 100, 60 * kDay + 100}));
}

TEST_F(AzureReaderTest, ToleratesCrlfAndNoLastNewline) {
  const std::string path =
      folder_.Write("a.csv",
                    "\xEF\xBB\xBFTIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 "
                    "18:17:03.9799600,4808,10\r\n"
                    "2023-11-16 18:17:04.9799600,5,6");
  EXPECT_EQ(Outputs(Load(path)), (std::vector<int64_t>{10, 6}));
}

TEST_F(AzureReaderTest, SortsStablyRelativeToTheEarliestRow) {
  const RequestTrace trace =
      Load(Write("2023-11-16 18:17:04.0000000,1,1\n"
                 "2023-11-16 18:17:03.0000000,2,1\n"
                 "2023-11-16 18:17:04.0000000,3,1\n"
                 "2023-11-16 18:17:03.0000000,4,1\n"));
  EXPECT_EQ(Inputs(trace), (std::vector<int64_t>{2, 4, 1, 3}));
  EXPECT_EQ(ArrivalsNs(trace), (std::vector<int64_t>{0, 0, 1'000'000'000, 1'000'000'000}));
}

TEST_F(AzureReaderTest, RefusesOtherTimestamps) {
  for (const char* timestamp :
       {"2023-11-16 18:17:03.979960", "2023-11-16 18:17:03", "2023-11-16T18:17:03.9799600",
        "2023-02-29 18:17:03.9799600", "2023-13-01 18:17:03.9799600", "2023-00-01 18:17:03.9799600",
        "2023-11-31 18:17:03.9799600", "2023-11-00 18:17:03.9799600", "2023-11-16 24:17:03.9799600",
        "2023-11-16 18:60:03.9799600", "2023-11-16 18:17:60.9799600", "1969-11-16 18:17:03.9799600",
        "2200-01-01 00:00:00.0000000", "1700158623.9799600", "", "2023-11-16 18:17:03.97996-0"}) {
    EXPECT_EQ(
        SecondRowError(absl::StrCat(timestamp, ",1,1")),
        "TIMESTAMP is not 'YYYY-MM-DD hh:mm:ss.fffffff' with 7 decimals; convert it to that form")
        << timestamp;
  }
}

TEST_F(AzureReaderTest, RefusesBadCounts) {
  const std::string time = "2023-11-16 18:17:03.9799600,";
  for (const char* count :
       {"-1", "1.0", "", "1e3", "1073741825", "99999999999999999999", " 1", "+1"}) {
    EXPECT_EQ(
        SecondRowError(absl::StrCat(time, count, ",1")),
        "ContextTokens is not a whole number from 0 to 1073741824; correct the row or fetch the "
        "trace again")
        << count;
    EXPECT_EQ(SecondRowError(absl::StrCat(time, "1,", count)).find("GeneratedTokens is not"), 0)
        << count;
  }
  EXPECT_EQ(SecondRowError(time + "1"), "the row has 2 columns of 3; fetch the trace again");
  EXPECT_EQ(SecondRowError(time + "1,1,1"), "the row has 4 columns of 3; fetch the trace again");
}

TEST_F(AzureReaderTest, RefusesAnotherHeaderAndNoRows) {
  const std::string path = folder_.Write("a.csv", "Timestamp,Model,Request tokens\n1,2,3\n");
  EXPECT_EQ(LoadError(path), path +
                                 ":1: the header is not 'TIMESTAMP,ContextTokens,GeneratedTokens'; "
                                 "give a CSV file of the Azure 2023 trace");
  const std::string empty = Write("");
  EXPECT_EQ(LoadError(empty), empty + ": holds no request; fetch or export the trace again");
}

}  // namespace
}  // namespace tierscope
