// What a pass really moves and computes: contents of blocks, choice, attention, against what the
// content says directly; and the order and the times of things.
#include "real/executor.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "gtest/gtest.h"

#include "kernels/fp8.h"
#include "real/cpu_backend.h"
#include "tests/real/real_world.h"

namespace tierscope {
namespace {

using testing::ChurningDemand;
using testing::RunOnce;
using testing::SmallBackend;
using testing::SmallPlan;
using testing::SmallScenario;

constexpr int32_t kCsaPool = 0;
constexpr int32_t kWindowPool = 2;

// What the entry must hold, wherever it lies.
struct ExpectedRow {
  explicit ExpectedRow(const KvEntryPlace& place) { FillKvEntry(place, values, scales); }
  uint8_t values[kKvRowBytes];
  uint8_t scales[kKvScaleBytes];
};

bool RowIs(const uint8_t* page_layer, int64_t row, const ExpectedRow& expected) {
  return std::memcmp(page_layer + row * kKvRowBytes, expected.values, kKvRowBytes) == 0 &&
         std::memcmp(page_layer + kKvValuePlaneBytes + row * kKvScaleBytes, expected.scales,
                     kKvScaleBytes) == 0;
}

// Looks at every CSA layer of every step.
class Inspector {
 public:
  // `may_lose`: pages may lose their blocks while they are active.
  explicit Inspector(const ExecutionPlan& plan, bool may_lose = false)
      : plan_(plan), may_lose_(may_lose) {}

  void Look(const CsaLayerView& view) {
    ++layers_seen_;
    for (size_t r = 0; r < view.rows.size(); ++r) {
      CheckBlocks(view, view.rows[r]);
      CheckChoice(view, r);
    }
    CheckFinite(view);
    if (view.batch_step == 20 && view.layer == 1) {
      CheckScores(view);
      CheckAttention(view);
    }
  }
  int64_t layers_seen() const { return layers_seen_; }
  int64_t rows_compared() const { return rows_compared_; }
  int64_t deep_checks() const { return deep_checks_; }

 private:
  // Every entry of every active page lies in the page's block.
  void CheckBlocks(const CsaLayerView& view, const StepRow& row) {
    const RequestPlan& own = plan_.requests[static_cast<size_t>(row.request)];
    const int64_t entries = plan_.EntriesAt(own, row.own_step);
    for (size_t i = 0; i < row.pages.size(); ++i) {
      if (may_lose_ && row.blocks[i] < 0) continue;
      ASSERT_GE(row.blocks[i], 0) << "protected pages keep their blocks";
      const uint8_t* block =
          view.attention->pool.entries + row.blocks[i] * view.attention->pool.page_bytes;
      const int64_t first = int64_t{row.pages[i]} * kPageEntries;
      for (int64_t e = first; e < std::min(entries, first + kPageEntries); ++e) {
        const ExpectedRow expected({plan_.scenario.seed(), own.profile, kCsaPool, view.layer, e});
        ASSERT_TRUE(RowIs(block, e - first, expected))
            << "step " << view.batch_step << " request " << row.request << " entry " << e;
        ++rows_compared_;
      }
    }
  }

  // As many entries as there are or top_k, rising, each of an active page, in that page's cell.
  void CheckChoice(const CsaLayerView& view, size_t r) {
    const StepRow& row = view.rows[r];
    const int32_t* entries = view.top->entries + r * static_cast<size_t>(plan_.top_k);
    const int32_t* cells = view.top->cells + r * static_cast<size_t>(plan_.top_k);
    const auto count = std::min<int64_t>(plan_.top_k, row.active_entries);
    for (int64_t k = 0; k < plan_.top_k; ++k) {
      if (k >= count) {
        ASSERT_EQ(cells[k], -1);
        continue;
      }
      ASSERT_TRUE(k == 0 || entries[k - 1] < entries[k]);
      const auto at =
          std::lower_bound(row.pages.begin(), row.pages.end(), entries[k] / kPageEntries);
      ASSERT_TRUE(at != row.pages.end() && *at == entries[k] / kPageEntries);
      const int32_t block = row.blocks[static_cast<size_t>(at - row.pages.begin())];
      ASSERT_EQ(cells[k], block < 0 ? -1 : block * kPageEntries + entries[k] % kPageEntries);
    }
  }

  // Poison, which is NaN, was never read.
  void CheckFinite(const CsaLayerView& view) {
    const size_t values = view.rows.size() * kAttentionHeads * kKvDim;
    for (size_t i = 0; i < values; ++i) {
      ASSERT_TRUE(std::isfinite(Bf16ToFloat(view.attention->out[i]))) << view.batch_step;
    }
  }

  // No active entry that was left out scores above one that was chosen.
  void CheckScores(const CsaLayerView& view) {
    ++deep_checks_;
    for (size_t r = 0; r < view.rows.size(); ++r) {
      const StepRow& row = view.rows[r];
      const IndexQuery query =
          row.content->NativeQuery(static_cast<int32_t>(row.own_step), view.layer);
      const int32_t* entries = view.top->entries + r * static_cast<size_t>(plan_.top_k);
      const int64_t history =
          plan_.EntriesAt(plan_.requests[static_cast<size_t>(row.request)], row.own_step);
      double chosen_min = 1e30, left_max = -1e30;
      for (const int32_t page : row.pages) {
        for (int64_t e = int64_t{page} * kPageEntries;
             e < std::min(history, int64_t{page + 1} * kPageEntries); ++e) {
          const double logit = Logit(*row.content, query, view.layer, e);
          const bool chosen = std::binary_search(entries, entries + plan_.top_k, e);
          chosen_min = chosen ? std::min(chosen_min, logit) : chosen_min;
          left_max = chosen ? left_max : std::max(left_max, logit);
        }
      }
      EXPECT_GE(chosen_min, left_max - 1e-3);
      EXPECT_LT(left_max, 1e30);
    }
  }

  static double Logit(const RequestContent& content, const IndexQuery& query, int32_t layer,
                      int64_t entry) {
    uint8_t key[kIndexDim];
    float scale;
    content.IndexKey(layer, entry, key, &scale);
    double logit = 0;
    for (int h = 0; h < kNativeHeads; ++h) {
      double dot = 0;
      for (int i = 0; i < kIndexDim; ++i) {
        dot +=
            static_cast<double>(E4m3ToFloat(query.codes[h * kIndexDim + i])) * E4m3ToFloat(key[i]);
      }
      logit += query.weights[h] * std::max(dot, 0.0);
    }
    return logit * scale;
  }

  // The reference over the chosen entries and the window, built from the content and not from the
  // pools.
  void CheckAttention(const CsaLayerView& view) {
    ++deep_checks_;
    const auto rows = static_cast<int32_t>(view.rows.size());
    const int32_t per_row = plan_.top_k + plan_.window_tokens;
    std::vector<uint8_t> pool(static_cast<size_t>(PagesOfEntries(rows * per_row)) *
                              kKvPageLayerBytes);
    std::vector<int32_t> cells;
    for (int32_t r = 0; r < rows; ++r) {
      const StepRow& row = view.rows[static_cast<size_t>(r)];
      const RequestPlan& own = plan_.requests[static_cast<size_t>(row.request)];
      for (int32_t k = 0; k < per_row; ++k) {
        const bool window = k >= plan_.top_k;
        const int64_t token = own.context_tokens + row.own_step - (k - plan_.top_k);
        const int64_t entry = window ? token : view.top->entries[r * plan_.top_k + k];
        const auto cell = static_cast<int32_t>(cells.size());
        const ExpectedRow expected({plan_.scenario.seed(), own.profile,
                                    window ? kWindowPool : kCsaPool, view.layer, entry});
        uint8_t* page = pool.data() + cell / kPageEntries * kKvPageLayerBytes;
        std::memcpy(page + cell % kPageEntries * kKvRowBytes, expected.values, kKvRowBytes);
        std::memcpy(page + kKvValuePlaneBytes + cell % kPageEntries * kKvScaleBytes,
                    expected.scales, kKvScaleBytes);
        // An entry whose page has no block any more takes part in nothing.
        const bool lost = !window && view.top->cells[r * plan_.top_k + k] < 0;
        cells.push_back(lost ? -1 : cell);
      }
    }
    AttentionParams params = *view.attention;
    params.pool = {pool.data(), kKvPageLayerBytes};
    params.cells = cells.data();
    params.cells_max = per_row;
    params.window_cells = nullptr;
    params.window_max = 0;
    const size_t values = static_cast<size_t>(rows) * kAttentionHeads * kKvDim;
    std::vector<double> out(values), lse(static_cast<size_t>(rows) * kAttentionHeads);
    AttentionReference(params, out.data(), lse.data());
    for (size_t i = 0; i < lse.size(); ++i) ASSERT_NEAR(view.attention->lse[i], lse[i], 1e-3);
    for (size_t i = 0; i < values; ++i) {
      ASSERT_NEAR(Bf16ToFloat(view.attention->out[i]), out[i], 0.01 * (1 + std::abs(out[i])));
    }
  }

  const ExecutionPlan& plan_;
  const bool may_lose_;
  int64_t layers_seen_ = 0;
  int64_t rows_compared_ = 0;
  int64_t deep_checks_ = 0;
};

void RunInspected(const Scenario& scenario) {
  const WindowDemand demand = ChurningDemand();
  const ExecutionPlan plan = SmallPlan(scenario, RealMode::kReplay, &demand);
  Inspector inspector(plan);
  ExecutorOptions options;
  options.demand = &demand;
  options.poison = true;
  options.inspector = [&](const CsaLayerView& view) { inspector.Look(view); };
  const PassRecord pass = RunOnce(plan, options);
  EXPECT_EQ(pass.steps.size(), 26u);
  EXPECT_EQ(inspector.layers_seen(), 26 * 3);
  EXPECT_EQ(inspector.deep_checks(), 2);
  EXPECT_GT(inspector.rows_compared(), 25 * 3 * 2 * kPageEntries);
  int64_t evicted = 0, recalled = 0;
  for (const JobRecord& record : pass.jobs) {
    evicted += record.job.pages_evicted;
    recalled += record.job.pages;
  }
  EXPECT_GE(recalled, 12) << "first pages of all";
  // Beside the decode stream ticks join jobs as the machine's pace has it.
  if (scenario.policy().level1() == Policy::ASYNC) return;
  EXPECT_GT(evicted, 3) << "blocks must change hands, or the check above shows little";
  EXPECT_GT(recalled, 12 + 3);
}

TEST(ExecutorTest, WhatWasRecalledIsThereAndIsWhatAttentionReads) { RunInspected(SmallScenario()); }

TEST(ExecutorTest, SoItIsBesideTheDecodeStream) {
  RunInspected(SmallScenario({"policy.level1=ASYNC,policy.recall_path=STAGED"}));
}

// One request with a reserve of 9 blocks, whose lists of 6 and 7 pages have only the newest in
// common: a job has to take blocks from the set that the request still decodes with.
TEST(ExecutorTest, ABlockIsNotFilledWhileItIsRead) {
  WindowDemand demand;
  demand.stride_steps = 4;
  ProfileDemand lists;
  lists.prompt_tokens = 4092;
  lists.stride_steps = 4;
  lists.position_count = 7;
  lists.tokens_per_page = 256;
  lists.want_begin = {0};
  for (int position = 0; position < 7; ++position) {
    for (int i = 0; i < 5; ++i) {
      lists.want_pages.push_back(static_cast<PageIndex>(position / 2 % 2 * 5 + i));
    }
    lists.want_pages.push_back(15);
    if (position > 0) lists.want_pages.push_back(16);
    lists.want_begin.push_back(static_cast<uint32_t>(lists.want_pages.size()));
  }
  demand.profiles.push_back(lists);
  const ExecutionPlan plan = SmallPlan(
      SmallScenario({"workload.concurrency=1,workload.request_limit=1,workload.context_tokens=4092",
                     "policy.page_kmax=5,policy.reserve_entries=576,policy.level1=ASYNC"}),
      RealMode::kReplay, &demand);
  Inspector inspector(plan, /*may_lose=*/true);
  ExecutorOptions options;
  options.demand = &demand;
  options.poison = true;
  options.inspector = [&](const CsaLayerView& view) { inspector.Look(view); };
  const PassRecord pass = RunOnce(plan, options);
  EXPECT_EQ(pass.steps.size(), 26u);
  int64_t waited = 0;
  for (const JobRecord& record : pass.jobs) waited += record.job.waited_for_drop ? 1 : 0;
  for (const ActiveSet& set : pass.requests[0].sets) {
    EXPECT_TRUE(
        std::includes(set.pages.begin(), set.pages.end(), set.lost.begin(), set.lost.end()));
  }
  EXPECT_GE(waited, 2);
}

// Page 7 was sealed after step 19 of each request: the cold pool has its last entry, which formed
// in the reserve.
TEST(ExecutorTest, SealedPagesAreWrittenBack) {
  const ExecutionPlan plan = SmallPlan(SmallScenario());
  const auto backend = SmallBackend();
  const auto executor = Executor::Make(plan, *backend, {}).value();
  const PassRecord pass = executor->RunPass(/*profiled=*/false).value();
  ASSERT_EQ(pass.writebacks.size(), 2u);
  for (const WritebackSpan& span : pass.writebacks) {
    EXPECT_EQ(span.batch_step, 19);
    EXPECT_GE(span.end_ns, span.begin_ns);
  }
  for (const RequestPlan& request : plan.requests) {
    const uint8_t* page = executor->store().ColdPage(request.page_begin + 7);
    for (int32_t layer = 0; layer < plan.csa_layers; ++layer) {
      EXPECT_TRUE(
          RowIs(page + layer * kKvPageLayerBytes, 63,
                ExpectedRow({plan.scenario.seed(), request.profile, kCsaPool, layer, 511})));
    }
    EXPECT_EQ(executor->store().ColdPage(request.page_begin + 8)[0], 0xFF) << "it is still open";
  }
}

// 11 of the 12 blocks that both can pin.
TEST(ExecutorTest, ARequestWaitsUntilTheReserveHasItsBlocks) {
  const PassRecord pass = RunOnce(SmallPlan(SmallScenario({"policy.reserve_entries=704"})), {});
  ASSERT_EQ(pass.steps.size(), 52u);
  for (size_t i = 0; i < pass.steps.size(); ++i) EXPECT_EQ(pass.steps[i].batch, 1) << i;
  EXPECT_EQ(pass.requests[0].end_step, 26);
  EXPECT_EQ(pass.requests[1].end_step, 52);
  EXPECT_EQ(pass.requests[1].step_offset, 26);
}

using Lists = std::map<std::pair<int32_t, int64_t>, std::vector<PageIndex>>;

Lists ListsOf(const PassRecord& pass) {
  Lists lists;
  for (const JobRecord& record : pass.jobs) {
    for (const JobTick& tick : record.job.ticks) lists[{tick.request, tick.own_step}] = tick.list;
  }
  return lists;
}

TEST(ExecutorTest, TicksStandWhereThePolicyPutsThem) {
  const PassRecord pass = RunOnce(SmallPlan(SmallScenario()), {});
  std::vector<std::pair<int32_t, int64_t>> ticks;
  for (const auto& [tick, list] : ListsOf(pass)) {
    ticks.push_back(tick);
    EXPECT_GE(list.size(), 1u);  // the pages of the newest 32 entries
    EXPECT_LE(list.size(), 4u);  // and two more
  }
  EXPECT_EQ(ticks, (std::vector<std::pair<int32_t, int64_t>>{
                       {0, 0}, {0, 8}, {0, 16}, {0, 24}, {1, 0}, {1, 4}, {1, 12}, {1, 20}}));
  ASSERT_EQ(pass.jobs.size(), 7u);
  for (const JobRecord& record : pass.jobs) {
    EXPECT_EQ(record.publish_step, record.job.batch_step + 1) << "synchronous";
    EXPECT_FALSE(record.joined);
  }
  EXPECT_EQ(pass.requests[0].sets.front().from_step, 1);
}

// The content is exogenous: when a list is published does not change what it says.
TEST(ExecutorTest, AsynchronousJobsDecideTheSame) {
  const PassRecord sync = RunOnce(SmallPlan(SmallScenario()), {});
  const ExecutionPlan plan = SmallPlan(SmallScenario({"policy.level1=ASYNC"}));
  const PassRecord async = RunOnce(plan, {});
  const auto decided = ListsOf(sync), published = ListsOf(async);
  EXPECT_GE(published.size(), 4u);
  EXPECT_TRUE(std::includes(decided.begin(), decided.end(), published.begin(), published.end()));
  ASSERT_EQ(async.steps.size(), 26u);
  for (const JobRecord& record : async.jobs) {
    if (record.publish_step < 0) continue;  // the end came before
    EXPECT_GT(record.publish_step, record.job.batch_step);
    EXPECT_LE(record.job.launched_ns, record.job.started_ns);
    EXPECT_LE(record.job.started_ns, record.job.score_begin_ns);
    EXPECT_LE(record.job.score_begin_ns, record.job.score_end_ns);
    EXPECT_LE(record.job.score_end_ns, record.job.select_end_ns);
    EXPECT_LE(record.job.select_end_ns, record.job.recall_begin_ns);
    EXPECT_LE(record.job.recall_begin_ns, record.job.recall_end_ns);
    EXPECT_LE(record.job.recall_end_ns, record.job.done_ns);
    EXPECT_LE(record.job.done_ns, record.published_ns);
  }
  EXPECT_GT(async.steps[1].wait_ns[4], 0) << "for the first pages";
}

TEST(ExecutorTest, APassRepeatsAndProfilingChangesNothing) {
  const ExecutionPlan plan = SmallPlan(SmallScenario());
  const auto backend = SmallBackend();
  const auto executor = Executor::Make(plan, *backend, {}).value();
  const PassRecord first = executor->RunPass(true).value();
  const PassRecord second = executor->RunPass(false).value();
  EXPECT_EQ(ListsOf(first), ListsOf(second));
  ASSERT_EQ(first.jobs.size(), second.jobs.size());
  for (size_t i = 0; i < first.jobs.size(); ++i) {
    EXPECT_EQ(first.jobs[i].job.pages, second.jobs[i].job.pages);
    EXPECT_EQ(first.jobs[i].job.pages_evicted, second.jobs[i].job.pages_evicted);
  }
  EXPECT_LE(first.blocks_peak, 12);
  EXPECT_GE(first.blocks_peak, 8);
  EXPECT_EQ(second.steps[20].kernels.Of(Phase::kBallast).duration_ns, 0);
}

// The rows of a step add up to it, and steps follow one another without a gap.
TEST(ExecutorTest, PhasesAddUp) {
  const ExecutionPlan plan = SmallPlan(SmallScenario());
  const PassRecord pass = RunOnce(plan, {});
  std::map<int64_t, int64_t> step_ns, parts_ns;
  std::map<Phase, int64_t> rows;
  int64_t boundary_ns = 0;
  int64_t recalled = 0, recalled_of_requests = 0;
  for (const PhaseSpan& span : PhaseSpansOf(pass, plan.page_bytes, 396)) {
    ++rows[span.phase];
    if (span.phase == Phase::kRecall) {
      EXPECT_EQ(span.bytes, span.pages * 112128);
      (span.request < 0 ? recalled : recalled_of_requests) += span.pages;
    }
    if (span.tick >= 0 || span.phase == Phase::kWriteback) continue;
    EXPECT_GE(span.begin_ns, 0);
    if (span.phase == Phase::kStep) {
      EXPECT_EQ(span.begin_ns, boundary_ns);
      boundary_ns += span.duration_ns;
      step_ns[span.step] = span.duration_ns;
    } else {
      parts_ns[span.step] += span.duration_ns;
    }
  }
  EXPECT_EQ(step_ns.size(), 26u);
  EXPECT_EQ(step_ns, parts_ns);
  EXPECT_EQ(recalled, recalled_of_requests);
  EXPECT_EQ(rows[Phase::kBallast], 26);
  EXPECT_EQ(rows[Phase::kHcaAttention], 26);
  EXPECT_EQ(rows[Phase::kEngine], 26);
  EXPECT_EQ(rows[Phase::kPublish], 7);
  EXPECT_EQ(rows[Phase::kRecall], 7 + 8);
  EXPECT_EQ(rows[Phase::kWaitAdmission], 1);
  EXPECT_EQ(rows[Phase::kWaitTransfer], 6);
  // None where the side-band has chosen before the decode thread begins to wait.
  EXPECT_LE(rows[Phase::kWaitIndex], 6);
}

TEST(ExecutorTest, AnInterruptedPassIsNone) {
  const ExecutionPlan plan = SmallPlan(SmallScenario({"policy.level1=ASYNC"}));
  std::atomic<bool> cancelled{false};
  ExecutorOptions options;
  options.cancelled = &cancelled;
  int64_t last_step = 0;
  bool was_cancelled = false;
  options.inspector = [&](const CsaLayerView& view) {
    last_step = view.batch_step;
    // A job is in flight.
    if (view.batch_step == 5 && !std::exchange(was_cancelled, true)) cancelled = true;
  };
  const auto backend = SmallBackend();
  const auto executor = Executor::Make(plan, *backend, options).value();
  EXPECT_TRUE(absl::IsCancelled(executor->RunPass(true).status()));
  EXPECT_EQ(last_step, 5);
  cancelled = false;
  EXPECT_EQ(executor->RunPass(true).value().steps.size(), 26u) << "nothing is left of it";
}

TEST(ExecutorTest, MemoryThatEndsIsAnError) {
  const ExecutionPlan plan = SmallPlan(SmallScenario());
  CpuBackendOptions options;
  options.memory_bytes_max = 1 << 20;
  const auto backend = MakeCpuBackend(options).value();
  EXPECT_TRUE(absl::IsResourceExhausted(Executor::Make(plan, *backend, {}).status()));
}

}  // namespace
}  // namespace tierscope
