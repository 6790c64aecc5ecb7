#include "tests/real/backend_contract.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

#include "kernels/paged.h"

namespace tierscope::testing {
namespace {

constexpr int64_t kPage = kKvPageLayerBytes;

// Writes one byte value all over a range.
void FillWith(Backend& backend, Stream stream, uint8_t* target, int64_t bytes, uint8_t value) {
  const std::vector<uint8_t> values(static_cast<size_t>(bytes), value);
  ASSERT_TRUE(backend.Copy(stream, target, values.data(), bytes).ok());
}

template <typename T>
T* Make(Backend& backend, int64_t count) {
  return reinterpret_cast<T*>(
      backend.Allocate("a", Arena::kDevice, count * static_cast<int64_t>(sizeof(T))).value());
}

template <typename T>
void Put(Backend& backend, Stream stream, T* target, const std::vector<T>& values) {
  const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
  ASSERT_TRUE(backend.Copy(stream, target, values.data(), bytes).ok());
}

template <typename T>
std::vector<T> Get(Backend& backend, Stream stream, const T* source, int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  EXPECT_TRUE(
      backend.Copy(stream, values.data(), source, count * static_cast<int64_t>(sizeof(T))).ok());
  EXPECT_TRUE(backend.Synchronize(stream).ok());
  return values;
}

// Top 4 of 64 logits of one page, in block 2.
struct TopOp {
  explicit TopOp(Backend& backend)
      : logits(Make<float>(backend, 64)),
        counts(Make<int32_t>(backend, 4)),
        pages(Make<int32_t>(backend, 4)),
        blocks(Make<int32_t>(backend, 4)),
        entries(Make<int32_t>(backend, 4)),
        cells(Make<int32_t>(backend, 4)) {
    Put(backend, Stream::kDecode, counts, {64, 0, 0, 0});
    Put(backend, Stream::kDecode, pages, {5, 0, 0, 0});
    Put(backend, Stream::kDecode, blocks, {2, 0, 0, 0});
    params.request_count = 1;
    params.pages_max = 1;
    params.top_k = 4;
    params.logits = logits;
    params.entry_counts = counts;
    params.pages = pages;
    params.blocks = blocks;
    params.entries = entries;
    params.cells = cells;
  }
  // The logits' largest four start at `first`.
  static std::vector<float> LogitsWithTopFrom(int first) {
    std::vector<float> values(64);
    for (int i = 0; i < 64; ++i) values[static_cast<size_t>(i)] = static_cast<float>(-i);
    for (int i = 0; i < 4; ++i) values[static_cast<size_t>(first + i)] = 10.0f;
    return values;
  }
  float* logits;
  int32_t *counts, *pages, *blocks, *entries, *cells;
  TopEntriesParams params;
};

}  // namespace

std::vector<uint8_t> BytesAt(Backend& backend, Stream stream, const uint8_t* source,
                             int64_t bytes) {
  return Get(backend, stream, source, bytes);
}

void CheckMemoryIsCountedByName(Backend& backend) {
  const std::vector<NamedMemory> before = backend.footprint();
  ASSERT_TRUE(backend.Allocate("one", Arena::kDevice, 100).ok());
  ASSERT_TRUE(backend.Allocate("two", Arena::kHost, 7).ok());
  const auto more = backend.Allocate("one", Arena::kDevice, 1);
  ASSERT_TRUE(more.ok());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(*more) % 64, 0u);
  EXPECT_EQ(BytesAt(backend, Stream::kDecode, *more, 1)[0], 0);
  const std::vector<NamedMemory> footprint = backend.footprint();
  ASSERT_EQ(footprint.size(), before.size() + 2);
  EXPECT_EQ(footprint[before.size()].bytes, 101);
  EXPECT_EQ(footprint[before.size() + 1].name, "two");
  EXPECT_EQ(footprint[before.size() + 1].arena, Arena::kHost);
}

void CheckAKernelsRefusalIsAnError(Backend& backend) {
  const absl::Status status = backend.NativeScore(Stream::kDecode, NativeScoreParams());
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "index score: pages_max outside")) << status;
  // It says something of the caller and nothing of the device.
  EXPECT_TRUE(backend.Synchronize(Stream::kDecode).ok());
}

// 40 pages: staged recalls take them in pieces of 16.
void CheckAllPathsMoveTheSamePages(const BackendMaker& make) {
  for (const RecallPath path :
       {RecallPath::kCopyEngine, RecallPath::kStaged, RecallPath::kGatherKernel}) {
    const auto backend = make();
    uint8_t* cold = backend->Allocate("cold", Arena::kHost, 60 * kPage).value();
    uint8_t* reserve = backend->Allocate("reserve", Arena::kDevice, 50 * kPage).value();
    for (int page = 0; page < 60; ++page) std::memset(cold + page * kPage, page + 1, kPage);
    std::vector<PageMove> moves;
    for (int i = 0; i < 40; ++i) moves.push_back({(7 * i) % 60, 49 - i});
    const PagePools pools{cold, reserve, kPage, 60, 50};
    ASSERT_TRUE(backend->Recall(Stream::kSideBand, {pools, moves, path}).ok());
    ASSERT_TRUE(backend->Recall(Stream::kSideBand, {pools, {}, path}).ok());
    ASSERT_TRUE(backend->Synchronize(Stream::kSideBand).ok());
    const std::vector<uint8_t> blocks = BytesAt(*backend, Stream::kSideBand, reserve, 50 * kPage);
    for (int block = 0; block < 50; ++block) {
      const int expected = block >= 10 ? (7 * (49 - block)) % 60 + 1 : 0;
      EXPECT_EQ(blocks[static_cast<size_t>(block * kPage)], expected);
      EXPECT_EQ(blocks[static_cast<size_t>(block * kPage + kPage - 1)], expected);
    }
    const PageMove outside{60, 0};
    EXPECT_TRUE(absl::IsInternal(backend->Recall(Stream::kSideBand, {pools, {&outside, 1}, path})));
    const PageMove back{3, 12};
    ASSERT_TRUE(backend->Writeback(Stream::kSideBand, {pools, {&back, 1}, path}).ok());
    ASSERT_TRUE(backend->Synchronize(Stream::kSideBand).ok());
    EXPECT_EQ(cold[3 * kPage], blocks[static_cast<size_t>(12 * kPage)]);
    EXPECT_EQ(cold[2 * kPage], 3);
  }
}

// The last write of a place wins, whatever lies between, and sources may change at once.
void CheckCopiesKeepTheirOrder(Backend& backend) {
  uint8_t* device = backend.Allocate("d", Arena::kDevice, 1000).value();
  uint8_t* host = backend.Allocate("h", Arena::kHost, 1000).value();
  for (int round = 0; round < 20; ++round) {
    FillWith(backend, Stream::kDecode, device, 1000, 1);
    FillWith(backend, Stream::kDecode, device + 10, 100, 2);  // within
    FillWith(backend, Stream::kDecode, device + 50, 200, 3);  // over its end
    ASSERT_TRUE(backend.Copy(Stream::kDecode, host, device, 1000).ok());
    FillWith(backend, Stream::kDecode, device, 1000, 9);
    FillWith(backend, Stream::kDecode, host + 999, 1, 7);
    const std::vector<uint8_t> got = BytesAt(backend, Stream::kDecode, host, 1000);
    ASSERT_EQ(got[9], 1);
    ASSERT_EQ(got[10], 2);
    ASSERT_EQ(got[49], 2);
    ASSERT_EQ(got[50], 3);
    ASSERT_EQ(got[249], 3);
    ASSERT_EQ(got[250], 1);
    ASSERT_EQ(got[999], 7);
    ASSERT_EQ(BytesAt(backend, Stream::kDecode, device, 1000)[500], 9);
  }
  EXPECT_TRUE(backend.Copy(Stream::kDecode, nullptr, nullptr, 0).ok());
}

void CheckMarksRise(Backend& backend) {
  uint8_t* device = backend.Allocate("d", Arena::kDevice, 64).value();
  int64_t last = 0;
  for (int round = 0; round < 5; ++round) {
    std::vector<int64_t> marks, host;
    for (int i = 0; i < 7; ++i) {
      host.push_back(backend.HostNs());
      marks.push_back(backend.Mark(Stream::kDecode));
      FillWith(backend, Stream::kDecode, device, 64, 1);
    }
    ASSERT_TRUE(backend.Synchronize(Stream::kDecode).ok());
    const int64_t after = backend.HostNs();
    for (size_t i = 0; i < marks.size(); ++i) {
      const int64_t ns = backend.NsOfMark(marks[i]);
      ASSERT_GE(ns, host[i]) << "the host's clock, and the device does nothing before it is asked";
      ASSERT_GE(ns, last);
      ASSERT_LE(ns, after);
      last = ns;
    }
  }
}

// A sequence that is played again works on what its buffers hold then, and so do its marks.
void CheckSequencesReadWhatIsThere(Backend& backend) {
  const TopOp op(backend);
  int64_t begin = 0, end = 0, last_ns = 0;
  for (const int first : {3, 40, 17, 60}) {
    Put(backend, Stream::kDecode, op.logits, TopOp::LogitsWithTopFrom(first));
    const absl::StatusOr<bool> issue = backend.BeginSequence(Stream::kDecode, /*key=*/7);
    ASSERT_TRUE(issue.ok()) << issue.status();
    if (*issue) {
      begin = backend.Mark(Stream::kDecode);
      ASSERT_TRUE(backend.TopEntries(Stream::kDecode, op.params).ok());
      end = backend.Mark(Stream::kDecode);
    }
    ASSERT_TRUE(backend.EndSequence(Stream::kDecode).ok());
    const std::vector<int32_t> cells = Get(backend, Stream::kDecode, op.cells, 4);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(cells[static_cast<size_t>(i)], 2 * 64 + first + i);
    EXPECT_GT(backend.NsOfMark(begin), last_ns);
    EXPECT_GE(backend.NsOfMark(end), backend.NsOfMark(begin));
    last_ns = backend.NsOfMark(end);
  }
}

void CheckBackendContract(const BackendMaker& make) {
  CheckMemoryIsCountedByName(*make());
  CheckAKernelsRefusalIsAnError(*make());
  CheckAllPathsMoveTheSamePages(make);
  CheckCopiesKeepTheirOrder(*make());
  CheckMarksRise(*make());
  CheckSequencesReadWhatIsThere(*make());
}

}  // namespace tierscope::testing
