#include "tests/testing/fake_cupti.h"

#include <cupti.h>

#include <chrono>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "tests/testing/simt_runtime.h"

namespace tierscope::testing {
namespace {

using Record = std::variant<CUpti_ActivityKernel10, CUpti_ActivityMemcpy6, CUpti_ActivityOverhead3,
                            CUpti_ActivityExternalCorrelation>;

size_t BytesOf(const Record& record) {
  const size_t bytes = std::visit([](const auto& r) { return sizeof r; }, record);
  return (bytes + 7) / 8 * 8;
}

thread_local std::vector<uint64_t> tags;

uint64_t CuptiNow() {
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
  return static_cast<uint64_t>(now.count() + TheCupti().clock_ahead_ns);
}

class Recorder : public simt::OpObserver {
 public:
  void OnSubmit(uint32_t correlation) override {
    const std::lock_guard<std::mutex> lock(mutex);
    if (tags.empty() || !TheCupti().links) return;
    Add(CUpti_ActivityExternalCorrelation{CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION,
                                          CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, tags.back(),
                                          correlation});
  }
  void OnRun(simt::OpKind kind, uint32_t correlation, int64_t begin_ns, int64_t end_ns,
             size_t byte_count) override {
    const std::lock_guard<std::mutex> lock(mutex);
    int64_t& until_untimed = TheCupti().records_until_untimed;
    const bool timed = until_untimed < 0 || until_untimed-- > 0;
    const int64_t ahead_ns = TheCupti().clock_ahead_ns;
    const auto start = timed ? static_cast<uint64_t>(begin_ns + ahead_ns) : 0;
    const auto end = timed ? static_cast<uint64_t>(end_ns + ahead_ns) : 0;
    if (kind == simt::OpKind::kKernel) {
      Add(CUpti_ActivityKernel10{CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, correlation, start, end});
    } else {
      Add(CUpti_ActivityMemcpy6{
          kind == simt::OpKind::kCopy ? CUPTI_ACTIVITY_KIND_MEMCPY : CUPTI_ACTIVITY_KIND_MEMSET,
          correlation, start, end, byte_count});
    }
  }

  void Flush() {
    const std::lock_guard<std::mutex> lock(mutex);
    if (records.empty()) return;
    records.push_back(
        CUpti_ActivityOverhead3{CUPTI_ACTIVITY_KIND_OVERHEAD, CuptiNow() - 7, CuptiNow() - 7 + 5});
    for (size_t next = 0; next < records.size();) {
      uint8_t* buffer = nullptr;
      size_t size = 0, count_max = 0;
      request(&buffer, &size, &count_max);
      if (buffer == nullptr) {
        dropped += records.size() - next;
        break;
      }
      size_t used = 0;
      for (; next < records.size() && used + BytesOf(records[next]) <= size; ++next) {
        std::visit([&](const auto& r) { std::memcpy(buffer + used, &r, sizeof r); }, records[next]);
        used += BytesOf(records[next]);
      }
      complete(nullptr, 0, buffer, size, used);
    }
    records.clear();
  }

  std::mutex mutex;
  std::set<CUpti_ActivityKind> enabled;
  CUpti_BuffersCallbackRequestFunc request = nullptr;
  CUpti_BuffersCallbackCompleteFunc complete = nullptr;
  std::vector<Record> records;
  size_t dropped = 0;

 private:
  void Add(const Record& record) {
    int64_t& left = TheCupti().records_until_drop;
    if (left == 0) {
      ++dropped;
      return;
    }
    if (left > 0) --left;
    records.push_back(record);
  }
};

Recorder& TheRecorder() {
  static auto& recorder = *new Recorder;
  return recorder;
}

}  // namespace

CuptiOptions& TheCupti() {
  static auto& options = *new CuptiOptions;
  return options;
}

}  // namespace tierscope::testing

using tierscope::testing::TheCupti;
using tierscope::testing::TheRecorder;

CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc request,
                                           CUpti_BuffersCallbackCompleteFunc complete) {
  TheRecorder().request = request;
  TheRecorder().complete = complete;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityEnable(CUpti_ActivityKind kind) {
  if (!TheCupti().permitted) return CUPTI_ERROR_INSUFFICIENT_PRIVILEGES;
  TheRecorder().enabled.insert(kind);
  tierscope::simt::ObserveOps(&TheRecorder());
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityDisable(CUpti_ActivityKind kind) {
  TheRecorder().enabled.erase(kind);
  if (TheRecorder().enabled.empty()) tierscope::simt::ObserveOps(nullptr);
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityFlushAll(uint32_t) {
  TheRecorder().Flush();
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityGetNextRecord(uint8_t* buffer, size_t valid_bytes,
                                       CUpti_Activity** record) {
  size_t offset = 0;
  if (*record != nullptr) {
    offset = static_cast<size_t>(reinterpret_cast<uint8_t*>(*record) - buffer);
    switch ((*record)->kind) {
      case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
        offset += sizeof(CUpti_ActivityKernel10);
        break;
      case CUPTI_ACTIVITY_KIND_OVERHEAD:
        offset += sizeof(CUpti_ActivityOverhead3);
        break;
      case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION:
        offset += sizeof(CUpti_ActivityExternalCorrelation);
        break;
      default:
        offset += sizeof(CUpti_ActivityMemcpy6);
    }
    offset = (offset + 7) / 8 * 8;
  }
  if (offset >= valid_bytes) return CUPTI_ERROR_MAX_LIMIT_REACHED;
  *record = reinterpret_cast<CUpti_Activity*>(buffer + offset);
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityGetNumDroppedRecords(CUcontext, uint32_t, size_t* dropped) {
  *dropped = std::exchange(TheRecorder().dropped, 0);
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityPushExternalCorrelationId(CUpti_ExternalCorrelationKind, uint64_t id) {
  tierscope::testing::tags.push_back(id);
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityPopExternalCorrelationId(CUpti_ExternalCorrelationKind, uint64_t*) {
  if (!tierscope::testing::tags.empty()) tierscope::testing::tags.pop_back();
  return CUPTI_SUCCESS;
}
CUptiResult cuptiGetTimestamp(uint64_t* timestamp) {
  *timestamp = tierscope::testing::CuptiNow();
  return CUPTI_SUCCESS;
}
CUptiResult cuptiGetResultString(CUptiResult result, const char** text) {
  *text = result == CUPTI_ERROR_INSUFFICIENT_PRIVILEGES ? "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES"
                                                        : "an error";
  return CUPTI_SUCCESS;
}
