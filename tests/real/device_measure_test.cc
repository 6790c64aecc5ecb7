// What `calibrate --backend` measures, on the backend that this binary is about, over a small grid.
// How long anything takes is not looked at, only what was timed.
#include "real/device_measure.h"

#include <chrono>
#include <map>
#include <thread>

#include "gtest/gtest.h"

#include "real/forwarding_backend.h"
#include "real/loop_bench.h"
#include "tests/real/real_world.h"

namespace tierscope {
namespace {

OpGrid SmallGrid() {
  OpGrid grid;
  grid.batches = {1, 3};
  grid.job_batches = {1, 2};
  grid.active_entries = {96, 352};
  grid.csa_attended = {64, 128};
  grid.hca_attended = {64, 128};
  grid.history_entries = {192, 448};
  grid.pages_copied = {1, 4};
  grid.device_copy_bytes = 1 << 20;
  return grid;
}

std::map<OpTable::Op, OpTable> TablesOf(const Hardware& hardware) {
  std::map<OpTable::Op, OpTable> tables;
  for (const OpTable& table : hardware.measured_ops().tables()) tables[table.op()] = table;
  return tables;
}

TEST(DeviceMeasureTest, EveryPointOfEveryOpIsThere) {
  const auto backend = testing::SmallBackend();
  const auto hardware =
      MeasureDevice(backend.get(), testing::SmallScenario(), {SmallGrid(), /*rounds=*/3, {}});
  ASSERT_TRUE(hardware.ok()) << hardware.status();
  const std::map<OpTable::Op, OpTable> tables = TablesOf(*hardware);
  std::vector<OpTable::Op> ops(std::begin(kMeasuredOps), std::end(kMeasuredOps));
  ops.insert(ops.end(), {OpTable::PUBLISH, OpTable::ENGINE});
  if (backend->device().asynchronous) {
    ops.insert(ops.end(), {OpTable::LAUNCH, OpTable::GRAPH_LAUNCH});
  }
  ASSERT_EQ(tables.size(), ops.size());
  for (const OpTable::Op op : ops) {
    SCOPED_TRACE(OpTable::Op_Name(op));
    ASSERT_EQ(tables.count(op), 1u);
    const OpTable& table = tables.at(op);
    EXPECT_EQ(table.us_size(), table.x_size() * table.batch_size());
    EXPECT_EQ(table.spread_size(), table.us_size());
  }
  EXPECT_EQ(tables.at(OpTable::ENGINE).batch_size(), 2);
  EXPECT_EQ(tables.at(OpTable::PUBLISH).batch_size(), 2);
  EXPECT_TRUE(hardware->measured_ops().has_recall_beside_writeback());
  EXPECT_TRUE(hardware->measured_ops().has_writeback_beside_recall());
}

// A backend whose kernels fail and whose small copies before a step take their time.
class KernelsFail final : public ForwardingBackend {
 public:
  static constexpr auto kCopyTakes = std::chrono::microseconds(200);

  using ForwardingBackend::ForwardingBackend;
  absl::StatusOr<int32_t> MakeBallast(const std::string&, std::span<const GemmShape>) override {
    return Refused();
  }
  absl::Status Ballast(Stream, int32_t, std::span<const GemmShape>) override { return Refused(); }
  absl::Status MemoryScore(Stream, const MemoryScoreParams&) override { return Refused(); }
  absl::Status NativeScore(Stream, const NativeScoreParams&) override { return Refused(); }
  absl::Status TopEntries(Stream, const TopEntriesParams&) override { return Refused(); }
  absl::Status Attention(Stream, const AttentionParams&) override { return Refused(); }
  absl::Status Copy(Stream stream, void* target, const void* source, int64_t bytes) override {
    if (slow && stream == Stream::kDecode) std::this_thread::sleep_for(kCopyTakes);
    return ForwardingBackend::Copy(stream, target, source, bytes);
  }
  bool slow = false;

 private:
  static absl::Status Refused() { return absl::InternalError("a kernel ran"); }
};

TEST(LoopBenchTest, RunsAllOfALoopButItsKernels) {
  const auto inner = testing::SmallBackend();
  KernelsFail backend(*inner);
  const Scenario scenario = testing::SmallScenario();
  const OpGrid grid = SmallGrid();
  const auto bench = LoopBench::Make(&backend, scenario, grid);
  ASSERT_TRUE(bench.ok()) << bench.status();
  LoopSamples samples;
  ASSERT_TRUE((*bench)->Run(&samples).ok());
  // Two windows of each batch; step 0 and the first tick are of the largest.
  const auto stride = static_cast<size_t>(scenario.workload().attention().tick_stride_steps());
  ASSERT_EQ(samples.engine_ns.size(), 2u);
  EXPECT_EQ(samples.engine_ns[1].size(), 2 * stride + 1);
  EXPECT_EQ(samples.engine_ns[0].size(), 2 * stride);
  ASSERT_EQ(samples.publish_ns.size(), 2u);
  EXPECT_EQ(samples.publish_ns[1].size() + samples.publish_ns[0].size(), 4u);
  EXPECT_GE(samples.publish_ns[0].size(), 1u);

  // What goes up before a step is the engine's time; a second pass runs as the first.
  backend.slow = true;
  LoopSamples slow;
  ASSERT_TRUE((*bench)->Run(&slow).ok());
  for (const std::vector<double>& batch : slow.engine_ns) {
    for (const double ns : batch) {
      EXPECT_GE(ns, std::chrono::nanoseconds(KernelsFail::kCopyTakes).count());
    }
  }
  EXPECT_EQ(slow.engine_ns[0].size(), samples.engine_ns[0].size());
}

}  // namespace
}  // namespace tierscope
