// The CUDA backend on the stand-in runtime (tests/testing/simt_runtime.h), small.
#ifndef TIERSCOPE_TESTS_REAL_CUDA_WORLD_H_
#define TIERSCOPE_TESTS_REAL_CUDA_WORLD_H_

#include <memory>
#include <string>

#include "gtest/gtest.h"

#include "real/cuda_backend.h"
#include "scenarios/scenario.pb.h"

namespace tierscope::testing {

CudaBackendOptions SmallCudaOptions();
std::unique_ptr<Backend> SmallCudaBackend();

// What the machine saw done wrong, and what was not given back; "" when nothing.
std::string WhatWentWrong();

// SmallScenario in ten steps and four ticks.
Scenario ShortScenario(const std::string& sets = "policy.level1=SYNC");

// Each test ends with everything given back and begins with a machine on which nothing is wrong.
class CudaBackendTest : public ::testing::Test {
 protected:
  ~CudaBackendTest() override;
};

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_REAL_CUDA_WORLD_H_
