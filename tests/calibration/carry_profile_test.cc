#include "calibration/carry_profile.h"

#include <cmath>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

#include "calibration/device_profile.h"

namespace tierscope {
namespace {

// A made-up device: every op takes a launch and its roofline over its efficiency.
struct Device {
  double flop_per_s, bytes_per_s, link_bytes_per_s;
  double launch_us = 5.0;
};

struct Op {
  OpTable::Op op;
  double flop, bytes;  // per x and request
  double efficiency;
};
constexpr Op kOps[] = {{OpTable::BALLAST, 4e9, 1e9, 0.6},
                       {OpTable::NATIVE_SCORE, 16384, 132, 0.5},
                       {OpTable::CSA_ATTENTION, 131072, 584, 0.4},
                       {OpTable::SELECT, 0, 5, 0.01}};

Hardware ProfileOf(const std::string& name, const Device& device) {
  Hardware hardware;
  hardware.set_gpu(name);
  hardware.set_hbm_bytes(int64_t{1} << 36);
  hardware.set_hbm_bytes_per_s(static_cast<int64_t>(device.bytes_per_s));
  hardware.set_bf16_flop_per_s(device.flop_per_s);
  hardware.set_fp8_flop_per_s(device.flop_per_s);
  Link* link = hardware.mutable_host_link();
  link->set_peak_bytes_per_s(static_cast<int64_t>(device.link_bytes_per_s));
  CopyPoint* copy = link->add_batched_copy();
  copy->set_piece_bytes(1000);
  copy->set_descriptors(1);
  copy->set_bytes_per_s(static_cast<int64_t>(device.link_bytes_per_s / 2));
  MeasuredOps* ops = hardware.mutable_measured_ops();
  ops->set_device(name);
  ops->set_step_beside_score(1.5);
  for (const Op& op : kOps) {
    OpTable* table = ops->add_tables();
    table->set_op(op.op);
    const std::vector<double> xs =
        op.op == OpTable::BALLAST ? std::vector<double>{1} : std::vector<double>{64, 512, 4096};
    for (const double x : xs) table->add_x(x);
    for (const double batch : {1.0, 4.0, 16.0}) table->add_batch(batch);
    for (const double batch : table->batch()) {
      for (const double x : xs) {
        // Weights are read once whatever the batch; everything else is each request's.
        const double flop = op.flop * x * batch;
        const double bytes = op.op == OpTable::BALLAST ? op.bytes : op.bytes * x * batch;
        const double roof_us = 1e6 * std::max(flop / device.flop_per_s, bytes / device.bytes_per_s);
        table->add_us(device.launch_us + roof_us / op.efficiency);
        table->add_flop(flop);
        table->add_bytes(bytes);
      }
    }
  }
  OpTable* engine = ops->add_tables();  // the host's: no operations, no bytes
  engine->set_op(OpTable::ENGINE);
  engine->add_x(1);
  engine->add_batch(1);
  engine->add_us(77.0);
  SealProfile("made up", &hardware);
  return hardware;
}

const Device kSmall = {2e14, 2e12, 2e10};
const Device kFast = {3e14, 5e12, 5e10};  // ratios of 1.5, 2.5 and 2.5

TEST(CarryProfileTest, ADeviceOfTheSameEfficienciesIsPredicted) {
  const Hardware source = ProfileOf("small", kSmall), target = ProfileOf("fast", kFast);
  const auto carried = CarryProfile(source, source, target);
  ASSERT_TRUE(carried.ok()) << carried.status();
  EXPECT_EQ(carried->gpu(), "fast");
  EXPECT_EQ(carried->measured_ops().device(), "fast");
  EXPECT_EQ(carried->measured_ops().step_beside_score(), 1.5);
  EXPECT_TRUE(absl::StrContains(carried->measured_ops().taken(), "not measured, from small"));
  EXPECT_TRUE(CheckProfileUnchanged(*carried).ok());
  EXPECT_EQ(carried->host_link().batched_copy(0).bytes_per_s(), 25'000'000'000);
  const std::vector<CarriedOp> ops = CarriedOps(source, source, target, *carried);
  ASSERT_EQ(ops.size(), std::size(kOps) + 1);
  for (const CarriedOp& op : ops) {
    EXPECT_GT(op.points, 0);
    // BALLAST's two points of least work stand on both sides of its roofline's ridge.
    EXPECT_LT(op.worst_error, op.op == OpTable::BALLAST ? 0.02 : 1e-4) << op.op;
    if (op.op == OpTable::ENGINE) {
      EXPECT_EQ(op.ratio_least, 1.0) << "the host's time is no device's";
    } else if (op.op != OpTable::BALLAST) {
      EXPECT_NEAR(op.floor_us, 5.0, 1e-3) << op.op;
    }
  }
  // 124 operations a byte on either device are above the ridge of neither.
  EXPECT_NEAR(ops[1].ratio_least, 1 / 1.5, 0.1);
  EXPECT_NEAR(ops[3].ratio_most, 1 / 2.5, 1e-9) << "no operations: by bandwidth alone";
}

// Carrying times instead would be off by the ratio of the devices, and so is what is carried to a
// device that reaches half of what it should.
TEST(CarryProfileTest, AnotherEfficiencyShows) {
  const Hardware source = ProfileOf("small", kSmall);
  Hardware target = ProfileOf("fast", kFast);
  for (OpTable& table : *target.mutable_measured_ops()->mutable_tables()) {
    for (double& us : *table.mutable_us()) us *= 2;
  }
  const Hardware carried = CarryProfile(source, source, target).value();
  for (const CarriedOp& op : CarriedOps(source, source, target, carried)) {
    EXPECT_NEAR(op.bias, -0.5, 0.02) << op.op;
    EXPECT_NEAR(op.median_error, 0.5, 0.02) << op.op;
  }
}

TEST(CarryProfileTest, APresetHasNothingToCompareWith) {
  const Hardware source = ProfileOf("small", kSmall);
  Hardware target = ProfileOf("fast", kFast);
  target.clear_measured_ops();
  const Hardware carried = CarryProfile(source, source, target).value();
  for (const CarriedOp& op : CarriedOps(source, source, target, carried)) {
    EXPECT_EQ(op.points, 0);
  }
}

TEST(CarryProfileTest, Refusals) {
  const Hardware good = ProfileOf("small", kSmall);
  const auto refusal = [&](const Hardware& source, const Hardware& target) {
    return std::string(CarryProfile(source, source, target).status().message());
  };
  Hardware bad = good;
  bad.clear_measured_ops();
  EXPECT_TRUE(absl::StrContains(refusal(bad, good), "no measured profile"));
  bad = good;
  bad.mutable_measured_ops()->mutable_tables(0)->set_us(0, 1.0);
  EXPECT_TRUE(absl::StrContains(refusal(bad, good), "sha256"));
  bad = good;
  bad.mutable_measured_ops()->mutable_tables(1)->clear_bytes();
  SealProfile("made up", &bad);
  EXPECT_TRUE(absl::StrContains(refusal(bad, good), "NATIVE_SCORE does not say"));
  bad = good;
  bad.clear_hbm_bytes_per_s();
  EXPECT_TRUE(absl::StrContains(refusal(good, bad), "to carry by"));
}

}  // namespace
}  // namespace tierscope
