#include "tests/real/real_world.h"

namespace tierscope::testing {

std::unique_ptr<Backend> SmallBackend() { return SmallCpuBackend(); }

}  // namespace tierscope::testing
