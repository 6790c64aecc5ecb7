// The KV of all requests in the two arenas: index keys of every CSA entry, HCA entries and sliding
// windows on the device; CSA entries in the cold pool on the host, and in those blocks of the page
// reserve that pages hold. Places only; who holds which block is the residency's business.
//
// The decode thread owns it. The side-band reads the cold pool, the keys of entries that were there
// when its job was launched (the page that is open then is copied for it: LaunchSnapshot), and
// writes blocks that nobody else reads (side_band.h).
#ifndef TIERSCOPE_REAL_KV_STORE_H_
#define TIERSCOPE_REAL_KV_STORE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "real/backend.h"
#include "real/content.h"
#include "real/execution_plan.h"

namespace tierscope {

class KvStore {
 public:
  // Allocates all pools. `plan` and `backend` outlive the store.
  static absl::StatusOr<std::unique_ptr<KvStore>> Make(const ExecutionPlan& plan, Backend& backend);

  // Writes the prompt of `request`: keys, HCA entries, window, and every CSA entry into the cold
  // pool. What follows the prompt there, and the reserve, is poison: bf16 NaN in every entry. Pages
  // that no run can have changed since this content was loaded are left as they are, and those that
  // another request already has are copied. Cost: all cores, and a copy a layer.
  absl::Status LoadPrompt(int32_t request, const RequestContent& content);
  absl::Status PoisonReserve();
  // A block changes hands: nothing of its old page may be read as the new one's.
  absl::Status PoisonBlock(Stream stream, int32_t block);

  // The token of own step `own_step`: its place in the windows, and the CSA and HCA entries that it
  // completes. A CSA entry goes into `block` of its page, or, while the page has none (-1), into
  // the cold pool. Returns whether a CSA entry formed.
  absl::StatusOr<bool> AppendToken(int32_t request, int64_t own_step, int32_t block,
                                   const RequestContent& content);

  // Copies the keys of the page with entry `entry_count` - 1 aside, where no append changes them.
  absl::Status LaunchSnapshot(int32_t request, int64_t entry_count);
  // Pool page of the copy.
  int32_t SnapshotPage(int32_t request) const { return plan_.page_total + request; }

  const uint8_t* Keys(int32_t layer) const { return keys_[static_cast<size_t>(layer)]; }
  // CSA entries of a layer in the reserve, as attention reads them.
  KvPool ReservePool(int32_t layer) const {
    return {reserve_ + layer * kKvPageLayerBytes, plan_.page_bytes};
  }
  KvPool HcaPool(int32_t layer) const {
    return {hca_[static_cast<size_t>(layer)], kKvPageLayerBytes};
  }
  // Of the layer at a place among all layers: CSA ones first, then HCA, then SWA.
  KvPool WindowPool(int32_t layer_place) const {
    return {windows_[static_cast<size_t>(layer_place)], kKvPageLayerBytes};
  }
  // The window's cell of a token; `token` counts from the prompt's first.
  int32_t WindowCell(int32_t request, int64_t token) const {
    return request * plan_.window_pages * kPageEntries +
           static_cast<int32_t>(token % plan_.window_tokens);
  }
  PagePools Pools() const {
    return {cold_pool_, reserve_, plan_.page_bytes, plan_.page_total, plan_.reserve_blocks};
  }
  const uint8_t* ColdPage(int32_t pool_page) const {
    return cold_pool_ + pool_page * plan_.page_bytes;
  }
  const uint8_t* Block(int32_t block) const { return reserve_ + block * plan_.page_bytes; }

 private:
  KvStore(const ExecutionPlan& plan, Backend& backend) : plan_(plan), backend_(backend) {}
  absl::Status Allocate();
  absl::Status LoadKeys(int32_t request, const RequestContent& content, int64_t page_begin,
                        int64_t page_end);
  void LoadColdPages(int32_t request, int64_t page_begin, int64_t page_end);
  absl::Status LoadHca(int32_t request);
  absl::Status CopyPages(int32_t from, int32_t to, int64_t page_count);
  int32_t LoadedLike(int32_t request, int32_t content_profile) const;
  absl::Status WriteKey(const RequestPlan& request, const RequestContent& content, int64_t entry);
  absl::Status WriteCsaEntry(const RequestPlan& request, int64_t entry, uint8_t* page);
  absl::Status WriteHcaEntry(const RequestPlan& request, int64_t entry);
  absl::Status WriteWindow(int32_t request, int64_t token);
  absl::Status WriteRow(uint8_t* page_layer, int32_t row, const KvEntryPlace& place);

  const ExecutionPlan& plan_;
  Backend& backend_;
  std::vector<uint8_t*> keys_;     // [CSA layer], pages then snapshots
  std::vector<uint8_t*> hca_;      // [HCA layer]
  std::vector<uint8_t*> windows_;  // [layer]
  uint8_t* reserve_ = nullptr;
  uint8_t* cold_pool_ = nullptr;
  std::vector<uint8_t> poison_;  // a page of it
  std::vector<int32_t> loaded_;  // [request] profile of the content that was loaded, -1: none
  std::vector<uint8_t> pages_;   // on their way to the device
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_KV_STORE_H_
