// A tool that NVTX loads (NVTX_INJECTION64_PATH): writes what is pushed and popped, a line each,
// "thread push domain name payload" or "thread pop", to the file TIERSCOPE_NVTX_LOG names.
#include <nvtx3/nvToolsExt.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

namespace {

std::mutex mutex;
std::FILE* log_file = nullptr;

long Thread() { return syscall(SYS_gettid); }

// Handles are our own strings, kept for ever.
nvtxDomainHandle_t DomainCreate(const char* name) {
  return reinterpret_cast<nvtxDomainHandle_t>(new std::string(name));
}
nvtxStringHandle_t Register(nvtxDomainHandle_t, const char* name) {
  return reinterpret_cast<nvtxStringHandle_t>(new std::string(name));
}
int Push(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* attributes) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto* name = reinterpret_cast<const std::string*>(attributes->message.registered);
  std::fprintf(log_file, "%ld push %s %s %lld\n", Thread(),
               reinterpret_cast<const std::string*>(domain)->c_str(), name->c_str(),
               static_cast<long long>(attributes->payload.llValue));
  return 0;
}
int Pop(nvtxDomainHandle_t) {
  const std::lock_guard<std::mutex> lock(mutex);
  std::fprintf(log_file, "%ld pop\n", Thread());
  return 0;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int InitializeInjectionNvtx2(
    NvtxGetExportTableFunc_t get_export_table) {
  const char* path = std::getenv("TIERSCOPE_NVTX_LOG");
  if (path == nullptr) return 0;
  log_file = std::fopen(path, "w");
  const auto* callbacks =
      static_cast<const NvtxExportTableCallbacks*>(get_export_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned size = 0;
  if (log_file == nullptr || callbacks == nullptr ||
      callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &size) == 0) {
    return 0;
  }
  *table[NVTX_CBID_CORE2_DomainCreateA] = reinterpret_cast<NvtxFunctionPointer>(DomainCreate);
  *table[NVTX_CBID_CORE2_DomainRegisterStringA] = reinterpret_cast<NvtxFunctionPointer>(Register);
  *table[NVTX_CBID_CORE2_DomainRangePushEx] = reinterpret_cast<NvtxFunctionPointer>(Push);
  *table[NVTX_CBID_CORE2_DomainRangePop] = reinterpret_cast<NvtxFunctionPointer>(Pop);
  return 1;
}
