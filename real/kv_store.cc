#include "real/kv_store.h"

#include <algorithm>
#include <cstring>

#include "tbb/parallel_for.h"

#include "sim/base/check.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"

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
  loaded_.assign(plan_.requests.size(), -1);
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

// A request that was loaded with the same content and lengths, or -1.
int32_t KvStore::LoadedLike(int32_t request, int32_t content_profile) const {
  const RequestPlan& own = plan_.requests[static_cast<size_t>(request)];
  for (int32_t other = 0; other < plan_.request_count(); ++other) {
    const RequestPlan& their = plan_.requests[static_cast<size_t>(other)];
    if (other != request && loaded_[static_cast<size_t>(other)] == content_profile &&
        their.profile == own.profile && their.context_tokens == own.context_tokens &&
        their.page_count == own.page_count) {
      return other;
    }
  }
  return -1;
}

absl::Status KvStore::LoadKeys(int32_t request, const RequestContent& content, int64_t page_begin,
                               int64_t page_end) {
  const RequestPlan& own = plan_.requests[static_cast<size_t>(request)];
  const int64_t entries = own.context_tokens / plan_.tokens_per_entry;
  pages_.assign(static_cast<size_t>((page_end - page_begin) * kIndexPageBytes), 0);
  for (int32_t layer = 0; layer < plan_.csa_layers; ++layer) {
    tbb::parallel_for(page_begin, page_end, [&](int64_t page) {
      uint8_t* at = pages_.data() + (page - page_begin) * kIndexPageBytes;
      const int64_t end = std::min(entries, (page + 1) * kPageEntries);
      for (int64_t entry = page * kPageEntries; entry < end; ++entry) {
        const int64_t row = entry % kPageEntries;
        float scale;
        content.IndexKey(layer, entry, at + row * kIndexDim, &scale);
        std::memcpy(at + kIndexKeyPlaneBytes + row * 4, &scale, sizeof scale);
      }
    });
    uint8_t* target = keys_[static_cast<size_t>(layer)] +
                      (own.page_begin + page_begin) * int64_t{kIndexPageBytes};
    TIERSCOPE_RETURN_IF_ERROR(
        backend_.Copy(Stream::kDecode, target, pages_.data(), static_cast<int64_t>(pages_.size())));
  }
  return absl::OkStatus();
}

// The cold pool is the host's. Precondition: no copy to or from it is in flight.
void KvStore::LoadColdPages(int32_t request, int64_t page_begin, int64_t page_end) {
  const RequestPlan& own = plan_.requests[static_cast<size_t>(request)];
  const int64_t entries = own.context_tokens / plan_.tokens_per_entry;
  tbb::parallel_for(page_begin, page_end, [&](int64_t page) {
    uint8_t* at = cold_pool_ + (own.page_begin + page) * plan_.page_bytes;
    std::memcpy(at, poison_.data(), poison_.size());
    const int64_t end = std::min(entries, (page + 1) * kPageEntries);
    for (int64_t entry = page * kPageEntries; entry < end; ++entry) {
      const int64_t row = entry % kPageEntries;
      for (int32_t layer = 0; layer < plan_.csa_layers; ++layer) {
        uint8_t* of_layer = at + layer * kKvPageLayerBytes;
        FillKvEntry({plan_.scenario.seed(), own.profile, kCsaPool, layer, entry},
                    of_layer + row * kKvRowBytes,
                    of_layer + kKvValuePlaneBytes + row * kKvScaleBytes);
      }
    }
  });
}

absl::Status KvStore::LoadHca(int32_t request) {
  const RequestPlan& own = plan_.requests[static_cast<size_t>(request)];
  const int64_t entries = own.context_tokens / plan_.tokens_per_hca_entry;
  const int64_t pages = CeilDiv(entries, int64_t{kPageEntries});
  pages_.assign(static_cast<size_t>(pages * kKvPageLayerBytes), 0);
  for (int32_t layer = 0; layer < plan_.hca_layers; ++layer) {
    tbb::parallel_for(int64_t{0}, entries, [&](int64_t entry) {
      uint8_t* page = pages_.data() + entry / kPageEntries * kKvPageLayerBytes;
      const int64_t row = entry % kPageEntries;
      FillKvEntry({plan_.scenario.seed(), own.profile, kHcaPool, layer, entry},
                  page + row * kKvRowBytes, page + kKvValuePlaneBytes + row * kKvScaleBytes);
    });
    uint8_t* target =
        hca_[static_cast<size_t>(layer)] + own.hca_page_begin * int64_t{kKvPageLayerBytes};
    TIERSCOPE_RETURN_IF_ERROR(
        backend_.Copy(Stream::kDecode, target, pages_.data(), static_cast<int64_t>(pages_.size())));
  }
  return absl::OkStatus();
}

// The first pages of another request of the same content, and its HCA entries of the prompt.
absl::Status KvStore::CopyPages(int32_t from, int32_t to, int64_t page_count) {
  const RequestPlan& source = plan_.requests[static_cast<size_t>(from)];
  const RequestPlan& target = plan_.requests[static_cast<size_t>(to)];
  for (uint8_t* pool : keys_) {
    TIERSCOPE_RETURN_IF_ERROR(backend_.Copy(
        Stream::kDecode, pool + target.page_begin * int64_t{kIndexPageBytes},
        pool + source.page_begin * int64_t{kIndexPageBytes}, page_count * kIndexPageBytes));
  }
  const int64_t hca_pages =
      CeilDiv(target.context_tokens / plan_.tokens_per_hca_entry, int64_t{kPageEntries});
  for (uint8_t* pool : hca_) {
    TIERSCOPE_RETURN_IF_ERROR(backend_.Copy(
        Stream::kDecode, pool + target.hca_page_begin * int64_t{kKvPageLayerBytes},
        pool + source.hca_page_begin * int64_t{kKvPageLayerBytes}, hca_pages * kKvPageLayerBytes));
  }
  tbb::parallel_for(int64_t{0}, page_count, [&](int64_t page) {
    std::memcpy(cold_pool_ + (target.page_begin + page) * plan_.page_bytes,
                cold_pool_ + (source.page_begin + page) * plan_.page_bytes,
                static_cast<size_t>(plan_.page_bytes));
  });
  return absl::OkStatus();
}

absl::Status KvStore::LoadPrompt(int32_t request, const RequestContent& content) {
  const RequestPlan& own = plan_.requests[static_cast<size_t>(request)];
  int32_t& loaded = loaded_[static_cast<size_t>(request)];
  TIERSCOPE_RETURN_IF_ERROR(backend_.Synchronize(Stream::kDecode));
  // A run writes behind the prompt: into the page that its last entry leaves open, and the next.
  const int64_t tail = own.context_tokens / plan_.tokens_per_entry / kPageEntries;
  int64_t begin = tail;
  if (loaded != content.profile()) {
    const int32_t like = LoadedLike(request, content.profile());
    begin = like >= 0 ? tail : 0;
    TIERSCOPE_RETURN_IF_ERROR(like >= 0 ? CopyPages(like, request, tail) : LoadHca(request));
  }
  LoadColdPages(request, begin, own.page_count);
  TIERSCOPE_RETURN_IF_ERROR(LoadKeys(request, content, begin, own.page_count));
  const int64_t first = std::max<int64_t>(0, own.context_tokens - plan_.window_tokens);
  for (int64_t token = first; token < own.context_tokens; ++token) {
    TIERSCOPE_RETURN_IF_ERROR(WriteWindow(request, token));
  }
  loaded = content.profile();
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
