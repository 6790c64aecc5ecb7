#include "real/kv_store.h"

#include <algorithm>
#include <cstring>

#include "sim/base/check.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

// Every bf16 of it is a NaN, and so is every ue8m0 scale: attention over such a row shows.
constexpr uint8_t kPoison = 0xFF;

enum Pool : int32_t { kCsaPool, kHcaPool, kWindowPool };

}  // namespace

absl::StatusOr<std::unique_ptr<KvStore>> KvStore::Make(const ExecutionPlan& plan,
                                                       Backend& backend) {
  std::unique_ptr<KvStore> store(new KvStore(plan, backend));
  TIERSCOPE_RETURN_IF_ERROR(store->Allocate());
  return store;
}

absl::Status KvStore::Allocate() {
  const auto layers_of = [&](const std::string& name, int32_t layers, int64_t bytes,
                             std::vector<uint8_t*>* pools) -> absl::Status {
    for (int32_t layer = 0; layer < layers; ++layer) {
      TIERSCOPE_ASSIGN_OR_RETURN(uint8_t * memory, backend_.Allocate(name, Arena::kDevice, bytes));
      pools->push_back(memory);
    }
    return absl::OkStatus();
  };
  const int64_t key_pages = int64_t{plan_.page_total} + plan_.request_count();
  const int64_t window_pages = int64_t{plan_.request_count()} * plan_.window_pages;
  TIERSCOPE_RETURN_IF_ERROR(
      layers_of("index keys", plan_.csa_layers, key_pages * kIndexPageBytes, &keys_));
  TIERSCOPE_RETURN_IF_ERROR(layers_of("HCA entries", plan_.hca_layers,
                                      int64_t{plan_.hca_page_total} * kKvPageLayerBytes, &hca_));
  TIERSCOPE_RETURN_IF_ERROR(layers_of(
      "SWA pool, compressor states", plan_.csa_layers + plan_.hca_layers + plan_.swa_layers,
      std::max<int64_t>(1, window_pages) * kKvPageLayerBytes, &windows_));
  TIERSCOPE_ASSIGN_OR_RETURN(reserve_,
                             backend_.Allocate("page reserve", Arena::kDevice,
                                               int64_t{plan_.reserve_blocks} * plan_.page_bytes));
  TIERSCOPE_ASSIGN_OR_RETURN(
      cold_pool_,
      backend_.Allocate("cold pool", Arena::kHost, int64_t{plan_.page_total} * plan_.page_bytes));
  poison_.assign(static_cast<size_t>(plan_.page_bytes), kPoison);
  return absl::OkStatus();
}

absl::Status KvStore::PoisonBlock(Stream stream, int32_t block) {
  return backend_.Copy(stream, reserve_ + block * plan_.page_bytes, poison_.data(),
                       plan_.page_bytes);
}

absl::Status KvStore::PoisonReserve() {
  for (int32_t block = 0; block < plan_.reserve_blocks; ++block) {
    TIERSCOPE_RETURN_IF_ERROR(PoisonBlock(Stream::kDecode, block));
  }
  return backend_.Synchronize(Stream::kDecode);
}

absl::Status KvStore::WriteRow(uint8_t* page_layer, int32_t row, const KvEntryPlace& place) {
  uint8_t values[kKvRowBytes];
  uint8_t scales[kKvScaleBytes];
  FillKvEntry(place, values, scales);
  TIERSCOPE_RETURN_IF_ERROR(
      backend_.Copy(Stream::kDecode, page_layer + row * kKvRowBytes, values, kKvRowBytes));
  return backend_.Copy(Stream::kDecode, page_layer + kKvValuePlaneBytes + row * kKvScaleBytes,
                       scales, kKvScaleBytes);
}

absl::Status KvStore::WriteKey(const RequestPlan& request, const RequestContent& content,
                               int64_t entry) {
  const int64_t row = entry % kPageEntries;
  const int64_t page = request.page_begin + entry / kPageEntries;
  for (int32_t layer = 0; layer < plan_.csa_layers; ++layer) {
    uint8_t codes[kIndexDim];
    float scale;
    content.IndexKey(layer, entry, codes, &scale);
    uint8_t* at = keys_[static_cast<size_t>(layer)] + page * kIndexPageBytes;
    TIERSCOPE_RETURN_IF_ERROR(
        backend_.Copy(Stream::kDecode, at + row * kIndexDim, codes, kIndexDim));
    TIERSCOPE_RETURN_IF_ERROR(
        backend_.Copy(Stream::kDecode, at + kIndexKeyPlaneBytes + row * 4, &scale, sizeof scale));
  }
  return absl::OkStatus();
}

// `page`: of all layers, in the cold pool or the reserve.
absl::Status KvStore::WriteCsaEntry(const RequestPlan& request, int64_t entry, uint8_t* page) {
  const auto row = static_cast<int32_t>(entry % kPageEntries);
  for (int32_t layer = 0; layer < plan_.csa_layers; ++layer) {
    TIERSCOPE_RETURN_IF_ERROR(
        WriteRow(page + layer * kKvPageLayerBytes, row,
                 {plan_.scenario.seed(), request.profile, kCsaPool, layer, entry}));
  }
  return absl::OkStatus();
}

absl::Status KvStore::WriteHcaEntry(const RequestPlan& request, int64_t entry) {
  const auto row = static_cast<int32_t>(entry % kPageEntries);
  const int64_t page = request.hca_page_begin + entry / kPageEntries;
  for (int32_t layer = 0; layer < plan_.hca_layers; ++layer) {
    TIERSCOPE_RETURN_IF_ERROR(
        WriteRow(hca_[static_cast<size_t>(layer)] + page * kKvPageLayerBytes, row,
                 {plan_.scenario.seed(), request.profile, kHcaPool, layer, entry}));
  }
  return absl::OkStatus();
}

absl::Status KvStore::WriteWindow(int32_t request, int64_t token) {
  if (plan_.window_tokens == 0) return absl::OkStatus();
  const int32_t cell = WindowCell(request, token);
  const int32_t profile = plan_.requests[static_cast<size_t>(request)].profile;
  for (size_t layer = 0; layer < windows_.size(); ++layer) {
    TIERSCOPE_RETURN_IF_ERROR(WriteRow(
        windows_[layer] + cell / kPageEntries * kKvPageLayerBytes, cell % kPageEntries,
        {plan_.scenario.seed(), profile, kWindowPool, static_cast<int32_t>(layer), token}));
  }
  return absl::OkStatus();
}

absl::Status KvStore::LoadPrompt(int32_t request, const RequestContent& content) {
  const RequestPlan& own = plan_.requests[static_cast<size_t>(request)];
  for (int32_t page = 0; page < own.page_count; ++page) {
    uint8_t* at = cold_pool_ + (own.page_begin + page) * plan_.page_bytes;
    TIERSCOPE_RETURN_IF_ERROR(backend_.Copy(Stream::kDecode, at, poison_.data(), plan_.page_bytes));
  }
  const int64_t entries = own.context_tokens / plan_.tokens_per_entry;
  for (int64_t entry = 0; entry < entries; ++entry) {
    TIERSCOPE_RETURN_IF_ERROR(WriteKey(own, content, entry));
    uint8_t* page = cold_pool_ + (own.page_begin + entry / kPageEntries) * plan_.page_bytes;
    TIERSCOPE_RETURN_IF_ERROR(WriteCsaEntry(own, entry, page));
  }
  const int64_t hca_entries = own.context_tokens / plan_.tokens_per_hca_entry;
  for (int64_t entry = 0; entry < hca_entries; ++entry) {
    TIERSCOPE_RETURN_IF_ERROR(WriteHcaEntry(own, entry));
  }
  const int64_t first = std::max<int64_t>(0, own.context_tokens - plan_.window_tokens);
  for (int64_t token = first; token < own.context_tokens; ++token) {
    TIERSCOPE_RETURN_IF_ERROR(WriteWindow(request, token));
  }
  return backend_.Synchronize(Stream::kDecode);
}

absl::StatusOr<bool> KvStore::AppendToken(int32_t request, int64_t own_step, int32_t block,
                                          const RequestContent& content) {
  const RequestPlan& own = plan_.requests[static_cast<size_t>(request)];
  const int64_t tokens = own.context_tokens + own_step + 1;
  TIERSCOPE_RETURN_IF_ERROR(WriteWindow(request, tokens - 1));
  if (tokens % plan_.tokens_per_hca_entry == 0) {
    TIERSCOPE_RETURN_IF_ERROR(WriteHcaEntry(own, tokens / plan_.tokens_per_hca_entry - 1));
  }
  if (tokens % plan_.tokens_per_entry != 0) return false;
  const int64_t entry = tokens / plan_.tokens_per_entry - 1;
  TIERSCOPE_RETURN_IF_ERROR(WriteKey(own, content, entry));
  uint8_t* page = block >= 0
                      ? reserve_ + block * plan_.page_bytes
                      : cold_pool_ + (own.page_begin + entry / kPageEntries) * plan_.page_bytes;
  TIERSCOPE_RETURN_IF_ERROR(WriteCsaEntry(own, entry, page));
  return true;
}

absl::Status KvStore::LaunchSnapshot(int32_t request, int64_t entry_count) {
  TIERSCOPE_CHECK(entry_count > 0);
  const RequestPlan& own = plan_.requests[static_cast<size_t>(request)];
  const int64_t page = own.page_begin + (entry_count - 1) / kPageEntries;
  for (int32_t layer = 0; layer < kMemoryLayers; ++layer) {
    uint8_t* pool = keys_[static_cast<size_t>(layer)];
    TIERSCOPE_RETURN_IF_ERROR(backend_.Copy(Stream::kDecode,
                                            pool + SnapshotPage(request) * kIndexPageBytes,
                                            pool + page * kIndexPageBytes, kIndexPageBytes));
  }
  return absl::OkStatus();
}

}  // namespace tierscope
