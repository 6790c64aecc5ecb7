#include <algorithm>
#include <numeric>

#include "kernels/gather.h"
#include "kernels/page_copy.h"
#include "kernels/paged.h"
#include "tests/kernels/kernel_case.h"

namespace tierscope::testing {
namespace {

std::vector<uint8_t> RandomBytes(Rng& rng, size_t count) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng.NextUint64());
  return bytes;
}

// `count` different numbers below `bound`, in random order but with runs, as page lists have them.
std::vector<int32_t> DrawPlaces(Rng& rng, int32_t bound, int32_t count) {
  std::vector<int32_t> all(static_cast<size_t>(bound));
  std::iota(all.begin(), all.end(), 0);
  for (int cut = 0; cut < 4; ++cut) {
    std::rotate(all.begin(),
                all.begin() + static_cast<long>(rng.NextBelow(static_cast<uint64_t>(bound))),
                all.end());
    std::reverse(all.begin(), all.begin() + bound / 2);
  }
  all.resize(static_cast<size_t>(count));
  return all;
}

class PinnedBytes {
 public:
  explicit PinnedBytes(const std::vector<uint8_t>& bytes)
      : count_(bytes.size()), data_(static_cast<uint8_t*>(AllocatePinned(bytes.size()))) {
    TIERSCOPE_CHECK(data_ != nullptr && CopyToDevice(data_, bytes.data(), count_).ok());
  }
  PinnedBytes(const PinnedBytes&) = delete;
  PinnedBytes& operator=(const PinnedBytes&) = delete;
  ~PinnedBytes() { FreePinned(data_); }
  uint8_t* data() const { return data_; }
  std::vector<uint8_t> Copy() const { return {data_, data_ + count_}; }

 private:
  size_t count_;
  uint8_t* data_;
};

struct Sizes {
  int layers, cold_pages, blocks, moves;
};
Sizes SizesOf(CaseSize size) {
  return size == CaseSize::kSmall ? Sizes{1, 9, 6, 5} : Sizes{21, 256, 128, 96};
}

std::string Differs(const std::vector<uint8_t>& got, const std::vector<uint8_t>& want) {
  const auto at = std::mismatch(got.begin(), got.end(), want.begin()).first;
  return at == got.end() ? "" : "byte " + std::to_string(at - got.begin()) + " differs";
}

std::string SubmitAndWait(const PageCopyBatch& batch) {
  CUstream_st* stream = CreateStream(true);
  const KernelStatus submitted = SubmitPageCopies(batch, stream);
  const KernelStatus finished = FinishDevice();
  DestroyStream(stream);
  return submitted.ok() ? TextOf(finished) : TextOf(submitted);
}

}  // namespace

std::string RunPageCopyCase(uint64_t seed, CaseSize size) {
  Rng rng(seed, 4);
  const Sizes n = SizesOf(size);
  const int64_t page_bytes = n.layers * kKvPageLayerBytes;
  const PinnedBytes cold(RandomBytes(rng, static_cast<size_t>(n.cold_pages * page_bytes)));
  const DeviceArray<uint8_t> reserve(RandomBytes(rng, static_cast<size_t>(n.blocks * page_bytes)));
  const PagePools pools{cold.data(), reserve.data(), page_bytes, n.cold_pages, n.blocks};
  for (const CopyDirection direction : {CopyDirection::kRecall, CopyDirection::kWriteback}) {
    const std::vector<int32_t> pages = DrawPlaces(rng, n.cold_pages, n.moves);
    const std::vector<int32_t> blocks = DrawPlaces(rng, n.blocks, n.moves);
    std::vector<PageMove> moves;
    for (size_t i = 0; i < pages.size(); ++i) moves.push_back({pages[i], blocks[i]});
    std::vector<uint8_t> want_cold = cold.Copy();
    std::vector<uint8_t> want_reserve = reserve.Download();
    for (const PageMove& move : moves) {
      uint8_t* page = want_cold.data() + move.cold_page * page_bytes;
      uint8_t* block = want_reserve.data() + move.block * page_bytes;
      if (direction == CopyDirection::kRecall) std::copy(page, page + page_bytes, block);
      if (direction == CopyDirection::kWriteback) std::copy(block, block + page_bytes, page);
    }
    PageCopyBatch batch;
    const KernelStatus built =
        BuildPageCopies(pools, moves.data(), static_cast<int64_t>(moves.size()), direction, &batch);
    if (!built.ok()) return TextOf(built);
    if (std::string problem = SubmitAndWait(batch); !problem.empty()) return problem;
    if (std::string problem = Differs(cold.Copy(), want_cold); !problem.empty())
      return "cold pool: " + problem;
    if (std::string problem = Differs(reserve.Download(), want_reserve); !problem.empty())
      return "reserve: " + problem;
  }
  return "";
}

std::string RunPageGatherCase(uint64_t seed, CaseSize size) {
  Rng rng(seed, 5);
  const Sizes n = SizesOf(size);
  const int64_t page_bytes = n.layers * kKvPageLayerBytes;
  const std::vector<uint8_t> cold_bytes =
      RandomBytes(rng, static_cast<size_t>(n.cold_pages * page_bytes));
  const PinnedBytes cold(cold_bytes);
  std::vector<uint8_t> want = RandomBytes(rng, static_cast<size_t>(n.blocks * page_bytes));
  const DeviceArray<uint8_t> reserve(want);
  const std::vector<int32_t> pages = DrawPlaces(rng, n.cold_pages, n.moves);
  const std::vector<int32_t> blocks = DrawPlaces(rng, n.blocks, n.moves);
  PageGatherReference(
      {cold_bytes.data(), want.data(), page_bytes, pages.data(), blocks.data(), n.moves, 3});
  const DeviceArray<int32_t> device_pages(pages), device_blocks(blocks);
  const KernelStatus status =
      LaunchPageGather({cold.data(), reserve.data(), page_bytes, device_pages.data(),
                        device_blocks.data(), n.moves, 3},
                       nullptr);
  if (!status.ok()) return TextOf(status);
  if (const KernelStatus s = FinishDevice(); !s.ok()) return TextOf(s);
  return Differs(reserve.Download(), want);
}

std::string RunEntryGatherCase(uint64_t seed, CaseSize size) {
  Rng rng(seed, 6);
  const Sizes n = SizesOf(size);
  const int64_t cold_stride = n.layers * kKvPageLayerBytes;
  const int64_t block_stride = cold_stride + 64;  // the two sides need not agree
  const std::vector<uint8_t> cold_bytes =
      RandomBytes(rng, static_cast<size_t>(n.cold_pages * cold_stride));
  const PinnedBytes cold(cold_bytes);
  std::vector<uint8_t> want = RandomBytes(rng, static_cast<size_t>(n.blocks * block_stride));
  const DeviceArray<uint8_t> reserve(want);
  const int32_t moves = n.moves * 23;
  std::vector<int32_t> from = DrawPlaces(rng, n.cold_pages * kPageEntries, moves);
  std::vector<int32_t> to = DrawPlaces(rng, n.blocks * kPageEntries, moves);
  from[1] = -1;
  to[2] = -1;
  EntryGatherReference({cold_bytes.data(), want.data(), cold_stride, block_stride, from.data(),
                        to.data(), moves, 2});
  const DeviceArray<int32_t> device_from(from), device_to(to);
  const KernelStatus status =
      LaunchEntryGather({cold.data(), reserve.data(), cold_stride, block_stride, device_from.data(),
                         device_to.data(), moves, 2},
                        nullptr);
  if (!status.ok()) return TextOf(status);
  if (const KernelStatus s = FinishDevice(); !s.ok()) return TextOf(s);
  return Differs(reserve.Download(), want);
}

}  // namespace tierscope::testing
