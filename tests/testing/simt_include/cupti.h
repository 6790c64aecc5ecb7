// Stands in for CUPTI's header: what real/cupti_tracer.cc uses of it, records with the same names
// and fewer fields. Bodies in tests/testing/fake_cupti.cc.
#ifndef TIERSCOPE_TESTS_TESTING_SIMT_INCLUDE_CUPTI_H_
#define TIERSCOPE_TESTS_TESTING_SIMT_INCLUDE_CUPTI_H_

#include <cstddef>
#include <cstdint>

#define CUPTIAPI
#define CUPTI_API_VERSION 130001
struct CUctx_st;
using CUcontext = CUctx_st*;
// Numbers as CUPTI's.
enum CUptiResult {
  CUPTI_SUCCESS = 0,
  CUPTI_ERROR_MAX_LIMIT_REACHED = 12,
  CUPTI_ERROR_INVALID_KIND = 21,
  CUPTI_ERROR_INSUFFICIENT_PRIVILEGES = 35,
  CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES = 38,
  CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED = 39
};
enum CUpti_ActivityKind {
  CUPTI_ACTIVITY_KIND_MEMCPY = 1,
  CUPTI_ACTIVITY_KIND_MEMSET = 2,
  CUPTI_ACTIVITY_KIND_KERNEL = 3,
  CUPTI_ACTIVITY_KIND_DRIVER = 4,
  CUPTI_ACTIVITY_KIND_RUNTIME = 5,
  CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL = 10,
  CUPTI_ACTIVITY_KIND_OVERHEAD = 17,
  CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION = 39
};
enum CUpti_ExternalCorrelationKind { CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0 = 3 };
struct CUpti_Activity {
  CUpti_ActivityKind kind;
};
struct CUpti_ActivityKernel10 {
  CUpti_ActivityKind kind;
  uint32_t correlationId;
  uint64_t start, end;
};
struct CUpti_ActivityMemcpy6 {
  CUpti_ActivityKind kind;
  uint32_t correlationId;
  uint64_t start, end, bytes;
};
using CUpti_ActivityMemset4 = CUpti_ActivityMemcpy6;
struct CUpti_ActivityOverhead3 {
  CUpti_ActivityKind kind;
  uint64_t start, end;
};
struct CUpti_ActivityExternalCorrelation {
  CUpti_ActivityKind kind;
  CUpti_ExternalCorrelationKind externalKind;
  uint64_t externalId;
  uint32_t correlationId;
};

extern "C" {
using CUpti_BuffersCallbackRequestFunc = void (*)(uint8_t** buffer, size_t* size,
                                                  size_t* record_count_max);
using CUpti_BuffersCallbackCompleteFunc = void (*)(CUcontext context, uint32_t stream,
                                                   uint8_t* buffer, size_t size,
                                                   size_t valid_bytes);
CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc request,
                                           CUpti_BuffersCallbackCompleteFunc complete);
CUptiResult cuptiActivityEnable(CUpti_ActivityKind kind);
CUptiResult cuptiActivityDisable(CUpti_ActivityKind kind);
CUptiResult cuptiActivityFlushAll(uint32_t flag);
CUptiResult cuptiActivityGetNextRecord(uint8_t* buffer, size_t valid_bytes,
                                       CUpti_Activity** record);
CUptiResult cuptiActivityGetNumDroppedRecords(CUcontext context, uint32_t stream, size_t* dropped);
CUptiResult cuptiActivityPushExternalCorrelationId(CUpti_ExternalCorrelationKind kind, uint64_t id);
CUptiResult cuptiActivityPopExternalCorrelationId(CUpti_ExternalCorrelationKind kind,
                                                  uint64_t* last);
CUptiResult cuptiGetTimestamp(uint64_t* timestamp);
CUptiResult cuptiGetResultString(CUptiResult result, const char** text);
}

#endif  // TIERSCOPE_TESTS_TESTING_SIMT_INCLUDE_CUPTI_H_
