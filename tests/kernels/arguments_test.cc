// Arguments that do not fit are refused before anything is launched, with a message that names
// them.
#include <functional>

#include "gtest/gtest.h"

#include "kernels/attention.h"
#include "kernels/gather.h"
#include "kernels/index_score.h"
#include "kernels/page_copy.h"
#include "kernels/page_select.h"
#include "kernels/top_entries.h"
#include "tests/testing/simt.h"

namespace tierscope {
namespace {

alignas(64) uint8_t g_memory[64];  // never read: refused before
template <typename T>
T* Somewhere(int offset = 0) {
  return reinterpret_cast<T*>(g_memory + offset);
}

template <typename Params>
struct Change {
  const char* says;
  std::function<void(Params&)> apply;
};

// `good` passes the check; each change makes the launcher refuse it.
template <typename Params, typename Check, typename Launch>
void ExpectRefusals(const Params& good, Check check, Launch launch,
                    const std::vector<Change<Params>>& changes) {
  ASSERT_TRUE(check(good).ok()) << check(good).message;
  for (const Change<Params>& change : changes) {
    Params bad = good;
    change.apply(bad);
    const KernelStatus status = launch(bad, nullptr);
    EXPECT_EQ(status.code, KernelCode::kInvalidArgument) << change.says;
    EXPECT_NE(std::string(status.message).find(change.says), std::string::npos) << status.message;
    EXPECT_TRUE(simt::TakeViolations().empty());
  }
}

ScoreInput GoodInput() {
  ScoreInput input{1,
                   4,
                   Somewhere<uint8_t>(),
                   Somewhere<float>(),
                   {},
                   Somewhere<int32_t>(),
                   Somewhere<int32_t>()};
  for (const uint8_t*& pool : input.keys) pool = Somewhere<uint8_t>();
  return input;
}

TEST(ArgumentsTest, MemoryScore) {
  using P = MemoryScoreParams;
  ExpectRefusals<P>({GoodInput(), 128, Somewhere<uint8_t>(), nullptr, nullptr}, CheckMemoryScore,
                    LaunchMemoryScore,
                    {{"request_count", [](P& p) { p.input.request_count = -1; }},
                     {"request_count", [](P& p) { p.input.request_count = 1 << 20; }},
                     {"pages_max", [](P& p) { p.input.pages_max = 0; }},
                     {"pages_max", [](P& p) { p.input.pages_max = kScorePagesMax + 1; }},
                     {"q is null", [](P& p) { p.input.q = nullptr; }},
                     {"q is null or not 16", [](P& p) { p.input.q = Somewhere<uint8_t>(8); }},
                     {"head_weights", [](P& p) { p.input.head_weights = Somewhere<float>(4); }},
                     {"key pool", [](P& p) { p.input.keys[2] = nullptr; }},
                     {"pages", [](P& p) { p.input.pages = nullptr; }},
                     {"entry_counts", [](P& p) { p.input.entry_counts = nullptr; }},
                     {"code_cutoff", [](P& p) { p.code_cutoff = 0; }},
                     {"code_cutoff", [](P& p) { p.code_cutoff = 257; }},
                     {"density", [](P& p) { p.density = nullptr; }},
                     {"codes", [](P& p) { p.codes = Somewhere<uint8_t>(1); }},
                     {"histogram", [](P& p) { p.histogram = Somewhere<uint8_t>(1); }}});
}

TEST(ArgumentsTest, NativeScore) {
  using P = NativeScoreParams;
  ExpectRefusals<P>({GoodInput(), Somewhere<float>()}, CheckNativeScore, LaunchNativeScore,
                    {{"logits", [](P& p) { p.logits = nullptr; }},
                     {"key pool", [](P& p) { p.input.keys[0] = nullptr; }}});
}

TEST(ArgumentsTest, PageSelect) {
  using P = PageSelectParams;
  P good{.request_count = 1, .pages_max = 64, .kmax = 96, .reserve_blocks = 96};
  good.density = Somewhere<uint8_t>();
  good.entry_counts = good.held_blocks = Somewhere<int32_t>();
  good.selected = good.recall = good.evict = good.counts = Somewhere<int32_t>();
  ExpectRefusals<P>(good, CheckPageSelect, LaunchPageSelect,
                    {{"kmax over the reserve", [](P& p) { p.reserve_blocks = 95; }},
                     {"kmax below 1", [](P& p) { p.kmax = 0; }},
                     {"request_count", [](P& p) { p.request_count = 65536; }},
                     {"multiple of 16", [](P& p) { p.pages_max = 65; }},
                     {"multiple of 16", [](P& p) { p.pages_max = 4112; }},
                     {"sink_entries", [](P& p) { p.sink_entries = -1; }},
                     {"pointer", [](P& p) { p.held_blocks = nullptr; }},
                     {"pointer", [](P& p) { p.counts = Somewhere<int32_t>(4); }}});
}

TEST(ArgumentsTest, TopEntries) {
  using P = TopEntriesParams;
  P good{.request_count = 1, .pages_max = 4, .top_k = 512, .logits = Somewhere<float>()};
  good.entry_counts = good.pages = good.blocks = Somewhere<int32_t>();
  good.cells = Somewhere<int32_t>();
  ExpectRefusals<P>(good, CheckTopEntries, LaunchTopEntries,
                    {{"request_count", [](P& p) { p.request_count = -1; }},
                     {"pages_max", [](P& p) { p.pages_max = 4097; }},
                     {"top_k", [](P& p) { p.top_k = 0; }},
                     {"top_k", [](P& p) { p.top_k = 2049; }},
                     {"pointer", [](P& p) { p.logits = nullptr; }},
                     {"entries", [](P& p) { p.entries = Somewhere<int32_t>(4); }}});
}

TEST(ArgumentsTest, Gathers) {
  using P = PageGatherParams;
  ExpectRefusals<P>({Somewhere<uint8_t>(), Somewhere<uint8_t>(), 128, Somewhere<int32_t>(),
                     Somewhere<int32_t>(), 1, 8},
                    CheckPageGather, LaunchPageGather,
                    {{"64 B-aligned", [](P& p) { p.source = Somewhere<uint8_t>(16); }},
                     {"page_bytes", [](P& p) { p.page_bytes = 100; }},
                     {"move_count", [](P& p) { p.move_count = -1; }},
                     {"list", [](P& p) { p.target_pages = nullptr; }},
                     {"blocks_max", [](P& p) { p.blocks_max = 65; }}});
  using E = EntryGatherParams;
  ExpectRefusals<E>({Somewhere<uint8_t>(), Somewhere<uint8_t>(), 37376, 37376, Somewhere<int32_t>(),
                     Somewhere<int32_t>(), 1, 8},
                    CheckEntryGather, LaunchEntryGather,
                    {{"64 B-aligned", [](E& p) { p.target = nullptr; }},
                     {"page bytes", [](E& p) { p.source_page_bytes = 36864; }},
                     {"blocks_max", [](E& p) { p.blocks_max = 0; }}});
}

TEST(ArgumentsTest, Attention) {
  using P = AttentionParams;
  P good;
  good.request_count = 1;
  good.scale = 0.04f;
  good.q = Somewhere<uint16_t>();
  good.pool = good.window_pool = {Somewhere<uint8_t>(), 37376};
  good.cells = good.window_cells = Somewhere<int32_t>();
  good.cells_max = 512;
  good.window_max = 128;
  good.out = Somewhere<uint16_t>();
  good.lse = Somewhere<float>();
  ExpectRefusals<P>(good, CheckAttention, LaunchAttention,
                    {{"request_count", [](P& p) { p.request_count = 65536; }},
                     {"scale", [](P& p) { p.scale = 0; }},
                     {"q, out or lse", [](P& p) { p.q = nullptr; }},
                     {"q, out or lse", [](P& p) { p.out = Somewhere<uint16_t>(2); }},
                     {"sink", [](P& p) { p.sink = Somewhere<float>(4); }},
                     {"either cells or pages", [](P& p) { p.cells = nullptr; }},
                     {"either cells or pages", [](P& p) { p.pages = Somewhere<int32_t>(); }},
                     {"entry_counts",
                      [](P& p) {
                        p.pages = p.cells;
                        p.cells = nullptr;
                      }},
                     {"cells_max", [](P& p) { p.cells_max = -1; }},
                     {"page_bytes", [](P& p) { p.pool.page_bytes = 1000; }},
                     {"pool is null", [](P& p) { p.window_pool.entries = nullptr; }},
                     {"window_max", [](P& p) { p.window_max = -1; }},
                     {"splits outside", [](P& p) { p.splits = 65; }},
                     {"partial_out", [](P& p) { p.splits = 2; }}});
}

TEST(ArgumentsTest, PageCopies) {
  const PagePools good{Somewhere<uint8_t>(), Somewhere<uint8_t>(), 16, 2, 2};
  PageCopyBatch batch;
  const PageMove inside{1, 1};
  EXPECT_TRUE(BuildPageCopies(good, &inside, 1, CopyDirection::kRecall, &batch).ok());
  for (const PageMove& outside :
       {PageMove{2, 0}, PageMove{0, 2}, PageMove{-1, 0}, PageMove{0, -1}}) {
    EXPECT_FALSE(BuildPageCopies(good, &outside, 1, CopyDirection::kRecall, &batch).ok());
  }
  EXPECT_FALSE(BuildPageCopies(good, &inside, -1, CopyDirection::kRecall, &batch).ok());
  PagePools bad = good;
  bad.page_bytes = 20;
  EXPECT_FALSE(BuildPageCopies(bad, &inside, 1, CopyDirection::kRecall, &batch).ok());
  EXPECT_NE(std::string(SubmitPageCopies(batch, nullptr).message).find("null stream"),
            std::string::npos);
}

// An empty batch is no error and no launch.
TEST(ArgumentsTest, NothingToDo) {
  MemoryScoreParams score{GoodInput(), 128, Somewhere<uint8_t>(), nullptr, nullptr};
  score.input.request_count = 0;
  EXPECT_TRUE(LaunchMemoryScore(score, nullptr).ok());
  EXPECT_TRUE(
      LaunchPageGather({Somewhere<uint8_t>(), Somewhere<uint8_t>(), 128, nullptr, nullptr, 0, 8},
                       nullptr)
          .ok());
}

TEST(ArgumentsTest, UnsupportedDevice) {
  simt::MachineOptions().capability = 75;
  const KernelStatus status =
      LaunchMemoryScore({GoodInput(), 128, Somewhere<uint8_t>(), nullptr, nullptr}, nullptr);
  simt::MachineOptions() = {};
  EXPECT_EQ(status.code, KernelCode::kUnsupportedDevice);
}

}  // namespace
}  // namespace tierscope
