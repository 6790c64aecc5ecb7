// The backends that verbs execute on, by name.
#ifndef TIERSCOPE_CLI_BACKEND_H_
#define TIERSCOPE_CLI_BACKEND_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "real/backend.h"
#include "real/cpu_backend.h"
#include "real/cuda_backend.h"

namespace tierscope::cli {

struct BackendOptions {
  std::string name = "cpu";
  CpuBackendOptions cpu;
  CudaBackendOptions cuda;
};

// Errors: no such backend; one that this build or this machine does not have, with what is missing.
absl::StatusOr<std::unique_ptr<Backend>> MakeBackend(const BackendOptions& options);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_BACKEND_H_
