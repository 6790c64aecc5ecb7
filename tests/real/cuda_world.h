// The CUDA backend on the stand-in runtime (tests/testing/simt_runtime.h), small.
#ifndef TIERSCOPE_TESTS_REAL_CUDA_WORLD_H_
#define TIERSCOPE_TESTS_REAL_CUDA_WORLD_H_

#include <memory>
#include <string>

#include "real/cuda_backend.h"

namespace tierscope::testing {

CudaBackendOptions SmallCudaOptions();
std::unique_ptr<Backend> SmallCudaBackend();

// What the machine saw done wrong, and what was not given back; "" when nothing.
std::string WhatWentWrong();

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_REAL_CUDA_WORLD_H_
