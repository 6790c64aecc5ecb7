#include "traces/container.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/temp_folder.h"
#include "tests/traces/trace_testing.h"
#include "traces/container_verify.h"

namespace tierscope {
namespace {

using google::protobuf::util::MessageDifferencer;

// Records that differ from each other and compress badly; `filler` words each.
std::vector<TraceRecord> MakeRecords(int count, int filler) {
  Rng rng(5);
  std::vector<TraceRecord> records(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    Request* request = records[static_cast<size_t>(i)].mutable_request();
    request->set_arrival_ns(1000 * i);
    request->set_input_tokens(i + 1);
    for (int j = 0; j < filler; ++j) request->add_block_ids(rng.NextUint64());
  }
  return records;
}

bool IsPrefix(const std::vector<TraceRecord>& part, const std::vector<TraceRecord>& whole) {
  if (part.size() > whole.size()) return false;
  for (size_t i = 0; i < part.size(); ++i) {
    if (!MessageDifferencer::Equals(part[i], whole[i])) return false;
  }
  return true;
}

bool Same(const std::vector<TraceRecord>& a, const std::vector<TraceRecord>& b) {
  return a.size() == b.size() && IsPrefix(a, b);
}

TEST(ContainerTest, RoundTripOverSeveralFrames) {
  const std::string path = TempPath("t");
  const std::vector<TraceRecord> records = MakeRecords(500, 1000);  // about 5 MB raw
  WriteContainer(path, records);
  auto reader = ContainerReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_GE((*reader)->index().frames.size(), 3u);
  EXPECT_EQ((*reader)->record_count(), 500);
  const ReadResult result = ReadContainer(path);
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_TRUE(Same(result.records, records));
}

TEST(ContainerTest, DigestIsOfTheRecords) {
  const std::vector<TraceRecord> records = MakeRecords(3, 4);
  const auto digest_of = [](const std::vector<TraceRecord>& r) {
    WriteContainer(TempPath("t"), r);
    return (*ContainerReader::Open(TempPath("t")))->digest();
  };
  EXPECT_EQ(digest_of(records), digest_of(records));
  EXPECT_NE(digest_of(records), digest_of({records[0], records[1]}));
  EXPECT_NE(digest_of(records), digest_of({records[1], records[0], records[2]}));
}

TEST(ContainerTest, EmptyContainerAndSingleLargeRecord) {
  WriteContainer(TempPath("empty"), {});
  EXPECT_TRUE(ReadContainer(TempPath("empty")).status.ok());
  const std::vector<TraceRecord> large = MakeRecords(1, 1 << 20);  // 10 MB in one frame
  WriteContainer(TempPath("large"), large);
  EXPECT_TRUE(Same(ReadContainer(TempPath("large")).records, large));
}

TEST(ContainerTest, RecordAboveTheLimitIsRefused) {
  auto writer = ContainerWriter::Open(TempPath("t"));
  TraceRecord record;
  record.mutable_requests()->set_source_name(std::string(65 << 20, 'x'));
  const absl::Status status = (*writer)->Append(record);
  EXPECT_NE(status.message().find("64 MiB"), std::string::npos) << status;
  EXPECT_FALSE((*writer)->Finish().ok());
}

TEST(ContainerTest, NothingIsLeftOfAnUnfinishedFile) {
  const std::filesystem::path folder = TempPath("folder");
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  {
    auto writer = ContainerWriter::Open(folder / "t");
    ASSERT_TRUE((*writer)->Append(MakeRecords(1, 1)[0]).ok());
    EXPECT_FALSE(std::filesystem::exists(folder / "t"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  WriteContainer(folder / "t", MakeRecords(1, 1));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST(ContainerTest, WrongInputHasOneLine) {
  WriteFile(TempPath("empty"), "");
  WriteFile(TempPath("text"), std::string(500, '{'));
  WriteFile(TempPath("zstd"), std::string("\x28\xb5\x2f\xfd", 4) + std::string(500, '\1'));
  const std::pair<std::string, std::string> cases[] = {
      {TempPath("missing"), "No such file"},        {TempPath("empty"), "empty"},
      {TempPath("text"), "not a tierscope trace"},  {TempPath("zstd"), "not a tierscope trace"},
      {::testing::TempDir(), "not a regular file"},
  };
  for (const auto& [path, what] : cases) {
    const std::string message(ContainerReader::Open(path).status().message());
    EXPECT_NE(message.find(what), std::string::npos) << message;
    EXPECT_NE(message.find(path), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
  EXPECT_FALSE(LooksLikeContainer(TempPath("text")));
}

TEST(ContainerTest, ZstdOpensIt) {
  if (std::system("zstd --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no zstd program";
  const std::vector<TraceRecord> records = MakeRecords(300, 1000);
  WriteContainer(TempPath("t"), records);
  const std::string command = "zstd -dcq < " + TempPath("t") + " > " + TempPath("raw");
  ASSERT_EQ(std::system(command.c_str()), 0);
  const std::string raw = ReadFile(TempPath("raw"));
  container::RecordCursor cursor(raw);
  absl::string_view bytes;
  std::vector<TraceRecord> read;
  while (cursor.Next(&bytes)) {
    ASSERT_TRUE(read.emplace_back().ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  }
  EXPECT_TRUE(cursor.done());
  EXPECT_TRUE(Same(read, records));
}

// Damage of every byte: the reader must not return a wrong record, must not end as if the file were
// whole, and must name a range of bytes that holds the damage.
class DamageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = TempPath("t");
    records_ = MakeRecords(12, 3);
    WriteContainer(path_, records_);
    whole_ = ReadFile(path_);
  }

  void ExpectDetected(const std::string& bytes, size_t at) {
    WriteFile(path_, bytes);
    const ReadResult result = ReadContainer(path_);
    EXPECT_FALSE(result.status.ok()) << "byte " << at;
    EXPECT_TRUE(IsPrefix(result.records, records_)) << "byte " << at;
    EXPECT_NE(result.status.message().find(path_), std::string::npos);
    EXPECT_NE(result.status.message().find("byte"), std::string::npos) << result.status;
  }

  std::string path_, whole_;
  std::vector<TraceRecord> records_;
};

TEST_F(DamageTest, EveryFlippedByte) {
  for (size_t at = 0; at < whole_.size(); ++at) {
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string bytes = whole_;
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
      ExpectDetected(bytes, at);
      EXPECT_FALSE(VerifyContainer(path_, nullptr)->damaged.empty()) << "byte " << at;
    }
  }
}

TEST_F(DamageTest, EveryCut) {
  for (size_t length = 1; length < whole_.size(); ++length) {
    ExpectDetected(whole_.substr(0, length), length);
  }
}

TEST_F(DamageTest, BytesBehindTheEndAndFileTwice) {
  ExpectDetected(whole_ + "x", whole_.size());
  ExpectDetected(whole_ + whole_, whole_.size());
}

// A file whose index is consistent with itself but lies about the frames: written on purpose.
TEST_F(DamageTest, LyingIndex) {
  const container::Index right = (*ContainerReader::Open(path_))->index();
  const size_t index_bytes = container::EncodeIndex(right).size();
  const std::function<void(container::Index*)> lies[] = {
      [](auto* index) { index->record_count += 1; },
      [](auto* index) { index->frames[0].records += 1, index->record_count += 1; },
      [](auto* index) { index->frames[0].records -= 1, index->record_count -= 1; },
      [](auto* index) { index->frames[0].records = index->record_count = int64_t{1} << 62; },
      [](auto* index) { index->frames[0].offset += 1; },
      [](auto* index) { index->frames[0].offset = -1; },
      [](auto* index) { index->frames[0].compressed_bytes -= 1; },
      [](auto* index) { index->frames[0].compressed_bytes = int64_t{1} << 62; },
      [](auto* index) { index->frames[0].raw_bytes += 1; },
      [](auto* index) { index->frames[0].raw_bytes -= 1; },
      [](auto* index) { index->frames[0].raw_bytes = int64_t{1} << 62; },
      [](auto* index) { index->frames[0].digest += 1; },
      [](auto* index) { index->frames.push_back(index->frames[0]); },
      [](auto* index) { index->frames.clear(); },
  };
  for (const auto& lie : lies) {
    container::Index index = right;
    lie(&index);
    ExpectDetected(whole_.substr(0, whole_.size() - index_bytes) + container::EncodeIndex(index),
                   0);
  }
}

class RecoverTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = TempPath("t");
    records_ = MakeRecords(400, 1000);
    WriteContainer(path_, records_);
    whole_ = ReadFile(path_);
    index_ = (*ContainerReader::Open(path_))->index();
    ASSERT_GE(index_.frames.size(), 3u);
  }

  // The records recovered from `bytes`, gaps left out and counted.
  std::vector<TraceRecord> Recover(const std::string& bytes, int* gaps) {
    WriteFile(path_, bytes);
    const std::string out = TempPath("out");
    auto writer = ContainerWriter::Open(out);
    report_ = VerifyContainer(path_, writer->get());
    EXPECT_TRUE(report_.ok()) << report_.status();
    EXPECT_TRUE((*writer)->Finish().ok());
    std::vector<TraceRecord> kept;
    *gaps = 0;
    for (const TraceRecord& record : ReadContainer(out).records) {
      if (record.has_gap())
        ++*gaps;
      else
        kept.push_back(record);
    }
    return kept;
  }

  std::vector<TraceRecord> WithoutFrame(size_t frame) const {
    std::vector<TraceRecord> kept;
    size_t at = 0;
    for (size_t f = 0; f < index_.frames.size(); ++f) {
      for (int64_t i = 0; i < index_.frames[f].records; ++i, ++at) {
        if (f != frame) kept.push_back(records_[at]);
      }
    }
    return kept;
  }

  std::string path_, whole_;
  std::vector<TraceRecord> records_;
  container::Index index_;
  absl::StatusOr<ContainerReport> report_;
};

TEST_F(RecoverTest, WholeFile) {
  int gaps = 0;
  EXPECT_TRUE(Same(Recover(whole_, &gaps), records_));
  EXPECT_EQ(gaps, 0);
  EXPECT_TRUE(report_->damaged.empty());
  EXPECT_TRUE(report_->index_is_good);
}

TEST_F(RecoverTest, DamagedFrameLosesItsRecordsOnly) {
  for (const bool index_too : {false, true}) {
    for (const size_t offset_in_frame : {0u, 4u, 5u, 9u, 5000u}) {
      std::string bytes = whole_;
      bytes[static_cast<size_t>(index_.frames[1].offset) + offset_in_frame] ^= '\x04';
      if (index_too) bytes[bytes.size() - 30] ^= '\x10';
      int gaps = 0;
      EXPECT_TRUE(Same(Recover(bytes, &gaps), WithoutFrame(1))) << offset_in_frame << index_too;
      EXPECT_EQ(gaps, index_too ? 2 : 1);
      EXPECT_EQ(report_->damaged[0].begin, index_.frames[1].offset);
      EXPECT_EQ(report_->damaged[0].end, index_.frames[2].offset);
    }
  }
}

TEST_F(RecoverTest, CutFileKeepsTheFramesBefore) {
  int gaps = 0;
  const auto cut = static_cast<size_t>(index_.frames[2].offset) + 1000;
  const std::vector<TraceRecord> kept = Recover(whole_.substr(0, cut), &gaps);
  EXPECT_EQ(static_cast<int64_t>(kept.size()), index_.frames[0].records + index_.frames[1].records);
  EXPECT_TRUE(IsPrefix(kept, records_));
  EXPECT_EQ(gaps, 1);
  EXPECT_EQ(report_->damaged.back().begin, index_.frames[2].offset);
}

TEST_F(RecoverTest, ReaderReadsUpToTheDamage) {
  std::string bytes = whole_;
  bytes[static_cast<size_t>(index_.frames[2].offset) + 100] ^= 1;
  WriteFile(path_, bytes);
  const ReadResult result = ReadContainer(path_);
  EXPECT_EQ(static_cast<int64_t>(result.records.size()),
            index_.frames[0].records + index_.frames[1].records);
  EXPECT_NE(result.status.message().find(std::to_string(index_.frames[2].offset)),
            std::string::npos)
      << result.status;
}

TEST_F(RecoverTest, LostHeadIsNotNeeded) {
  int gaps = 0;
  EXPECT_TRUE(Same(Recover(std::string(24, '\0') + whole_.substr(24), &gaps), records_));
}

// A killed writer leaves its temporary file; the next to write that name removes it, and no other.
TEST(ContainerTest, LeftoversOfKilledWritersAreRemoved) {
  const testing::TempFolder folder;
  const std::string path = folder.File("t.trace");
  std::ofstream(path + ".partial-12345-0") << "half";
  std::ofstream(folder.File("other.trace.partial-12345-0")) << "half";
  auto first = ContainerWriter::Open(path);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(std::filesystem::exists(path + ".partial-12345-0"));
  EXPECT_TRUE(std::filesystem::exists(folder.File("other.trace.partial-12345-0")));
  // One at work is not a leftover.
  auto second = ContainerWriter::Open(path);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE((*first)->Finish().ok());
  EXPECT_TRUE((*second)->Finish().ok());
  EXPECT_TRUE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace tierscope
