// What every backend promises (real/backend.h), as checks that run over any of them.
#ifndef TIERSCOPE_TESTS_REAL_BACKEND_CONTRACT_H_
#define TIERSCOPE_TESTS_REAL_BACKEND_CONTRACT_H_

#include <functional>
#include <memory>
#include <vector>

#include "real/backend.h"

namespace tierscope::testing {

using BackendMaker = std::function<std::unique_ptr<Backend>()>;

// All of the below.
void CheckBackendContract(const BackendMaker& make);

void CheckMemoryIsCountedByName(Backend& backend);
void CheckAKernelsRefusalIsAnError(Backend& backend);
void CheckAllPathsMoveTheSamePages(const BackendMaker& make);
void CheckCopiesKeepTheirOrder(Backend& backend);
void CheckMarksRise(Backend& backend);
void CheckSequencesReadWhatIsThere(Backend& backend);

// What lies at `source`, wherever that is.
std::vector<uint8_t> BytesAt(Backend& backend, Stream stream, const uint8_t* source, int64_t bytes);

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_REAL_BACKEND_CONTRACT_H_
