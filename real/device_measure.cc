#include "real/device_measure.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "real/backbone.h"
#include "real/loop_bench.h"
#include "real/op_bench.h"
#include "real/op_work.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr int32_t kBesideRounds = 40;
constexpr int32_t kLaunches = 64;

// What is timed in a round, and the samples so far in nanoseconds.
struct Point {
  enum Kind { kOp, kRecall, kWriteback, kStaged, kGather, kDeviceCopy, kLaunch } kind = kOp;
  OpTable::Op op = OpTable::BALLAST;
  double x = 0.0;  // of kOp
  double batch = 0.0;
  int64_t pages = 0;  // of copies
  int64_t page_bytes = 0;
  std::vector<double> ns = {};
};

struct Summary {
  double median = 0.0;
  double spread = 0.0;  // (P90 - P10) / median
};

Summary Summarise(std::vector<double> ns) {
  std::sort(ns.begin(), ns.end());
  const auto at = [&](double q) {
    return ns[static_cast<size_t>(std::llround(q * static_cast<double>(ns.size() - 1)))];
  };
  return {at(0.5), (at(0.9) - at(0.1)) / at(0.5)};
}

// A LAUNCH is one of many in a row.
absl::StatusOr<int64_t> TimeLaunch(const Point& point, OpBench* bench) {
  if (point.op == OpTable::GRAPH_LAUNCH) {
    return bench->TimeLaunch(OpBench::Launch::kSequence, static_cast<int32_t>(point.x));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t ns,
                             bench->TimeLaunch(OpBench::Launch::kOneByOne, kLaunches));
  return ns / kLaunches;
}

absl::StatusOr<int64_t> TimePoint(const Point& point, OpBench* bench) {
  switch (point.kind) {
    case Point::kOp:
      return bench->Time(point.op, point.x, point.batch);
    case Point::kRecall:
      return bench->TimeRecall(point.pages, point.page_bytes, RecallPath::kCopyEngine);
    case Point::kWriteback:
      return bench->TimeWriteback(point.pages, point.page_bytes);
    case Point::kStaged:
      return bench->TimeRecall(point.pages, point.page_bytes, RecallPath::kStaged);
    case Point::kGather:
      return bench->TimeRecall(point.pages, point.page_bytes, RecallPath::kGatherKernel);
    case Point::kDeviceCopy:
      return bench->TimeDeviceCopy();
    case Point::kLaunch:
      return TimeLaunch(point, bench);
  }
  return absl::InternalError("no such point");
}

// The grid of an op, in the order of its table.
void AddGrid(Point::Kind kind, OpTable::Op op, const OpGrid& grid, int32_t page_entries,
             std::vector<Point>* points) {
  for (const double batch : BatchesOf(op, grid)) {
    for (const double x : AxisOf(op, grid, page_entries)) {
      points->push_back({kind, op, x, batch, 0, 0});
    }
  }
}

std::vector<Point> PointsOf(const OpGrid& grid, int32_t page_entries, int64_t page_bytes,
                            bool launches) {
  std::vector<Point> points;
  for (const OpTable::Op op : kMeasuredOps) {
    AddGrid(Point::kOp, op, grid, page_entries, &points);
  }
  for (const int64_t pages : grid.pages_copied) {
    for (const int64_t bytes : {page_bytes / 2 / 16 * 16, page_bytes}) {
      points.push_back({Point::kRecall, OpTable::BALLAST, 0.0, 0.0, pages, bytes});
    }
    points.push_back({Point::kWriteback, OpTable::BALLAST, 0.0, 0.0, pages, page_bytes});
    points.push_back({Point::kStaged, OpTable::BALLAST, 0.0, 0.0, pages, page_bytes});
    points.push_back({Point::kGather, OpTable::BALLAST, 0.0, 0.0, pages, page_bytes});
  }
  if (launches) {
    for (const OpTable::Op op : {OpTable::LAUNCH, OpTable::GRAPH_LAUNCH}) {
      AddGrid(Point::kLaunch, op, grid, page_entries, &points);
    }
  }
  points.push_back({Point::kDeviceCopy, OpTable::BALLAST, 0.0, 0.0, 0, 0});
  return points;
}

OpTable* AddTable(OpTable::Op op, const OpGrid& grid, int32_t page_entries, MeasuredOps* ops) {
  OpTable* table = ops->add_tables();
  table->set_op(op);
  for (const double x : AxisOf(op, grid, page_entries)) table->add_x(x);
  for (const double batch : BatchesOf(op, grid)) table->add_batch(batch);
  return table;
}

void AddPoint(const std::vector<double>& ns, OpTable* table) {
  const Summary summary = Summarise(ns);
  table->add_us(summary.median * 1e-3);
  table->add_spread(summary.spread);
}

// Of `points` those of one kind, a table an op.
void AddTables(Point::Kind kind, const OpGrid& grid, const Scenario& scenario,
               double weight_bytes_each, const std::vector<Point>& points, MeasuredOps* ops) {
  OpTable* table = nullptr;
  for (const Point& point : points) {
    if (point.kind != kind) continue;
    if (table == nullptr || table->op() != point.op) {
      table = AddTable(point.op, grid, scenario.model().page_entries(), ops);
    }
    AddPoint(point.ns, table);
    if (kind != Point::kOp) continue;
    const OpWork work = OpWorkOf(point.op, point.x, point.batch, scenario, weight_bytes_each);
    table->add_flop(work.flop);
    table->add_bytes(work.bytes);
  }
}

void AddLoopTables(const OpGrid& grid, const Scenario& scenario, const LoopSamples& samples,
                   MeasuredOps* ops) {
  OpTable* publish = AddTable(OpTable::PUBLISH, grid, scenario.model().page_entries(), ops);
  for (const std::vector<double>& ns : samples.publish_ns) AddPoint(ns, publish);
  OpTable* engine = AddTable(OpTable::ENGINE, grid, scenario.model().page_entries(), ops);
  for (const std::vector<double>& ns : samples.engine_ns) AddPoint(ns, engine);
}

int64_t RateOf(const Point& point) {
  const double bytes = static_cast<double>(point.pages * point.page_bytes);
  return std::max<int64_t>(1, std::llround(bytes / Summarise(point.ns).median * 1e9));
}

// The rate of the largest copy of a kind.
int64_t LastRate(const std::vector<Point>& points, Point::Kind kind) {
  int64_t rate = 1;
  for (const Point& point : points) {
    if (point.kind == kind) rate = RateOf(point);
  }
  return rate;
}

// The rate that leaves, with a scatter at the device's bandwidth, the time of the largest staged
// recall: it is timed as a whole, and what it is made of is not told apart.
int64_t StagedRate(const std::vector<Point>& points, int64_t device_bytes_per_s) {
  const double whole_s = 1.0 / static_cast<double>(LastRate(points, Point::kStaged));
  const double scatter_s = 2.0 / static_cast<double>(device_bytes_per_s);
  return std::max<int64_t>(1, std::llround(1.0 / std::max(whole_s - scatter_s, 0.1 * whole_s)));
}

void FillLink(const std::vector<Point>& points, int64_t device_bytes_per_s, Link* link) {
  int64_t peak = 1;
  for (const Point& point : points) {
    if (point.kind != Point::kRecall) continue;
    CopyPoint* copy = link->add_batched_copy();
    copy->set_piece_bytes(point.page_bytes);
    copy->set_descriptors(point.pages);
    copy->set_bytes_per_s(RateOf(point));
    peak = std::max(peak, copy->bytes_per_s());
  }
  link->set_peak_bytes_per_s(peak);
  link->set_device_to_host_bytes_per_s(LastRate(points, Point::kWriteback));
  link->set_gather_bytes_per_s(LastRate(points, Point::kGather));
  link->set_gather_unaligned_factor(1.0);
  link->set_pageable_bytes_per_s(StagedRate(points, device_bytes_per_s));
  link->set_copy_submit_us(0.0);
  link->set_evidence(MEASURED);
}

// Rates that no measured op needs, and that the schema asks for: bandwidth from a copy, operations
// from the largest products.
void FillRates(const Scenario& scenario, const OpGrid& grid, const std::vector<Point>& points,
               int64_t copy_bytes, Hardware* hardware) {
  const Point& copy = points.back();
  hardware->set_hbm_bytes_per_s(std::max<int64_t>(
      1, std::llround(2.0 * static_cast<double>(copy_bytes) / Summarise(copy.ns).median * 1e9)));
  int64_t flop = 0;
  const auto batch = static_cast<int64_t>(grid.batches.back());
  for (const LayerKind kind : LayerOrder(scenario.model())) {
    flop += GemmFlop(LayerProducts(scenario, kind, batch));
  }
  flop += GemmFlop(HeadProducts(scenario, batch));
  double ballast_us = 1.0;
  for (const OpTable& table : hardware->measured_ops().tables()) {
    if (table.op() == OpTable::BALLAST) ballast_us = table.us(table.us_size() - 1);
  }
  const double flop_per_s = static_cast<double>(flop) / ballast_us * 1e6;
  hardware->set_fp8_flop_per_s(flop_per_s);
  hardware->set_bf16_flop_per_s(flop_per_s);
}

double Slowdown(int64_t beside, int64_t alone) {
  return std::max(1.0, static_cast<double>(beside) / static_cast<double>(alone));
}

absl::Status FillBeside(OpBench* bench, MeasuredOps* ops) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OpBench::Beside score,
                             bench->TimeBeside(OpBench::Pair::kLayerAndScore, kBesideRounds));
  ops->set_step_beside_score(Slowdown(score.decode_beside, score.decode_alone));
  ops->set_score_beside_step(Slowdown(score.other_beside, score.other_alone));
  TIERSCOPE_ASSIGN_OR_RETURN(const OpBench::Beside copy,
                             bench->TimeBeside(OpBench::Pair::kLayerAndRecall, kBesideRounds));
  ops->set_step_beside_copy(Slowdown(copy.decode_beside, copy.decode_alone));
  ops->set_copy_beside_step(Slowdown(copy.other_beside, copy.other_alone));
  TIERSCOPE_ASSIGN_OR_RETURN(const OpBench::Beside link,
                             bench->TimeBeside(OpBench::Pair::kWritebackAndRecall, kBesideRounds));
  ops->set_writeback_beside_recall(Slowdown(link.decode_beside, link.decode_alone));
  ops->set_recall_beside_writeback(Slowdown(link.other_beside, link.other_alone));
  return absl::OkStatus();
}

// No kernel of the fitted or roofline models is used beside measured ops.
void FillStepModel(const std::string& model, StepModel* step) {
  step->set_base_ms(0.0);
  step->set_per_request_ms(0.0);
  step->set_memory_efficiency(1.0);
  step->set_level1_launch_ms(0.0);
  step->set_fitted_model(model);
  step->set_fitted_tensor_parallel(1);
  step->set_fitted_to("nothing: ops are measured");
  step->set_evidence(MEASURED);
}

}  // namespace

absl::StatusOr<Hardware> MeasureDevice(Backend* backend, const Scenario& scenario,
                                       const DeviceMeasureOptions& options) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<OpBench> bench,
                             OpBench::Make(backend, scenario, options.grid));
  const int32_t page_entries = scenario.model().page_entries();
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<LoopBench> loop,
                             LoopBench::Make(backend, scenario, options.grid));
  std::vector<Point> points =
      PointsOf(options.grid, page_entries, bench->page_bytes(), backend->device().asynchronous);
  LoopSamples samples;
  // The first round touches everything once and is not counted.
  for (int32_t round = 0; round <= options.rounds; ++round) {
    if (options.progress) options.progress(round);
    for (Point& point : points) {
      TIERSCOPE_ASSIGN_OR_RETURN(const int64_t ns, TimePoint(point, bench.get()));
      if (round > 0) point.ns.push_back(static_cast<double>(ns));
    }
    if (round == 1) samples = {};
    TIERSCOPE_RETURN_IF_ERROR(loop->Run(&samples));
  }
  Hardware hardware;
  hardware.set_gpu(backend->device().name);
  hardware.set_hbm_bytes(std::max<int64_t>(1, backend->device().memory_bytes));
  MeasuredOps* ops = hardware.mutable_measured_ops();
  ops->set_device(backend->device().name);
  ops->set_attention_tile_entries(backend->device().attention_tile_entries);
  const double weight_bytes_each = backend->device().weight_bytes_each;
  AddTables(Point::kOp, options.grid, scenario, weight_bytes_each, points, ops);
  AddLoopTables(options.grid, scenario, samples, ops);
  AddTables(Point::kLaunch, options.grid, scenario, weight_bytes_each, points, ops);
  FillRates(scenario, options.grid, points, bench->device_copy_bytes(), &hardware);
  FillLink(points, hardware.hbm_bytes_per_s(), hardware.mutable_host_link());
  FillStepModel(scenario.model().name(), hardware.mutable_step_model());
  TIERSCOPE_RETURN_IF_ERROR(FillBeside(bench.get(), ops));
  return hardware;
}

}  // namespace tierscope
