#include "real/cupti_tracer.h"

#include <cupti.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "absl/strings/str_cat.h"

#include "real/cuda_marks.h"
#include "real/cupti_forms.h"
#include "real/shared_library.h"
#include "sim/base/check.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr size_t kBufferBytes = size_t{8} << 20;
constexpr size_t kBuffersMax = 128;  // 1 GiB; what comes after them is dropped and counted
constexpr size_t kBufferAlignment = 8;
constexpr uint32_t kFlushForced = 1;
constexpr auto kTagKind = CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0;
// Calls are enabled for the tags alone: a tag precedes the record of the call made under it.
constexpr CUpti_ActivityKind kKinds[] = {CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION,
                                         CUPTI_ACTIVITY_KIND_RUNTIME,
                                         CUPTI_ACTIVITY_KIND_DRIVER,
                                         CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL,
                                         CUPTI_ACTIVITY_KIND_MEMCPY,
                                         CUPTI_ACTIVITY_KIND_MEMSET,
                                         CUPTI_ACTIVITY_KIND_OVERHEAD};

struct FreeBuffer {
  void operator()(uint8_t* buffer) const { std::free(buffer); }
};
using Buffer = std::unique_ptr<uint8_t, FreeBuffer>;

// Buffers on their way between CUPTI's threads and ours.
struct Exchange {
  std::mutex mutex;
  size_t handed_out = 0;
  struct Full {
    Buffer buffer;
    size_t valid_bytes = 0;
  };
  std::vector<Full> full;
};

Exchange& TheExchange() {
  static auto& exchange = *new Exchange;
  return exchange;
}

void CUPTIAPI OnRequest(uint8_t** buffer, size_t* size, size_t* record_count_max) {
  Exchange& exchange = TheExchange();
  const std::lock_guard<std::mutex> lock(exchange.mutex);
  *buffer = nullptr;
  *size = 0;
  *record_count_max = 0;
  if (exchange.handed_out == kBuffersMax) return;
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(kBufferAlignment, kBufferBytes));
  if (*buffer == nullptr) return;
  *size = kBufferBytes;
  ++exchange.handed_out;
}

void CUPTIAPI OnComplete(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid_bytes) {
  Exchange& exchange = TheExchange();
  const std::lock_guard<std::mutex> lock(exchange.mutex);
  exchange.full.push_back({Buffer(buffer), valid_bytes});
}

template <typename Record>
void AddSpan(ActivityKind kind, const Record& record, int64_t bytes, int64_t offset_ns,
             ActivityTrace* trace) {
  if (record.start == 0 || record.end < record.start) {
    ++trace->untimed;
    return;
  }
  trace->records.push_back({kind, record.correlationId,
                            static_cast<int64_t>(record.start) + offset_ns,
                            static_cast<int64_t>(record.end) + offset_ns, bytes});
}

void AddRecord(const CUpti_Activity& record, int64_t offset_ns, ActivityTrace* trace) {
  const void* raw = &record;
  switch (static_cast<int>(record.kind)) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
    case CUPTI_ACTIVITY_KIND_KERNEL:
      AddSpan(ActivityKind::kKernel, *static_cast<const KernelRecord*>(raw), 0, offset_ns, trace);
      break;
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto& copy = *static_cast<const CopyRecord*>(raw);
      AddSpan(ActivityKind::kCopy, copy, static_cast<int64_t>(copy.bytes), offset_ns, trace);
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto& fill = *static_cast<const FillRecord*>(raw);
      AddSpan(ActivityKind::kFill, fill, static_cast<int64_t>(fill.bytes), offset_ns, trace);
      break;
    }
    case CUPTI_ACTIVITY_KIND_OVERHEAD: {
      const auto& overhead = *static_cast<const OverheadRecord*>(raw);
      trace->records.push_back({ActivityKind::kOverhead, 0,
                                static_cast<int64_t>(overhead.start) + offset_ns,
                                static_cast<int64_t>(overhead.end) + offset_ns, 0});
      break;
    }
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION: {
      const auto& link = *static_cast<const CUpti_ActivityExternalCorrelation*>(raw);
      if (link.externalKind == kTagKind) {
        trace->links.push_back({link.correlationId, link.externalId});
      }
      break;
    }
    default:
      break;
  }
}

}  // namespace

struct CuptiTracer::Functions {
  decltype(cuptiActivityRegisterCallbacks)* register_callbacks = nullptr;
  decltype(cuptiActivityEnable)* enable = nullptr;
  decltype(cuptiActivityDisable)* disable = nullptr;
  decltype(cuptiActivityFlushAll)* flush_all = nullptr;
  decltype(cuptiActivityGetNextRecord)* next_record = nullptr;
  decltype(cuptiActivityGetNumDroppedRecords)* dropped_count = nullptr;
  decltype(cuptiActivityPushExternalCorrelationId)* push_tag = nullptr;
  decltype(cuptiActivityPopExternalCorrelationId)* pop_tag = nullptr;
  decltype(cuptiGetTimestamp)* timestamp = nullptr;
  decltype(cuptiGetResultString)* result_text = nullptr;

  absl::Status Check(CUptiResult result, const char* call) const {
    if (result == CUPTI_SUCCESS) return absl::OkStatus();
    const char* text = nullptr;
    static_cast<void>(result_text(result, &text));
    const std::string said =
        absl::StrCat("CUPTI: ", call, ": ", text == nullptr ? "an error without a text" : text);
    if (result == CUPTI_ERROR_INSUFFICIENT_PRIVILEGES ||
        result == CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES) {
      return absl::UnavailableError(absl::StrCat(
          said,
          "; the driver allows profiling to administrators alone: see ERR_NVGPUCTRPERM, "
          "NVreg_RestrictProfilingToAdminUsers=0"));
    }
    if (result == CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED) {
      return absl::UnavailableError(absl::StrCat(said, "; another profiler traces this process"));
    }
    return absl::InternalError(absl::StrCat(said, "; --no-trace runs without CUPTI"));
  }

  // Host's clock less CUPTI's, to half the time that asking takes.
  absl::StatusOr<int64_t> OffsetNs() const {
    uint64_t cupti_ns = 0;
    const int64_t before = HostClockNs();
    TIERSCOPE_RETURN_IF_ERROR(Check(timestamp(&cupti_ns), "cuptiGetTimestamp"));
    const int64_t after = HostClockNs();
    return before + (after - before) / 2 - static_cast<int64_t>(cupti_ns);
  }

  absl::Status ReadBuffer(uint8_t* buffer, size_t valid_bytes, int64_t offset_ns,
                          ActivityTrace* trace) const {
    CUpti_Activity* record = nullptr;
    for (;;) {
      const CUptiResult result = next_record(buffer, valid_bytes, &record);
      if (result == CUPTI_ERROR_MAX_LIMIT_REACHED) return absl::OkStatus();
      if (result == CUPTI_ERROR_INVALID_KIND) {
        ++trace->dropped;  // what follows in this buffer cannot be read
        return absl::OkStatus();
      }
      TIERSCOPE_RETURN_IF_ERROR(Check(result, "cuptiActivityGetNextRecord"));
      AddRecord(*record, offset_ns, trace);
    }
  }
};

CuptiTracer::CuptiTracer() : functions_(std::make_unique<Functions>()) {}

CuptiTracer::~CuptiTracer() { Disable(); }

absl::Status CuptiTracer::Load() {
  TIERSCOPE_ASSIGN_OR_RETURN(
      const SharedLibrary library,
      SharedLibrary::Open(
          "CUPTI", "cuptiActivityEnable",
          {"libcupti.so.13", "libcupti.so.12", "libcupti.so", "/usr/local/cuda/lib64/libcupti.so",
           "/usr/local/cuda/extras/CUPTI/lib64/libcupti.so"},
          "the profile has marks alone; put the CUDA toolkit's lib64 into "
          "LD_LIBRARY_PATH"));
  Functions& f = *functions_;
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cuptiGetResultString", &f.result_text));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cuptiActivityRegisterCallbacks", &f.register_callbacks));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cuptiActivityEnable", &f.enable));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cuptiActivityDisable", &f.disable));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cuptiActivityFlushAll", &f.flush_all));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cuptiActivityGetNextRecord", &f.next_record));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cuptiActivityGetNumDroppedRecords", &f.dropped_count));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cuptiActivityPushExternalCorrelationId", &f.push_tag));
  TIERSCOPE_RETURN_IF_ERROR(library.Find("cuptiActivityPopExternalCorrelationId", &f.pop_tag));
  return library.Find("cuptiGetTimestamp", &f.timestamp);
}

absl::Status CuptiTracer::Enable() {
  const Functions& f = *functions_;
  TIERSCOPE_RETURN_IF_ERROR(
      f.Check(f.register_callbacks(OnRequest, OnComplete), "cuptiActivityRegisterCallbacks"));
  enabled_ = true;
  for (const CUpti_ActivityKind kind : kKinds) {
    TIERSCOPE_RETURN_IF_ERROR(f.Check(f.enable(kind), "cuptiActivityEnable"));
  }
  // What was dropped before is no part of this trace.
  size_t before = 0;
  static_cast<void>(f.dropped_count(nullptr, 0, &before));
  TIERSCOPE_ASSIGN_OR_RETURN(offset_begin_ns_, f.OffsetNs());
  return absl::OkStatus();
}

void CuptiTracer::Disable() {
  if (!enabled_) return;
  enabled_ = false;
  for (const CUpti_ActivityKind kind : kKinds) static_cast<void>(functions_->disable(kind));
  static_cast<void>(functions_->flush_all(kFlushForced));
  Exchange& exchange = TheExchange();
  const std::lock_guard<std::mutex> lock(exchange.mutex);
  exchange.handed_out -= std::min(exchange.handed_out, exchange.full.size());
  exchange.full.clear();
}

absl::StatusOr<std::unique_ptr<CuptiTracer>> CuptiTracer::Start() {
  std::unique_ptr<CuptiTracer> tracer(new CuptiTracer);
  TIERSCOPE_RETURN_IF_ERROR(tracer->Load());
  TIERSCOPE_RETURN_IF_ERROR(tracer->Enable());
  return tracer;
}

void CuptiTracer::Tag(uint64_t tag) {
  thread_local bool tagged = false;
  if (tagged) static_cast<void>(functions_->pop_tag(kTagKind, nullptr));
  tagged = tag != 0 && functions_->push_tag(kTagKind, tag) == CUPTI_SUCCESS;
}

absl::StatusOr<ActivityTrace> CuptiTracer::Stop() {
  const Functions& f = *functions_;
  TIERSCOPE_CHECK(enabled_);
  TIERSCOPE_RETURN_IF_ERROR(f.Check(f.flush_all(kFlushForced), "cuptiActivityFlushAll"));
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t offset_end_ns, f.OffsetNs());
  const int64_t offset_ns = offset_begin_ns_ + (offset_end_ns - offset_begin_ns_) / 2;
  size_t dropped = 0;
  TIERSCOPE_RETURN_IF_ERROR(
      f.Check(f.dropped_count(nullptr, 0, &dropped), "cuptiActivityGetNumDroppedRecords"));
  std::vector<Exchange::Full> full;
  {
    Exchange& exchange = TheExchange();
    const std::lock_guard<std::mutex> lock(exchange.mutex);
    full.swap(exchange.full);
    exchange.handed_out -= std::min(exchange.handed_out, full.size());
  }
  ActivityTrace trace;
  trace.dropped = static_cast<int64_t>(dropped);
  for (const Exchange::Full& buffer : full) {
    TIERSCOPE_RETURN_IF_ERROR(
        f.ReadBuffer(buffer.buffer.get(), buffer.valid_bytes, offset_ns, &trace));
  }
  Disable();
  return trace;
}

}  // namespace tierscope
