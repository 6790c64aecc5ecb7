// A hardware profile with made-up times, sealed for the CPU of this machine: what a reconciliation
// needs that is about its form and not about its numbers.
#ifndef TIERSCOPE_TESTS_TESTING_MADE_UP_PROFILE_H_
#define TIERSCOPE_TESTS_TESTING_MADE_UP_PROFILE_H_

#include "calibration/device_profile.h"
#include "real/cpu_backend.h"

namespace tierscope::testing {

inline OpTable MadeUpTable(OpTable::Op op, double us_each) {
  OpTable table;
  table.set_op(op);
  for (const double x : {10.0, 100000.0}) table.add_x(x);
  for (const double batch : {2.0, 64.0}) table.add_batch(batch);
  for (const double batch : {2.0, 64.0}) {
    for (const double x : {10.0, 100000.0}) table.add_us(us_each * x * batch);
  }
  return table;
}

inline Hardware MadeUpProfile() {
  Hardware hardware;
  hardware.set_gpu("made up");
  hardware.set_hbm_bytes(int64_t{8} << 30);
  hardware.set_hbm_bytes_per_s(10'000'000'000);
  hardware.set_fp8_flop_per_s(1e10);
  hardware.set_bf16_flop_per_s(1e10);
  hardware.mutable_host_link()->set_peak_bytes_per_s(5'000'000'000);
  hardware.mutable_host_link()->set_device_to_host_bytes_per_s(5'000'000'000);
  hardware.mutable_host_link()->set_gather_bytes_per_s(5'000'000'000);
  hardware.mutable_host_link()->set_gather_unaligned_factor(1);
  hardware.mutable_host_link()->set_pageable_bytes_per_s(5'000'000'000);
  hardware.mutable_host_link()->set_copy_submit_us(1);
  CopyPoint* copy = hardware.mutable_host_link()->add_batched_copy();
  copy->set_piece_bytes(1 << 17);
  copy->set_descriptors(1);
  copy->set_bytes_per_s(5'000'000'000);
  hardware.mutable_step_model()->set_base_ms(0);
  hardware.mutable_step_model()->set_per_request_ms(0);
  hardware.mutable_step_model()->set_memory_efficiency(1);
  hardware.mutable_step_model()->set_level1_launch_ms(0);
  MeasuredOps* ops = hardware.mutable_measured_ops();
  const auto backend = MakeCpuBackend({});
  ops->set_device(backend.ok() ? (*backend)->device().name : "");
  for (const OpTable::Op op :
       {OpTable::BALLAST, OpTable::NATIVE_SCORE, OpTable::NATIVE_TOP_K, OpTable::CSA_ATTENTION,
        OpTable::HCA_ATTENTION, OpTable::SCORE, OpTable::SELECT}) {
    *ops->add_tables() = MadeUpTable(op, op == OpTable::BALLAST ? 100.0 : 1.0);
  }
  SealProfile("2026-01-01", &hardware);
  return hardware;
}

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TESTING_MADE_UP_PROFILE_H_
